"""Gauss-Legendre rules on parts of an axis, with proven bounds of their errors.

With n nodes on [-1, 1], and an integrand that M bounds on the ellipse with foci 1, -1 and half axes of sum R,

    |integral - rule| <= (64/15) M R^(-2n) / (1 - R^(-2)),

since Chebyshev coefficients are at most 2 M R^(-k), those of odd degree or of degree below 2n do no harm, and each
other enters with at most 2 + 2/15 (Trefethen, Approximation Theory and Approximation Practice, theorem 19.3). M comes
from complex boxes that cover the ellipse; there ``|exp(-x^2/2)| = exp((Im x)^2/2 - (Re x)^2/2)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from operator import mul
from typing import Any

import sympy as sp
from flint import acb, arb, ctx

from derive.duals.balls import NotIntegrable, operations, values
from derive.duals.work import OF_A_POINT, Work

_COUNTS = (16, 24, 32, 48, 64, 96, 128)
"""Numbers of nodes of a rule; few, so that rules are shared."""
_WORTH_HALVING, HALVINGS = 96, 40
"""Rules with more nodes are held against rules on both halves; how often."""
_STRIPS, _BOX_HALVINGS, _MOST_OPEN_BOXES = 16, 4, 64
"""Boxes that cover an ellipse; how often one is halved where nothing finite comes out, and how many at once."""
_WIDE, _PARTS = 0.05, 8
"""Radius from which a shift is taken in parts, and how many."""
ROUNDS, _WORTH_A_ROUND = 40, 0.75
"""How often strips that a norm is bounded on are halved, at most, and by what factor the bound has to fall; chosen."""
_INFINITY = arb.pos_inf()


@dataclass(frozen=True, slots=True)
class Smooth:
    """The function ``x -> f(shift + scale x)`` for a smooth f; the shift may be an interval, for all that is in it."""

    expression: sp.Expr
    scale: arb
    shift: arb
    work: Work = field(default_factory=Work, compare=False)

    def at(self, points: Sequence[Any]) -> list[Any]:
        """Return balls that contain the values; a wide shift is taken in parts, since wide balls overestimate."""
        shifts = [self.shift]
        if self.shift.rad() > _WIDE:
            part = self.shift.rad() / _PARTS
            shifts = [self.shift.mid() + part * n + within(part) for n in range(1 - _PARTS, _PARTS, 2)]
        self.work.spend(len(shifts) * len(points) * (operations(self.expression) + OF_A_POINT))
        found = [values(self.expression, [shift + self.scale * x for x in points]) for shift in shifts]
        return [reduce(lambda hull, ball: hull.union(ball), balls) for balls in zip(*found, strict=True)]


@dataclass(frozen=True, slots=True)
class Weight:
    """A factor of an integrand that is at most ``exp(growth (Im x)^2 - decay (Re x)^2)`` where ``|Re x| <= limit``."""

    decay: arb
    growth: arb
    limit: arb = _INFINITY

    def on(self, box: acb) -> arb:
        """Return the bound on a box."""
        if not box.real.abs_upper() <= self.limit:
            return arb.pos_inf()
        return (self.growth * box.imag.abs_upper() ** 2 - self.decay * box.real.abs_lower() ** 2).exp()


STANDARD = Weight(arb(1) / 2, arb(1) / 2)
"""The density of a standard normal without its constant."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A rule on an interval and a bound of its error; a rule without nodes where the integral is that small itself.

    Equal, as keys, are rules of as many nodes on the same interval.
    """

    low: arb
    high: arb
    count: int
    error: arb

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what equal rules have in common."""
        return self.low.repr(), self.high.repr(), self.count

    @property
    def radius(self) -> arb:
        """Return half the length of the interval."""
        return (self.high - self.low) / 2

    @property
    def span(self) -> arb:
        """Return the interval as one ball."""
        return self.low.union(self.high)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Panel) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def nodes(self) -> list[tuple[arb, arb]]:
        """Return nodes and weights."""
        middle, half = (self.low + self.high) / 2, self.radius
        return [(middle + half * x, half * w) for x, w in _legendre(self.count, ctx.prec)]


@lru_cache
def _legendre(count: int, bits: int) -> list[tuple[arb, arb]]:
    return [arb.legendre_p_root(count, k, True) for k in range(count)]


def rules_on(
    functions: Sequence[Smooth], low: arb, high: arb, weight: Weight, tolerance: arb, halvings: int = HALVINGS
) -> list[Panel]:
    """Return rules that cover an interval on which the functions are smooth, each within the tolerance.

    Raises:
        NotIntegrable: if the product has a singularity on the interval or very near.
    """
    if any(f.expression == 0 for f in functions):
        return []
    whole = _panel(functions, low, high, weight, tolerance)
    if whole is not None and whole.count <= _WORTH_HALVING:
        return [whole]
    if not halvings:
        first = functions[0]
        raise NotIntegrable(f"{first.expression} is not analytic near z = {float(first.shift + first.scale * low):.3g}")
    middle = ((low + high) / 2).mid()
    parts = [
        panel
        for ends in ((low, middle), (middle, high))
        for panel in rules_on(functions, *ends, weight, tolerance, halvings - 1)
    ]
    return parts if whole is None or sum(p.count for p in parts) < whole.count else [whole]


def _panel(functions: Sequence[Smooth], low: arb, high: arb, weight: Weight, tolerance: arb) -> Panel | None:
    """Return the shortest rule for a weighted product with a given absolute error; nothing if none is short enough."""
    total = integral_bound(functions, low, high, weight)
    if total <= tolerance:
        return Panel(low, high, 0, total)
    half = (high - low) / 2
    height, least = half, half / 16
    if total.is_finite():  # to gain a factor takes R^(2n) of that size, with R = exp(arsinh(height / half))
        gain = (total / tolerance).log()
        height = (gain / weight.growth).sqrt().min(half * (gain / _COUNTS[0]).sinh())
        least = half * (gain / (2 * _COUNTS[-1])).sinh()
    if not _remainder(functions, low, high, weight, least).factor.is_finite():
        return None
    best, shortest = None, math.inf
    while height >= least:
        found = _remainder(functions, low, high, weight, height)
        needed = found.count(tolerance)
        if needed < shortest:
            best, shortest = found, needed
        elif best is not None:
            break
        height *= 0.7
    count = next((n for n in _COUNTS if n >= shortest), None)
    return None if best is None or count is None else Panel(low, high, count, best.bound(count))


@dataclass(frozen=True, slots=True)
class _Remainder:
    """The bound ``factor ratio^(-2n)`` of the error of the rule with n nodes, n >= 2."""

    factor: arb
    ratio: arb

    def bound(self, count: int) -> arb:
        return self.factor / self.ratio ** (2 * count)

    def count(self, tolerance: arb) -> float:
        """Return how many nodes bring the bound down to a tolerance."""
        if not self.factor.is_finite():
            return math.inf
        return float(((self.factor / tolerance).log() / (2 * self.ratio.log())).upper())


def _remainder(functions: Sequence[Smooth], low: arb, high: arb, weight: Weight, height: arb) -> _Remainder:
    """Return the bound for a weighted product that follows from an ellipse of given height."""
    half = (high - low) / 2
    ratio = (height + (half**2 + height**2).sqrt()) / half
    largest = reduce(arb.max, suprema_on(functions, _ellipse(low, high, height), weight, _BOX_HALVINGS))
    return _Remainder(arb(64) / 15 * half * largest / (1 - ratio**-2), ratio)


def integral_bound(functions: Sequence[Smooth], low: arb, high: arb, weight: Weight, rounds: int = 0) -> arb:
    """Return a bound of the integral of the absolute value of a weighted product, from its suprema on strips.

    Strips that hold more than their share of the bound are halved, in so many rounds at most, as long as it pays. So a
    narrow peak is seen to be narrow.
    """
    strips, bound = strips_of(low, high), arb.pos_inf()
    suprema = suprema_on(functions, strips, weight, HALVINGS)
    for left in range(rounds, -1, -1):
        parts = [size * (box.real.upper() - box.real.lower()) for size, box in zip(suprema, strips, strict=True)]
        before, bound = bound, bound.min(sum(parts, arb(0)))
        if not (left and bound.is_finite() and bound < before * _WORTH_A_ROUND):
            break
        heavy = {n for n, part in enumerate(parts) if part * len(parts) > bound}
        halves = [half for n in sorted(heavy) for half in _halves(strips[n])]
        suprema = [size for n, size in enumerate(suprema) if n not in heavy]
        strips = [strip for n, strip in enumerate(strips) if n not in heavy]
        suprema += suprema_on(functions, halves, weight, HALVINGS)
        strips += halves
    return bound


def suprema_on(functions: Sequence[Smooth], boxes: Sequence[acb], weight: Weight, halvings: int) -> list[arb]:
    """Return bounds of the absolute value of a weighted product on each box, infinite where none is found."""
    sizes = [value.abs_upper() for value in _product(functions, boxes)]
    found = [
        size * weight.on(box) if size.is_finite() else arb.pos_inf() for size, box in zip(sizes, boxes, strict=True)
    ]
    open_ = [n for n, size in enumerate(sizes) if not size.is_finite()]
    if halvings and 0 < len(open_) <= _MOST_OPEN_BOXES:
        halves = suprema_on(functions, [half for n in open_ for half in _halves(boxes[n])], weight, halvings - 1)
        for n, first, second in zip(open_, halves[::2], halves[1::2], strict=True):
            found[n] = first.max(second)
    return found


def _product(functions: Sequence[Smooth], points: Sequence[Any]) -> list[Any]:
    return [reduce(mul, factors) for factors in zip(*(f.at(points) for f in functions), strict=True)]


def _ellipse(low: arb, high: arb, height: arb) -> list[acb]:
    """Return boxes that cover the upper half of the ellipse with the ends of an interval as foci."""
    middle, half = (low + high) / 2, (high - low) / 2
    width = (half**2 + height**2).sqrt()
    boxes = []
    for n in range(-_STRIPS, _STRIPS, 2):
        left, right = arb(n) / _STRIPS, arb(n + 2) / _STRIPS
        top = height * (1 - left.abs_lower().min(right.abs_lower()) ** 2).sqrt()
        boxes.append(acb((middle + width * left).union(middle + width * right), arb(0).union(top)))
    return boxes


def strips_of(low: arb, high: arb, count: int = _STRIPS) -> list[acb]:
    """Return intervals that cover an interval."""
    step = (high - low) / count
    return [acb((low + n * step).union(low + (n + 1) * step)) for n in range(count)]


def _halves(box: acb) -> tuple[acb, acb]:
    x, y = box.real, box.imag
    if x.rad() > y.rad():
        return acb(x.lower().union(x.mid()), y), acb(x.mid().union(x.upper()), y)
    return acb(x, y.lower().union(y.mid())), acb(x, y.mid().union(y.upper()))


def within(radius: arb) -> arb:
    """Return the ball around 0 of a radius."""
    return arb(0, 1) * radius
