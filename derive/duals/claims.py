"""The claims on duals: two for every activation of the library, a closed form or else a series."""

from __future__ import annotations

from functools import partial

import sympy as sp

from derive.activations import ACTIVATIONS, Activation, activation
from derive.claim import Claim, Kind, Mutant, Observable
from derive.duals.evaluation import NotEnclosed, enclosure
from derive.duals.series import RHO, HermiteSeries, K
from derive.duals.theorems import ClosedForm, mean_theorem
from derive.notation import D, a, b, c
from derive.terms import Term


def _statement(activation: Activation, order: int) -> Term:
    return mean_theorem(activation, order).rhs


def _mutants(activation: Activation, order: int) -> tuple[Mutant, ...]:
    right = _statement(activation, order)
    if isinstance(right, HermiteSeries):
        return tuple(
            Mutant(name, HermiteSeries(activation, order, weight))
            for name, weight in {
                "the constant is 2 % too large": right.weight * sp.Rational(51, 50),
                "the factorial is missing": RHO**K,
                "the correlation is squared": right.weight.subs(RHO, RHO**2),
            }.items()
        )
    assert isinstance(right, ClosedForm)  # the other thing that a dual can be
    value = right.expression
    wrong = {
        "the constant is 2 % too large": value * sp.Rational(51, 50),
        "a boundary constant is added": value + sp.Rational(1, 40),
        "the covariance has the wrong sign": value.subs(c, -c),
        "variances and covariance are mixed up": value.subs({a: c, c: a}, simultaneous=True),
        "the determinant is missing": value.subs(D, 0),
        "b stands for a": value.subs(a, b),
    }
    return tuple(
        Mutant(name, ClosedForm(w, right.positive))
        for name, w in wrong.items()
        if not w.has(sp.nan, sp.zoo, sp.oo) and not _same(w, value)
    )


def _same(wrong: sp.Expr, value: sp.Expr) -> bool:
    """Return whether a variant is the same function, as with the other sign of c for an even activation."""
    if wrong == value:
        return True
    point = (sp.Rational(3, 16), sp.Rational(5, 8), sp.Rational(9, 40))
    try:
        return bool(enclosure(wrong, *point, digits=20).overlaps(enclosure(value, *point, digits=20)))
    except NotEnclosed:
        return False


def claims_of(activation: Activation) -> tuple[Claim, Claim]:
    """Return the claims on both duals of an activation."""
    return _claim(activation, 0), _claim(activation, 1)


def _claim(activation: Activation, order: int) -> Claim:
    what = "pathwise derivatives" if order else "values"
    return Claim(
        id=f"dual.{activation.name}{'-derivative' if order else ''}",
        title=f"Gaussian mean of the product of two {what} of {activation.name}",
        kind=Kind.IDENTITY,
        theorem=partial(mean_theorem, activation, order),
        statement=partial(_statement, activation, order),
        mutants=partial(_mutants, activation, order),
        observable=Observable.DUAL,
    )


def claim_made(key: str) -> Claim | None:
    """Return the claim ``dual.EXPRESSION`` or ``dual.EXPRESSION-derivative`` for any activation, nothing for other ids.

    Raises:
        ValueError: if the expression cannot be read.
    """
    prefix, suffix = "dual.", "-derivative"
    if not key.startswith(prefix):
        return None
    return claims_of(activation(key.removeprefix(prefix).removesuffix(suffix)))[key.endswith(suffix)]


CLAIMS = tuple(claim for row in ACTIVATIONS for claim in claims_of(row))
