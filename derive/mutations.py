"""Ways to make a statement wrong: planted errors that every check must catch."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from derive.notation import sigma_b, sigma_w
from derive.terms import Atom, Delta, Expression, Factor, Mean

PERCENT_2 = sp.Rational(51, 50)
"""A constant that is wrong by 2 %."""


def scaled(expression: Expression, factor: sp.Expr = PERCENT_2) -> Expression:
    """Return the expression times a constant."""
    result: Expression = factor * expression
    return result


def swapped_sigmas(expression: Expression) -> Expression:
    """Return the expression with sigma_w and sigma_b exchanged."""
    return recoefficiented(expression, lambda c: c.subs({sigma_w: sigma_b, sigma_b: sigma_w}, simultaneous=True))


def recoefficiented(expression: Expression, change: Callable[[sp.Expr], sp.Expr]) -> Expression:
    """Return the expression with every coefficient changed."""
    return Expression((bound, factors, change(c)) for bound, factors, c in expression)


def without(expression: Expression, drop: Callable[[tuple[Factor, ...], sp.Expr], bool]) -> Expression:
    """Return the expression without the terms that ``drop`` selects by factors and coefficient."""
    return Expression((bound, factors, c) for bound, factors, c in expression if not drop(factors, c))


def only_scaled(
    expression: Expression, which: Callable[[tuple[Factor, ...], sp.Expr], bool], factor: sp.Expr = PERCENT_2
) -> Expression:
    """Return the expression with the selected terms times a constant."""
    return Expression((bound, factors, factor * c if which(factors, c) else c) for bound, factors, c in expression)


def without_deltas(
    expression: Expression, which: Callable[[tuple[Factor, ...], sp.Expr], bool] = lambda factors, c: True
) -> Expression:
    """Return the expression with the deltas of the selected terms dropped: what is diagonal becomes full."""
    return Expression(
        (bound, tuple(f for f in factors if not (isinstance(f, Delta) and which(factors, c))), c)
        for bound, factors, c in expression
    )


def renamed(expression: Expression, change: Callable[[Atom], Atom]) -> Expression:
    """Return the expression with atoms changed, those inside means too."""
    return expression.map_atoms(change)


def is_bias(factors: tuple[Factor, ...], coefficient: sp.Expr) -> bool:
    """Return whether a term is the one of the biases."""
    return bool(coefficient.has(sigma_b) and not coefficient.has(sigma_w))


def has_atom(head: str) -> Callable[[tuple[Factor, ...], sp.Expr], bool]:
    """Return a selector of the terms with an atom of this head, inside means too."""

    def inside(factor: Factor) -> bool:
        match factor:
            case Atom():
                return factor.head == head
            case Mean(body, _):
                return any(inside(f) for _, factors, _ in body for f in factors)
        return False

    return lambda factors, coefficient: any(map(inside, factors))
