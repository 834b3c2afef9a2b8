"""Duals outside of float64: closed forms at any precision with mpmath, certified balls for any activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from flint import arb

from derive import notation
from derive.activations import Activation
from derive.duals.evaluation import enclosure
from derive.duals.functions import precise_bivariate_tail
from derive.duals.integration import gaussian_mean
from derive.duals.theorems import ClosedForm, mean_theorem
from derive.duals.work import Work

_ARGUMENTS = notation.a, notation.b, notation.c, notation.D


def precise_closed_form(expression: sp.Expr) -> Callable[..., Any]:
    """Return a closed form in (a, b, c, D) as an mpmath function, for any precision set by the caller."""
    names = {"BivariateTail": precise_bivariate_tail}
    function: Callable[..., Any] = sp.lambdify(_ARGUMENTS, expression, [names, "mpmath"])
    return function


def certified_closed_form(form: ClosedForm) -> Callable[..., arb]:
    """Return a closed form as a function of exact (a, b, c) and digits that returns a ball around its value."""

    def certified(a: Any, b: Any, c: Any, digits: int = 40) -> arb:
        return enclosure(form.expression, a, b, c, digits)

    return certified


def certified_dual(activation: Activation, order: int = 0) -> Callable[..., arb]:
    """Return E[phi phi], or E[phi' phi'] for order 1, as a function of exact (a, b, c) and digits that returns a ball.

    The closed form is evaluated if there is one, and the variances are not zero; else the activation is integrated, for
    which a last argument says what it may cost (:class:`derive.duals.work.Work`).

    Raises:
        NotEnclosed, NotIntegrable: by the function, where the mean does not exist or cannot be enclosed; TooMuchWork
            where that would take more work than allowed.
    """
    right = mean_theorem(activation, order).rhs
    closed = certified_closed_form(right) if isinstance(right, ClosedForm) else None
    expression = activation.derivative if order else activation.expression

    def certified(a: Any, b: Any, c: Any, digits: int = 40, work: Work | None = None) -> arb:
        if closed is None or a == 0 or b == 0:
            return gaussian_mean(expression, expression, a, b, c, digits, work)
        return closed(a, b, c, digits)

    return certified
