"""The activations, one row each: a name and an expression in z. Everything else is derived from the expression."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import sympy as sp

from derive.notation import D, a, b, c, z
from derive.parsing import Unreadable, read_expression, shown
from derive.pieces import jumps, pieces


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function.

    Attributes:
        name: its name, or the text of its expression.
        expression: a SymPy expression in :data:`derive.notation.z`, and parameters.
        aliases: other names.
    """

    name: str
    expression: sp.Expr
    aliases: tuple[str, ...] = ()

    @property
    def derivative(self) -> sp.Expr:
        """Return the pathwise derivative, what backpropagation uses; at a kink see :mod:`derive.pieces`.

        Raises:
            NotPiecewise: if the pieces of the activation cannot be told apart.
        """
        parts = [(sp.diff(piece.expression, z), piece.high) for piece in pieces(self.expression)]
        if len(parts) == 1:
            return parts[0][0]
        return sp.Piecewise(*((slope, z <= high) for slope, high in parts[:-1]), (parts[-1][0], True))

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Return the symbols besides z, by name."""
        return tuple(sorted(self.expression.free_symbols - {z}, key=str))

    @property
    def jumps(self) -> bool:
        """Return whether the activation itself jumps, so that its weak derivative has Dirac deltas."""
        return bool(jumps(self.expression))


def _hermite(degree: int) -> sp.Expr:
    """Return the probabilists' Hermite polynomial He_n."""
    return sp.expand(2 ** -sp.Rational(degree, 2) * sp.hermite(degree, z / sp.sqrt(2)))


_NORMAL_CDF = (1 + sp.erf(z / sp.sqrt(2))) / 2
_NEGATIVE_EXPONENTIAL = sp.Min(sp.exp(z) - 1, 0)
_SELU_SCALE, _SELU_ALPHA = sp.Rational("1.0507009873554805"), sp.Rational("1.6732632423543773")
"""Klambauer et al. 2017 (arXiv:1706.02515), eq 14, to 17 digits."""
_GELU_CUBIC = sp.Rational("0.044715")
"""Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2."""

ACTIVATIONS = (
    Activation("identity", z, ("linear",)),
    Activation("relu", sp.Max(z, 0)),
    Activation("leaky-relu", sp.Max(z, 0) + sp.Min(z, 0) / 100),
    Activation("abs", sp.Abs(z)),
    Activation("step", sp.Heaviside(z), ("heaviside",)),
    Activation("sign", sp.sign(z)),
    Activation("relu2", sp.Max(z, 0) ** 2),
    Activation("relu3", sp.Max(z, 0) ** 3),
    Activation("hard-tanh", sp.Min(sp.Max(z, -1), 1)),
    Activation("hard-sigmoid", sp.Min(sp.Max(z / 6 + sp.S.Half, 0), 1)),
    Activation("hard-swish", z * sp.Min(sp.Max(z / 6 + sp.S.Half, 0), 1)),
    Activation("relu6", sp.Min(sp.Max(z, 0), 6)),
    Activation("elu", sp.Max(z, 0) + _NEGATIVE_EXPONENTIAL),
    Activation("selu", _SELU_SCALE * (sp.Max(z, 0) + _SELU_ALPHA * _NEGATIVE_EXPONENTIAL)),
    Activation("gelu", z * _NORMAL_CDF),
    Activation("gelu-tanh", z / 2 * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (z + _GELU_CUBIC * z**3)))),
    Activation("erf", sp.erf(z)),
    Activation("Phi", _NORMAL_CDF, ("normal-cdf",)),
    Activation("sin", sp.sin(z)),
    Activation("cos", sp.cos(z)),
    Activation("rbf", sp.sin(z) + sp.cos(z), ("sin+cos",)),
    Activation("exp", sp.exp(z)),
    Activation("gaussian", sp.exp(-(z**2))),
    Activation("z-gaussian", z * sp.exp(-(z**2))),
    Activation("z2", z**2, ("quadratic",)),
    Activation("z3", z**3, ("cubic",)),
    Activation("he2", _hermite(2)),
    Activation("he3", _hermite(3)),
    Activation("he4", _hermite(4)),
    Activation("cosh", sp.cosh(z)),
    Activation("softplus", sp.log(1 + sp.exp(z))),
    Activation("tanh", sp.tanh(z)),
    Activation("sigmoid", 1 / (1 + sp.exp(-z)), ("logistic",)),
    Activation("silu", z / (1 + sp.exp(-z)), ("swish",)),
    Activation("mish", z * sp.tanh(sp.log(1 + sp.exp(z)))),
)


def activation(which: str | sp.Expr | Activation, parameters: bool = False) -> Activation:
    """Return an activation by name, or from an expression in z: text or SymPy.

    Args:
        which: a name, with - or _ alike; a text such as ``"z*exp(-z**2)"``, read by :mod:`derive.parsing`; a SymPy
            expression in :data:`derive.notation.z`.
        parameters: whether other symbols than z are allowed.

    Raises:
        ValueError: for an unknown name, with the nearest known ones, an expression in other symbols than z, or a text
            that is no expression.
        TypeError: for anything else.
    """
    if isinstance(which, Activation):
        return which
    if isinstance(which, str):
        return _with_free_names(_by_text(which, parameters))
    if isinstance(which, sp.Expr):
        if which.free_symbols != {z} and not (parameters and z in which.free_symbols):
            raise ValueError(f"expected an expression in z alone, got {which}; use derive.notation.z")
        return _with_free_names(Activation(str(which), which))
    raise TypeError(f"expected a name or an expression in z, got {type(which).__name__}")


def _with_free_names(row: Activation) -> Activation:
    taken = {str(symbol) for symbol in (a, b, c, D)} & {str(symbol) for symbol in row.parameters}
    if taken:
        raise ValueError(
            f"expected another name for the parameter {min(taken)}: a, b, c, D are the arguments of duals; rename it"
        )
    return row


def _by_text(text: str, parameters: bool) -> Activation:
    known = {name.casefold(): row for row in ACTIVATIONS for name in (row.name, *row.aliases)}
    name = text.strip().replace("_", "-").casefold()
    if name in known:
        return known[name]
    try:
        expression = read_expression(text, parameters=parameters)
    except Unreadable:
        if not _like_a_name(text):
            raise
        expression = sp.S.Zero
    if z not in expression.free_symbols:
        if not _like_a_name(text):
            raise ValueError(f"expected an expression in z, got the constant {shown(text)}")
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [row.name for row in ACTIVATIONS]
        raise ValueError(
            f"expected the name of an activation or an expression in z, got {shown(text)}; "
            f"did you mean {', '.join(nearest)}?"
        )
    return Activation(text.strip(), expression)


def _like_a_name(text: str) -> bool:
    return text.replace("-", "").replace("_", "").replace(" ", "").isalnum()
