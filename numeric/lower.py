"""From theorems to callables: with :mod:`numeric.lower_duals` the only place where a formula enters this stage.

A right side ``S delta_kk'`` of an indexed theorem becomes a SymPy scalar in placeholders: one symbol for each atom (an
inner product, a kernel of the layer below), one for each Gaussian mean of activations, one for each width.
``lambdify`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.codegen.cfunctions import expm1

from derive import notation
from derive.model import Model
from derive.operators import Operator, slot
from derive.terms import Atom, Delta, Expression, Mean
from numeric.special import compound

FloatArray = NDArray[np.float64]
Moment = tuple[tuple[str, str, int], ...]
"""A Gaussian mean of a product: (head, input, power), as in (("phi", "x", 2), ("phi", "x'", 2))."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A right side as a SymPy scalar in placeholders.

    Attributes:
        expression: the scalar, in sigma_w, sigma_b and the placeholders.
        atoms: placeholder of each atom without indices, by head.
        moments: placeholder of each Gaussian mean.
        sizes: placeholder of each dimension.
    """

    expression: sp.Expr
    atoms: Mapping[str, sp.Symbol]
    moments: Mapping[Moment, sp.Symbol]
    sizes: Mapping[sp.Expr, sp.Symbol]

    def lowered(self, arguments: tuple[sp.Symbol, ...], modules: Any = "numpy") -> Callable[..., Any]:
        """Return the scalar as a function of the given placeholders, in this order.

        Raises:
            ValueError: if the scalar has a placeholder that is not among the arguments.
        """
        left = self.expression.free_symbols - set(arguments)
        if left:
            raise ValueError(f"the arguments {arguments} leave {sorted(map(str, left))} open")
        function: Callable[..., Any] = sp.lambdify(arguments, self.expression, modules, cse=True)
        return function


def scalar(expression: Expression, model: Model, equal_units: bool = True) -> Scalar:
    """Return the value of a right side for equal (or different) unit indices as a SymPy scalar.

    Abbreviations of the model that stand for means are unfolded, so that only means of activations, kernels of the
    layer below and inner products remain.

    Raises:
        TypeError: if a sum, a derivative or an indexed random family remains, so that it is not deterministic; or if it
            has a family at other inputs than both, or at two layers, which one placeholder could not tell apart.
    """
    atoms: dict[str, sp.Symbol] = {}
    layers: dict[str, sp.Expr | None] = {}
    moments: dict[Moment, sp.Symbol] = {}
    sizes: dict[sp.Expr, sp.Symbol] = {}

    def placeholder_of(e: Expression) -> sp.Expr:
        result = sp.S.Zero
        for bound, factors, coefficient in e:
            if bound:
                raise TypeError(f"a sum remains in {e.key}; only a deterministic right side can be lowered")
            for dimension in sorted(coefficient.atoms(sp.Function), key=str):
                sizes.setdefault(dimension, sp.Symbol(f"n{len(sizes)}", positive=True))
            term = coefficient.subs(sizes)
            for factor in factors:
                match factor:
                    case Delta():
                        term *= int(equal_units)
                    case Mean(body, _):
                        term *= moments.setdefault(_moment(body), sp.Symbol(f"mean{len(moments)}", real=True))
                    case Atom(head, (), inputs, layer):
                        definition = model.definition(head, layer)
                        if definition is not None and not _has_sums(definition.body):
                            term *= placeholder_of(definition.at(factor))
                        elif len(set(inputs)) != 2 or layers.setdefault(head, layer) != layer:
                            raise TypeError(
                                f"{factor.key} has no placeholder: expected {head} at two inputs and one layer"
                            )
                        else:
                            term *= atoms.setdefault(head, sp.Symbol(head, real=True))
                    case _:
                        raise TypeError(f"{factor.key} is not deterministic; it cannot be lowered")
            result += term
        return result

    return Scalar(sp.expand(placeholder_of(expression)), atoms, moments, sizes)


def _has_sums(expression: Expression) -> bool:
    return any(bound for bound, _, _ in expression)


def _moment(body: Expression) -> Moment:
    ((bound, factors, coefficient),) = list(body)
    if bound or coefficient != 1 or not all(isinstance(f, Atom) for f in factors):
        raise TypeError(f"the mean of {body.key} is not a mean of a product of activations")
    counts: dict[tuple[str, str], int] = {}
    for f in factors:
        assert isinstance(f, Atom)  # checked above
        counts[f.head, f.inputs[0]] = counts.get((f.head, f.inputs[0]), 0) + 1
    return tuple((head, x, power) for (head, x), power in sorted(counts.items()))


def first_layer_function(value: Scalar) -> Callable[..., FloatArray]:
    """Return a right side of the first layer as a function of (inner product, d, sigma_w, sigma_b)."""
    dot = value.atoms.get("dot", sp.Dummy())
    return value.lowered((dot, notation.input_dimension, notation.sigma_w, notation.sigma_b))


def layer_function(value: Scalar) -> Callable[..., FloatArray]:
    """Return a right side of a deeper layer as a function of the layer below.

    The arguments are (E[phi phi'], E[dphi dphi'], Theta below, K below, sigma_w, sigma_b); the derived recursion does
    not use the last kernel, wrong variants of it do.
    """
    means = (value.moments.get(((head, "x", 1), (head, "x'", 1)), sp.Dummy()) for head in ("phi", "dphi"))
    below = (value.atoms.get(head, sp.Dummy()) for head in ("Theta_inf", "K"))
    return value.lowered((*means, *below, notation.sigma_w, notation.sigma_b))


def unit_law_function(value: Scalar) -> Callable[..., float]:
    """Return a law on iid units as a function of (Theta below, K below, sizes, sigma_w, sigma_b, means).

    Sizes and means come in the order in which the scalar has them.
    """
    below = (value.atoms.get(head, sp.Dummy()) for head in ("Theta_inf", "K"))
    scales = notation.sigma_w, notation.sigma_b
    return value.lowered((*below, *value.sizes.values(), *scales, *value.moments.values()))


def first_layer_determinant(kernel: Scalar) -> Callable[..., FloatArray]:
    """Return D^1 = K(x,x) K(x',x') - K(x,x')^2 of the first layer as a function without cancellation.

    In terms of the Gram determinant g = |x|^2 |x'|^2 - (x.x')^2 and r = |x - x'|^2 the determinant of a kernel that is
    affine in x.x' is a sum of positive terms: the inner products themselves drop out. The function takes
    (g, r, sigma_w, sigma_b, d).

    Raises:
        ValueError: if the kernel is not affine in the inner product.
    """
    p, q, g, r = sp.symbols("p q g r", real=True)
    dot = kernel.atoms.get("dot", sp.Dummy())
    at = [kernel.expression.subs(dot, value) for value in (p, q, dot)]
    powers = sp.Poly(at[0] * at[1] - at[2] ** 2, dot)
    products = (sp.S.One, (p + q - r) / 2, p * q - g)
    if powers.degree() >= len(products):
        raise ValueError(f"expected a kernel that is affine in the inner product, got {kernel.expression}")
    determinant = sp.factor_terms(sp.expand(sum(powers.coeff_monomial(dot**n) * v for n, v in enumerate(products))))
    if determinant.has(p, q):
        raise ValueError(f"expected a kernel that is affine in the inner product, got {kernel.expression}")
    arguments = g, r, notation.sigma_w, notation.sigma_b, notation.input_dimension
    function: Callable[..., FloatArray] = sp.lambdify(arguments, determinant, "numpy")
    return function


@cache
def spectral_functions(operator: Operator) -> dict[tuple[str, ...], tuple[Callable[..., Any], ...]]:
    """Return, for each word of an operator, its function of the eigenvalues at its joints on the training set.

    Entry ``n`` is the function where the eigenvalues at the set bits of n are zero. The functions take the eigenvalues,
    then learning rate, time or number of steps, standard deviation of the noise, and 1 or 0 for the covariance of one
    output with itself or of two outputs.
    """
    same = sp.Symbol("same_output")
    others = notation.learning_rate, notation.time, notation.noise, same
    modules = [{"compound": compound}, "numpy"]
    result = {}
    for letters, pieces in operator.words.items():
        eigenvalues = tuple(slot(n) for n in range(len(pieces).bit_length() - 1))
        known = {notation.same_output: same, notation.step: notation.time}
        functions = (_without_cancellation(p.xreplace(known)) for p in pieces)
        names = tuple(letter.name for letter in letters)
        result[names] = tuple(sp.lambdify((*eigenvalues, *others), f, modules) for f in functions)
    return result


def _without_cancellation(function: sp.Expr) -> sp.Expr:
    """Return a function of an eigenvalue in which decays less 1 are functions of their own, where all has that form.

    ``1 - exp(-eta lambda t)`` and ``1 - (1 - eta lambda)^t`` lose the digits of small eigenvalues.
    """
    decays = {decay: expm1(decay.exp) for decay in function.atoms(sp.exp)}
    powers = (power for power in function.atoms(sp.Pow) if power.exp == notation.time)
    decays |= {power: sp.Function("compound")(power.base - 1, power.exp) for power in powers}
    less = sp.expand(function.subs({decay: 1 + lost for decay, lost in decays.items()}))
    cancelled = less.subs(dict.fromkeys(decays.values(), 0)) == 0
    return sp.together(less if cancelled else function)
