"""The activations, one row each: a name and an expression in z. Everything else is derived from the expression."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import sympy as sp

from derive.notation import z


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function.

    Attributes:
        name: its name, or the text of its expression.
        expression: a SymPy expression in :data:`derive.notation.z`.
    """

    name: str
    expression: sp.Expr

    @property
    def derivative(self) -> sp.Expr:
        """Return the pathwise derivative, what backpropagation uses; at a kink it is the value from the left."""
        smooth = sp.diff(self.expression, z).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
        return smooth.replace(sp.Heaviside, lambda x, *_: sp.Heaviside(x, 0))


ACTIVATIONS = (
    Activation("identity", z),
    Activation("relu", sp.Max(z, 0)),
    Activation("erf", sp.erf(z)),
)


def activation(which: str | sp.Expr | Activation) -> Activation:
    """Return an activation by name, or from a SymPy expression in z.

    Raises:
        ValueError: for an unknown name, with the nearest known ones, or an expression in other symbols than z.
        TypeError: for anything else.
    """
    if isinstance(which, Activation):
        return which
    if isinstance(which, str):
        known = {row.name: row for row in ACTIVATIONS}
        if which in known:
            return known[which]
        nearest = difflib.get_close_matches(which, known, n=3, cutoff=0.4) or sorted(known)
        raise ValueError(f"expected the name of an activation, got {which!r}; did you mean {', '.join(nearest)}?")
    if isinstance(which, sp.Expr):
        if which.free_symbols != {z}:
            raise ValueError(f"expected an expression in z alone, got {which}; use derive.notation.z")
        return Activation(str(which), which)
    raise TypeError(f"expected a name or a SymPy expression in z, got {type(which).__name__}")
