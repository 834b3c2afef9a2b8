"""The claims on duals: two for every activation of the library."""

from __future__ import annotations

from functools import partial

import sympy as sp

from derive.activations import ACTIVATIONS, Activation
from derive.claim import Claim, Kind, Mutant, Observable
from derive.duals.theorems import ClosedForm, dual
from derive.notation import D, a, b, c
from derive.theorem import Theorem


def _theorem(activation: Activation, order: int) -> Theorem:
    derived = dual(activation)
    return derived.derivative_theorem if order else derived.theorem


def _mutants(activation: Activation, order: int) -> tuple[Mutant, ...]:
    right = _theorem(activation, order).rhs
    assert isinstance(right, ClosedForm)  # a dual is a closed form
    value = right.expression
    wrong = {
        "the constant is 2 % too large": value * sp.Rational(51, 50),
        "a boundary constant is added": value + sp.Rational(1, 40),
        "the covariance has the wrong sign": value.subs(c, -c),
        "variances and covariance are mixed up": value.subs({a: c, c: a}, simultaneous=True),
        "the determinant is missing": value.subs(D, 0),
        "b stands for a": value.subs(a, b),
    }
    return tuple(Mutant(name, ClosedForm(w)) for name, w in wrong.items() if sp.expand(w - value) != 0)


def _claim(activation: Activation, order: int) -> Claim:
    what = "derivatives" if order else "values"
    suffix = "-derivative" if order else ""
    theorem = partial(_theorem, activation, order)
    return Claim(
        id=f"dual.{activation.name}{suffix}",
        title=f"Gaussian mean of the product of two {what} of {activation.name}",
        kind=Kind.IDENTITY,
        theorem=theorem,
        statement=lambda: theorem().rhs,
        mutants=partial(_mutants, activation, order),
        observable=Observable.DUAL,
    )


CLAIMS = tuple(_claim(activation, order) for activation in ACTIVATIONS for order in (0, 1))
