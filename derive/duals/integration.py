"""Gaussian means E[f(u)] and E[f(u) g(v)] in ball arithmetic: numbers with a radius within which they certainly lie.

Functions stand on axes with rules whose errors are proven (:mod:`derive.duals.axes`, :mod:`derive.duals.panels`). Pairs
are integrated on the grid of two axes (:mod:`derive.duals.grids`), nearly degenerate ones by conditioning one variable
on the other (:mod:`derive.duals.conditional`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import TypeAlias

import sympy as sp
from flint import arb, ctx

from derive.duals.axes import Enclosure, Function, axis_of, mean_on_line, root_of_two_pi, sampled, total_error
from derive.duals.balls import NotIntegrable, constant, with_logistic_functions
from derive.duals.conditional import conditional
from derive.duals.grids import on_grid
from derive.duals.panels import STANDARD, within
from derive.duals.work import Work
from derive.notation import z
from derive.pieces import Piece, pieces, value_at

__all__ = ["NotIntegrable", "gaussian_mean", "hermite_coefficients", "mean"]


Exact: TypeAlias = sp.Rational | Fraction | int | float
_GUARDS = (4, 8, 16, 32)
"""Digits above those asked for, in the order in which they are tried."""
_NEARLY_DEGENERATE = 1e-3
"""Value of 1 - r^2 below which y is conditioned on x."""
_LOST_BITS = 8
"""Bits that balls cost in the recurrence of Hermite polynomials, over the root of their number times the digits: radii
grow by up to ``exp(2 x sqrt(k))``, and x^2 up to four times as the logarithm of what is left out; chosen."""


def mean(f: sp.Expr, a: Exact, digits: int = 40, work: Work | None = None) -> arb:
    """Return a ball that contains E[f(u)] for a centred Gaussian u.

    Args:
        f: a function of z, analytic between its break points and up to them.
        a: the variance, exact; a float stands for its binary value.
        digits: the radius is at most ``10^-digits E|f(u)|``, or below ``10^(-3 digits)``.
        work: what it may cost, :data:`derive.duals.work.MOST_OPERATIONS` by default.

    Raises:
        NotIntegrable: if the mean does not exist or cannot be enclosed; TooMuchWork if not with so much work.
        NotPiecewise: if the break points cannot be found.
        ValueError: if the variance is negative or not rational, or digits is not positive.
    """
    variance = _rational(a)
    if variance < 0:
        raise ValueError(f"expected a variance >= 0, got {a}")
    if variance == 0:
        with ctx.workprec(_bits(digits)):
            return constant(value_at(f, sp.S.Zero))
    parts, work = _smooth_pieces(f), work or Work()
    return _refined(
        lambda enough: mean_on_line(Function(parts, constant(sp.sqrt(variance)), work=work), enough), digits
    )


def hermite_coefficients(
    f: sp.Expr, a: Exact, count: int, digits: int = 25, work: Work | None = None
) -> tuple[arb, ...]:
    """Return balls that contain ``A_k = E[f(sqrt(a) x) He_k(x)] / sqrt(k!)`` for all k < count, x standard normal.

    All are sums over one set of rules. Mehler's formula bounds the Hermite polynomials off the axis: with 0 < r < 1

        |He_k(x + iy)|^2 r^k / k! <= sum_j r^j |He_j(x + iy)|^2 / j!
                                   = exp(r x^2 / (1 + r) + r y^2 / (1 - r)) / sqrt(1 - r^2).

    Args:
        f: a function of z, analytic between its break points and up to them.
        a: the variance, exact, above 0.
        count: how many.
        digits: of accuracy relative to the integral of ``|f(sqrt(a) x)| exp(-x^2/4)``, about.
        work: as for :func:`mean`.

    Raises:
        NotIntegrable, NotPiecewise, ValueError: as :func:`mean`.
    """
    variance = _rational(a)
    if variance <= 0:
        raise ValueError(f"expected a variance above 0, got {a}")
    with ctx.workprec(_bits(digits) + math.ceil(_LOST_BITS * math.sqrt(count * digits))):
        work = work or Work()
        function = Function(_smooth_pieces(f), constant(sp.sqrt(variance)), work=work)
        r = 1 - arb(1) / (count + 1)  # then r^-k is of order one
        axis = axis_of(function, 1 / (2 * (1 + r)), digits)
        panels = axis.panels(1 / (2 * (1 - r)), digits)
        largest = r ** (-arb(count) / 2) / (1 - r * r) ** (arb(1) / 4)
        error = within(largest * (axis.tail + total_error(panels)) / root_of_two_pi())
        now = [term / root_of_two_pi() for at in sampled(function, panels) for term in at.terms(STANDARD.decay)]
        x = [node for panel in panels for node, _ in panel.nodes()]
        before, found = [arb(0)] * len(x), []
        work.spend(count * len(x))
        for k in range(count):
            found.append(sum(now, error))
            back, on = arb(k).sqrt(), 1 / arb(k + 1).sqrt()
            before, now = now, [(t * h - back * g) * on for t, h, g in zip(x, now, before, strict=True)]
    return tuple(found)


def gaussian_mean(
    f: sp.Expr, g: sp.Expr, a: Exact, b: Exact, c: Exact, digits: int = 40, work: Work | None = None
) -> arb:
    """Return a ball that contains E[f(u) g(v)] for a centred Gaussian pair (u, v).

    Args:
        f: a function of z, analytic between its break points and up to them.
        g: another.
        a: the variance of u, exact; a float stands for its binary value.
        b: the variance of v.
        c: the covariance; degenerate pairs, ``c^2 = ab``, are allowed.
        digits: the radius is at most 10^-digits times the larger of ``E|f(u)| E|g(v)|`` and ``|E[f(u) g(v)]|``, for a
            degenerate pair times ``E|f(u) g(v)|``, or it is below ``10^(-3 digits)``.
        work: as for :func:`mean`.

    Raises:
        NotIntegrable, NotPiecewise: as :func:`mean`.
        ValueError: if there is no such pair, a number is not rational, or digits is not positive.
    """
    pair = first, second, covariance = _rational(a), _rational(b), _rational(c)
    if first < 0 or second < 0 or covariance**2 > first * second:
        raise ValueError(f"expected variances a, b >= 0 and c^2 <= ab, got a = {a}, b = {b}, c = {c}")
    if first == 0 or second == 0:
        with ctx.workprec(_bits(digits)):
            return mean(f, first, digits, work) * mean(g, second, digits, work)
    if covariance**2 == first * second:  # v = (c/a) u
        return mean(f * g.xreplace({z: covariance / first * z}), first, digits, work)
    parts, other_parts, work = _smooth_pieces(f), _smooth_pieces(g), work or Work()

    def attempt(enough: int) -> Enclosure:
        roots = constant(sp.sqrt(first)), constant(sp.sqrt(second))
        functions = Function(parts, roots[0], work=work), Function(other_parts, roots[1], work=work)
        return _plane(*functions, pair, enough)

    return _refined(attempt, digits)


def _plane(f: Function, g: Function, pair: tuple[sp.Rational, ...], digits: int) -> Enclosure:
    """Return E[f(u) g(v)] for a pair that is not degenerate."""
    a, b, c = pair
    r, square = constant(c) / constant(a * b).sqrt(), constant(1 - c**2 / (a * b))
    growth = 1 / (2 * square)
    first, second = (growth - _curvature(h) for h in (f, g))
    if not (first > 0 and second > 0 and first * second > (r * growth) ** 2):
        raise NotIntegrable("the mean is not known to exist: f(u) g(v) may grow as fast as the density falls off")
    t = (first / second).sqrt()  # leaves positive rates to both variables whenever some t does
    x = axis_of(f, growth * (1 - abs(r) * t), digits)
    y = axis_of(g, growth * (1 - abs(r) / t), digits)
    if square < _NEARLY_DEGENERATE:
        return conditional(x, y, r, square, digits)
    return on_grid(x, y, pair, digits)


def _curvature(function: Function) -> arb:
    """Return a bound of k in the growth ``exp(k x^2)`` of a function, at least 0."""
    return reduce(arb.max, (function.beyond(arb(10), side).curvature for side in (1, -1)), arb(0))


def _smooth_pieces(f: sp.Expr) -> tuple[Piece, ...]:
    """Return the pieces of a function, written so that balls bound them well."""
    return tuple(replace(piece, expression=with_logistic_functions(piece.expression)) for piece in pieces(f))


def _rational(number: Exact) -> sp.Rational:
    """Return an exact number as SymPy's; a float is its binary value."""
    if isinstance(number, Fraction | int) or (isinstance(number, float) and math.isfinite(number)):
        return sp.Rational(*number.as_integer_ratio())
    if isinstance(number, sp.Rational):
        return number
    raise ValueError(f"expected an integer, a fraction or a finite float, got {number!r}")


def _bits(digits: int) -> int:
    """Return the working precision: enough digits, and some for rounding errors."""
    if digits < 1:
        raise ValueError(f"expected at least one digit, got {digits}")
    return math.ceil(digits * math.log2(10)) + 40


def _refined(attempt: Callable[[int], Enclosure], digits: int) -> arb:
    """Return a ball whose radius is small enough, from attempts with more and more digits."""
    for guard in _GUARDS:
        with ctx.workprec(_bits(digits) + math.ceil(guard * math.log2(10))):
            found = attempt(digits + guard)
            allowed = found.scale.max(abs(found.value)) / 10**digits
            if found.value.rad() <= allowed or found.value.rad() <= arb(10) ** (-3 * digits):
                return found.value
    raise NotIntegrable(f"expected {digits} digits, got {found.value} on a scale of {found.scale.str(3, radius=False)}")
