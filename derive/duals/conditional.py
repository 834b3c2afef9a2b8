"""Means of two functions at nearly degenerate pairs: ``E[F(x) E[G(r x + s y) | x]]`` for independent x and y.

The inner mean is an entire function of x that grows by ``exp((r Im x)^2 / (2 s^2))``, and a mean of analytic functions
of x where no break point of G is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import sympy as sp
from flint import arb

from derive.duals.axes import (
    Axis,
    Enclosure,
    Function,
    covering,
    cut_points,
    mean_on_line,
    root_of_two_pi,
    sampled,
    summed,
    total_error,
)
from derive.duals.balls import NotIntegrable
from derive.duals.panels import HALVINGS, STANDARD, Panel, Smooth, Weight, rules_on, strips_of, suprema_on, within


@dataclass(frozen=True, slots=True)
class _Inner:
    """The means E[G(r x + s n)] over a standard normal n, by integrals over |n| <= reach.

    Attributes:
        function, r, s, reach: what the formula says.
        tolerance: of the rules.
        largest: bound of E|G(r x + s n)| for all x with ``|x| <= 2 reach``.
        missed: bound of the part of it from |n| > reach.
    """

    function: Function
    r: arb
    s: arb
    reach: arb
    tolerance: arb
    largest: arb
    missed: arb

    def swept(self, low: arb, high: arb) -> Smooth | None:
        """Return G(r x + s n) as a function of x, for all n at once, if it is smooth on an interval."""
        near = self.s * self.reach
        for t in self.function.break_points:
            first, second = self.r * low - t, self.r * high - t
            if not ((first > near and second > near) or (first < -near and second < -near)):
                return None
        scale = self.function.scale
        work = self.function.work
        return Function(self.function.pieces, scale * self.r, within(scale * near), work).on(low, high)

    def rules(self, at: arb) -> list[Panel]:
        """Return rules for one x."""
        given = self._given(at)
        return covering(given, cut_points(given.break_points, [], self.reach), STANDARD, self.tolerance)

    def common_rules(self, expression: sp.Expr, low: arb, high: arb) -> list[Panel]:
        """Return rules for all x of an interval on which G is one smooth expression."""
        given = self._given(low.union(high))
        functions = [Smooth(expression, given.scale, given.shift, given.work)]
        return rules_on(functions, -self.reach, self.reach, STANDARD, self.tolerance)

    def mean(self, at: arb, rules: Sequence[Panel]) -> arb:
        """Return a ball that contains the mean, and the part of it from |n| <= reach."""
        total = summed(sampled(self._given(at), rules), STANDARD.decay)
        return (total + within(total_error(rules))) / root_of_two_pi() + within(self.missed)

    def _given(self, at: arb) -> Function:
        scale = self.function.scale
        return Function(self.function.pieces, scale * self.s, scale * self.r * at, self.function.work)


def _inner(g: Function, r: arb, s: arb, reach: arb, tolerance: arb) -> _Inner:
    """Return inner means with their bounds.

    Raises:
        NotIntegrable: if |G| is not bounded well enough far out.
    """
    far = (2 * abs(r) + s) * reach
    largest = arb(0)
    for low, high in pairwise(cut_points(g.break_points, [arb(0)], far)):
        flat = Weight(arb(0), arb(0))
        largest = reduce(arb.max, suprema_on([g.on(low, high)], strips_of(low, high), flat, HALVINGS), largest)
    missed = largest * (reach / arb(2).sqrt()).erfc()
    for side in (1, -1):  # G(y) with y beyond far, where n is beyond reach by the distance of y to far over s
        bound = g.beyond(far, side)
        slope = reach - s * (bound.rate + 2 * bound.curvature * far)
        if not (slope > 0 and bound.curvature * s**2 < STANDARD.decay):
            raise NotIntegrable(
                "the mean is not known to exist: g(v) may grow as fast as its density falls off, given u"
            )
        missed += bound.size * (-(reach**2) / 2).exp() / (slope * root_of_two_pi())
    return _Inner(g, r, s, reach, tolerance, largest + missed, missed)


def conditional(x: Axis, y: Axis, r: arb, square: arb, digits: int) -> Enclosure:
    """Return the mean of F(x) E[G(r x + s n) | x]."""
    f, g, reach, s = x.function, y.function, x.cuts[-1], square.sqrt()
    inner = _inner(g, r, s, reach, (y.norm + y.tail) / 10**digits)
    edges = [((t + side * 1.001 * s * reach) / r).mid() for t in g.break_points for side in (1, -1)]
    total = arb(0)
    error = x.norm * inner.missed  # x.decay <= 1/2, so the norm bounds the integral of |F(x)| exp(-x^2/2)
    error += x.tail * (y.norm + y.tail) / (s * root_of_two_pi())
    for low, high in pairwise(cut_points(f.break_points, edges, reach)):
        swept = inner.swept(low, high)
        if swept is None:
            weight, factor = Weight(STANDARD.decay, 1 / (2 * square), 2 * reach), inner.largest
            panels = rules_on([f.on(low, high)], low, high, weight, x.norm * inner.tolerance / factor)
        else:
            factor = arb(1)
            panels = rules_on([f.on(low, high), swept], low, high, STANDARD, x.norm * inner.tolerance)
        for panel in panels:
            common = inner.common_rules(swept.expression, panel.low, panel.high) if swept and panel.count else None
            terms = sampled(f, [panel])[0].terms(STANDARD.decay)
            for (at, _), term in zip(panel.nodes(), terms, strict=True):
                rules = inner.rules(at) if common is None else common
                total += term * inner.mean(at, rules)
            error += panel.error * factor
    return Enclosure(
        (total + within(error)) / root_of_two_pi(), mean_on_line(f, digits).scale * mean_on_line(g, digits).scale
    )
