"""SymPy's slow operations on functions of one variable, remembered: modes of different theorems have them in common."""

from __future__ import annotations

from functools import cache

import sympy as sp


@cache
def limit(function: sp.Expr, variable: sp.Symbol, point: sp.Expr) -> sp.Expr:
    """Return the limit of a function.

    Raises:
        NotImplementedError: if SymPy does not find it.
    """
    return sp.limit(function, variable, point)


@cache
def integral(function: sp.Expr, variable: sp.Symbol, end: sp.Expr) -> sp.Expr:
    """Return the integral of a function from 0 to the end."""
    return sp.integrate(function, (variable, 0, end))


@cache
def recurrence(change: sp.Expr, unknown: sp.Expr, start: sp.Expr) -> sp.Expr:
    """Return the sequence ``unknown``, y(t), whose recurrence is ``change = 0`` and that begins with ``start`` at 0."""
    return sp.rsolve(change, unknown, {unknown.func(0): start})


@cache
def flow(rate: sp.Expr, unknown: sp.Expr, start: sp.Expr) -> sp.Expr:
    """Return the function ``unknown``, y(t), whose derivative is ``rate`` and that is ``start`` at 0."""
    (t,) = unknown.args
    return sp.dsolve(sp.Eq(unknown.diff(t), rate), unknown, ics={unknown.func(0): start}).rhs
