"""Gaussian means E[f(u) g(v)] in ball arithmetic: numbers with a radius within which the mean certainly lies.

Rules. Break points cut the line into intervals on which ``F(x) = f(sqrt(a) x)`` is analytic. On each, or on parts of
it, stands a Gauss-Legendre rule. With n nodes on [-1, 1], and an integrand that M bounds on the ellipse with foci 1, -1
and half axes of sum R,

    |integral - rule| <= (64/15) M R^(-2n) / (1 - R^(-2)),

since Chebyshev coefficients are at most 2 M R^(-k), those of odd degree or of degree below 2n do no harm, and each
other enters with at most 2 + 2/15 (Trefethen, Approximation Theory and Approximation Practice, theorem 19.3). M comes
from complex boxes that cover the ellipse; there ``|exp(-x^2/2)| = exp((Im x)^2/2 - (Re x)^2/2)``.

Two dimensions. For correlation r, ``s^2 = 1 - r^2`` and any t > 0 the density of ``(u/sqrt(a), v/sqrt(b))`` is at most

    exp(-p x^2 - q y^2) / (2 pi s),    p = (1 - |r| t) / (2 s^2),    q = (1 - |r|/t) / (2 s^2),

and at complex x at most ``exp((Im x)^2 / (2 s^2))`` times that. So errors and tails in x multiply with the integral of
``|G(y)| exp(-q y^2)`` and conversely. The density on a product of rules is kept: at one pair (a, b, c), functions with
the same break points share it.

Nearly degenerate pairs are integrated as ``E[F(x) E[G(r x + s y) | x]]`` for independent x and y. The inner mean is an
entire function of x that grows by ``exp((r Im x)^2 / (2 s^2))``, and a mean of analytic functions of x where no break
point of G is near.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import pairwise
from operator import add, mul
from typing import Any, TypeAlias

import sympy as sp
from flint import acb, arb, arb_mat, ctx

from derive.duals.balls import Exponential, NotIntegrable, Ray, constant, operations, values, with_logistic_functions
from derive.duals.work import Work
from derive.notation import z
from derive.pieces import Piece, pieces, value_at

__all__ = ["NotIntegrable", "gaussian_mean", "mean"]

Exact: TypeAlias = sp.Rational | Fraction | int | float

_COUNTS = (16, 24, 32, 48, 64, 96, 128)
"""Numbers of nodes of a rule; few, so that rules are shared."""
_WORTH_HALVING, _PANEL_HALVINGS = 96, 40
"""Rules with more nodes are held against rules on both halves; how often."""
_STRIPS, _BOX_HALVINGS, _MOST_OPEN_BOXES = 16, 4, 64
"""Boxes that cover an ellipse; how often one is halved where nothing finite comes out, and how many at once."""
_WIDE, _PARTS = 0.05, 8
"""Radius from which a shift is taken in parts, and how many."""
_ROUNDS, _WORTH_A_ROUND = 40, 0.75
"""How often strips that a norm is bounded on are halved, at most, and by what factor the bound has to fall; chosen."""
_MOST_STEPS, _GUARDS = 16, (4, 8, 16, 32)
"""How often an axis is made longer; digits above those asked for, in the order in which they are tried."""
_NEARLY_DEGENERATE = 1e-3
"""Value of 1 - r^2 below which y is conditioned on x."""
_LOST_BITS = 8
"""Bits that balls cost in the recurrence of Hermite polynomials, over the root of their number times the digits: radii
grow by up to ``exp(2 x sqrt(k))``, and x^2 up to four times as the logarithm of what is left out; chosen."""
_OF_A_POINT = 4
"""Operations that a point costs besides the value of a function; measured."""
_MOST_MOMENTS = 24
"""Powers that the density is expanded in between two small rules, at most; from there on its values cost less."""
_ORIGIN, _INFINITY = arb(0), arb.pos_inf()


@dataclass(frozen=True, slots=True)
class _Smooth:
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
            shifts = [self.shift.mid() + part * n + _within(part) for n in range(1 - _PARTS, _PARTS, 2)]
        self.work.spend(len(shifts) * len(points) * (operations(self.expression) + _OF_A_POINT))
        found = [values(self.expression, [shift + self.scale * x for x in points]) for shift in shifts]
        return [reduce(lambda hull, ball: hull.union(ball), balls) for balls in zip(*found, strict=True)]


@dataclass(frozen=True, slots=True)
class _Function:
    """The function ``x -> f(shift + scale x)`` for a piecewise smooth f."""

    pieces: tuple[Piece, ...]
    scale: arb
    shift: arb = _ORIGIN
    work: Work = field(default_factory=Work, compare=False)

    @property
    def break_points(self) -> list[arb]:
        return [(constant(piece.low) - self.shift) / self.scale for piece in self.pieces[1:]]

    def on(self, low: arb, high: arb) -> _Smooth:
        """Return what the function is between neighbouring break points."""
        inside = (self.shift + self.scale * (low + high) / 2).mid()
        for piece in self.pieces:
            after = piece.low == -sp.oo or inside > constant(piece.low)
            if after and (piece.high == sp.oo or inside < constant(piece.high)):
                return _Smooth(piece.expression, self.scale, self.shift, self.work)
        raise NotIntegrable(f"two ends of intervals near {float(inside):.17g} cannot be told apart")

    def beyond(self, reach: arb, side: int) -> Exponential:
        """Return a bound of the absolute value where ``side x >= reach``, for a function without shift."""
        t = reach * self.scale
        bounds = []
        for piece in self.pieces:
            low, high = (piece.low, piece.high) if side > 0 else (-piece.high, -piece.low)
            start = t if low == -sp.oo else t.max(constant(low))
            end = arb.pos_inf() if high == sp.oo else constant(high)
            if not end <= start:
                bounds.append(Ray(t, start, end).bound(piece.expression.xreplace({z: side * z})))
        total = reduce(add, bounds)
        return Exponential(total.size, total.rate * self.scale, total.curvature * self.scale**2)


@dataclass(frozen=True, slots=True)
class _Weight:
    """A factor of an integrand that is at most ``exp(growth (Im x)^2 - decay (Re x)^2)`` where ``|Re x| <= limit``."""

    decay: arb
    growth: arb
    limit: arb = _INFINITY

    def on(self, box: acb) -> arb:
        if not box.real.abs_upper() <= self.limit:
            return arb.pos_inf()
        return (self.growth * box.imag.abs_upper() ** 2 - self.decay * box.real.abs_lower() ** 2).exp()


_STANDARD = _Weight(arb(1) / 2, arb(1) / 2)
"""The density of a standard normal without its constant."""


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """A rule on an interval and a bound of its error; a rule without nodes where the integral is that small itself.

    Equal, as keys, are rules of as many nodes on the same interval.
    """

    low: arb
    high: arb
    count: int
    error: arb

    @property
    def key(self) -> tuple[str, str, int]:
        return self.low.repr(), self.high.repr(), self.count

    @property
    def radius(self) -> arb:
        return (self.high - self.low) / 2

    @property
    def span(self) -> arb:
        return self.low.union(self.high)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Panel) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def nodes(self) -> list[tuple[arb, arb]]:
        """Return nodes and weights."""
        middle, half = (self.low + self.high) / 2, self.radius
        return [(middle + half * x, half * w) for x, w in _legendre(self.count, ctx.prec)]


@lru_cache
def _legendre(count: int, bits: int) -> list[tuple[arb, arb]]:
    return [arb.legendre_p_root(count, k, True) for k in range(count)]


def _product(functions: Sequence[_Smooth], points: Sequence[Any]) -> list[Any]:
    return [reduce(mul, factors) for factors in zip(*(f.at(points) for f in functions), strict=True)]


def _suprema(functions: Sequence[_Smooth], boxes: Sequence[acb], weight: _Weight, halvings: int) -> list[arb]:
    """Return bounds of the absolute value of a weighted product on each box, infinite where none is found."""
    sizes = [value.abs_upper() for value in _product(functions, boxes)]
    found = [
        size * weight.on(box) if size.is_finite() else arb.pos_inf() for size, box in zip(sizes, boxes, strict=True)
    ]
    open_ = [n for n, size in enumerate(sizes) if not size.is_finite()]
    if halvings and 0 < len(open_) <= _MOST_OPEN_BOXES:
        halves = _suprema(functions, [half for n in open_ for half in _halves(boxes[n])], weight, halvings - 1)
        for n, first, second in zip(open_, halves[::2], halves[1::2], strict=True):
            found[n] = first.max(second)
    return found


def _halves(box: acb) -> tuple[acb, acb]:
    x, y = box.real, box.imag
    if x.rad() > y.rad():
        return acb(x.lower().union(x.mid()), y), acb(x.mid().union(x.upper()), y)
    return acb(x, y.lower().union(y.mid())), acb(x, y.mid().union(y.upper()))


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


def _strips(low: arb, high: arb, count: int = _STRIPS) -> list[acb]:
    """Return intervals that cover an interval."""
    step = (high - low) / count
    return [acb((low + n * step).union(low + (n + 1) * step)) for n in range(count)]


def _integral_bound(functions: Sequence[_Smooth], low: arb, high: arb, weight: _Weight, rounds: int = 0) -> arb:
    """Return a bound of the integral of the absolute value of a weighted product, from its suprema on strips.

    Strips that hold more than their share of the bound are halved, in so many rounds at most, as long as it pays. So a
    narrow peak is seen to be narrow.
    """
    strips, bound = _strips(low, high), arb.pos_inf()
    suprema = _suprema(functions, strips, weight, _PANEL_HALVINGS)
    for left in range(rounds, -1, -1):
        parts = [size * (box.real.upper() - box.real.lower()) for size, box in zip(suprema, strips, strict=True)]
        before, bound = bound, bound.min(sum(parts, arb(0)))
        if not (left and bound.is_finite() and bound < before * _WORTH_A_ROUND):
            break
        heavy = {n for n, part in enumerate(parts) if part * len(parts) > bound}
        halves = [half for n in sorted(heavy) for half in _halves(strips[n])]
        suprema = [size for n, size in enumerate(suprema) if n not in heavy]
        strips = [strip for n, strip in enumerate(strips) if n not in heavy]
        suprema += _suprema(functions, halves, weight, _PANEL_HALVINGS)
        strips += halves
    return bound


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


def _remainder(functions: Sequence[_Smooth], low: arb, high: arb, weight: _Weight, height: arb) -> _Remainder:
    """Return the bound for a weighted product that follows from an ellipse of given height."""
    half = (high - low) / 2
    ratio = (height + (half**2 + height**2).sqrt()) / half
    largest = reduce(arb.max, _suprema(functions, _ellipse(low, high, height), weight, _BOX_HALVINGS))
    return _Remainder(arb(64) / 15 * half * largest / (1 - ratio**-2), ratio)


def _panel(functions: Sequence[_Smooth], low: arb, high: arb, weight: _Weight, tolerance: arb) -> _Panel | None:
    """Return the shortest rule for a weighted product with a given absolute error; nothing if none is short enough."""
    total = _integral_bound(functions, low, high, weight)
    if total <= tolerance:
        return _Panel(low, high, 0, total)
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
    return None if best is None or count is None else _Panel(low, high, count, best.bound(count))


def _panels(
    functions: Sequence[_Smooth], low: arb, high: arb, weight: _Weight, tolerance: arb, halvings: int = _PANEL_HALVINGS
) -> list[_Panel]:
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
        for panel in _panels(functions, *ends, weight, tolerance, halvings - 1)
    ]
    return parts if whole is None or sum(p.count for p in parts) < whole.count else [whole]


@dataclass(frozen=True, slots=True)
class _Axis:
    """A function F of one variable, where its axis is cut, and bounds of integrals of |F(x)| exp(-decay x^2).

    Attributes:
        function: the function.
        decay: the rate of the weight.
        cuts: break points, 0, and the ends of the axis, -reach and reach.
        norm, tail: bounds of the integral from -reach to reach, and of that over the rest.
    """

    function: _Function
    decay: arb
    cuts: list[arb]
    norm: arb
    tail: arb

    def panels(self, growth: arb, digits: int) -> list[_Panel]:
        """Return rules on the axis, each to 10^-digits of the norm, for a weight that grows with imaginary parts."""
        return _covering(self.function, self.cuts, _Weight(self.decay, growth), self.norm / 10**digits)


def _covering(function: _Function, cuts: Sequence[arb], weight: _Weight, tolerance: arb) -> list[_Panel]:
    """Return rules for a weighted function between the first and the last of given points."""
    ends = pairwise(cuts)
    return [panel for low, high in ends for panel in _panels([function.on(low, high)], low, high, weight, tolerance)]


def _axis(function: _Function, decay: arb, digits: int) -> _Axis:
    """Return an axis so long that its tail is below 10^-digits of its norm, or below 10^(-3 digits).

    Raises:
        NotIntegrable: if the function grows too fast for that.
    """
    shortest = math.sqrt(math.log(10) * digits / float(decay))
    for step in range(_MOST_STEPS):
        reach = arb(math.ceil(2 * shortest * 1.125**step)) / 2
        cuts = _cuts(function.break_points, [arb(0), reach / 2, -reach / 2], reach)
        norm = arb(0)
        for low, high in pairwise(cuts):
            smooth = function.on(low, high)
            norm += _integral_bound([smooth], low, high, _Weight(decay, arb(0)), _ROUNDS)
            if not norm.is_finite():
                raise NotIntegrable(
                    f"the mean is not known to exist: no bound of {smooth.expression} is found between z = "
                    f"{float(low * function.scale):.3g} and {float(high * function.scale):.3g}; write it without "
                    "singularities, removable and integrable ones included"
                )
        tail = sum((_tail(function.beyond(reach, side), decay, reach) for side in (1, -1)), arb(0))
        if tail <= norm / 10**digits or tail <= arb(10) ** (-3 * digits):
            return _Axis(function, decay, cuts, norm, tail)
    raise NotIntegrable(
        f"the mean is not known to exist: the integrand falls off too slowly up to {float(reach)} sigma"
    )


def _tail(bound: Exponential, decay: arb, reach: arb) -> arb:
    """Return a bound of the integral of ``bound exp(-decay x^2)`` from reach to infinity, by a geometric decay."""
    if not bound.curvature < decay:
        raise NotIntegrable(
            f"the mean is not known to exist: f grows like exp({float(bound.curvature):.6g} x^2) per standard deviation"
        )
    slope = 2 * (decay - bound.curvature) * reach - bound.rate
    return bound.size * (-decay * reach**2).exp() / slope if slope > 0 else arb.pos_inf()


def _cuts(break_points: Sequence[arb], others: Sequence[arb], reach: arb) -> list[arb]:
    """Return in order the break points between -reach and reach, both ends, and other points apart from these."""
    cuts = [-reach, *(x for x in break_points if not abs(x) >= reach), reach]
    for x in others:
        if abs(x) < reach and not any(x.overlaps(cut) for cut in cuts):
            cuts.append(x)
    return sorted(cuts, key=lambda cut: cut.mid())


@dataclass(frozen=True, slots=True)
class _Samples:
    """A function at the nodes of a rule, times the weights of the rule."""

    panel: _Panel
    values: list[arb]

    def terms(self, decay: arb) -> list[arb]:
        """Return the values times ``exp(-decay x^2)``."""
        nodes = self.panel.nodes()
        return [value * (-decay * x * x).exp() for (x, _), value in zip(nodes, self.values, strict=True)]


def _samples(function: _Function, panels: Sequence[_Panel]) -> list[_Samples]:
    result = []
    for panel in panels:
        nodes = panel.nodes()
        found = function.on(panel.low, panel.high).at([x for x, _ in nodes])
        result.append(_Samples(panel, [value * w for value, (_, w) in zip(found, nodes, strict=True)]))
    return result


def _total(samples: Sequence[_Samples], decay: arb) -> arb:
    return sum((term for at in samples for term in at.terms(decay)), arb(0))


def _total_size(samples: Sequence[_Samples], decay: arb) -> arb:
    return sum((abs(term) for at in samples for term in at.terms(decay)), arb(0))


def _total_error(panels: Sequence[_Panel]) -> arb:
    return sum((panel.error for panel in panels), arb(0))


@lru_cache(maxsize=256)
def _density(x: _Panel, y: _Panel, pair: tuple[sp.Rational, ...], bits: int) -> arb_mat:
    """Return the density of (u/sqrt(a), v/sqrt(b)) times ``2 pi s`` at all pairs of nodes, for a working precision."""
    a, b, c = pair
    square = constant(1 - c**2 / (a * b))
    rate = constant(c) / constant(a * b).sqrt() / square
    columns = [(t, t * t / (2 * square)) for t, _ in y.nodes()]
    rows = [(rate * t, t * t / (2 * square)) for t, _ in x.nodes()]
    return arb_mat([[(slope * t - of_x - of_y).exp() for t, of_y in columns] for slope, of_x in rows])


def _moments_needed(coupling: arb) -> int:
    """Return up to which power ``exp(t)`` has to be expanded for all ``|t| <= coupling``; 0 if that is too far."""
    most, term, wanted = float(coupling.upper()), 1.0, 2.0**-ctx.prec
    for k in range(1, _MOST_MOMENTS + 1):
        term *= most / k
        if term <= wanted:
            return k
    return 0


def _by_moments(x: _Samples, y: _Samples, rate: arb, growth: arb, count: int) -> arb:
    """Return the sum over two small rules of both functions and the density, from so many moments of each.

    Around the middles (x0, y0) only ``exp(rate (x - x0) (y - y0))`` couples the rules, and that is expanded.
    """
    middles = [(at.panel.low + at.panel.high) / 2 for at in (x, y)]
    moments, sizes = [], []
    for at, other in ((x, middles[1]), (y, middles[0])):
        nodes = [t for t, _ in at.panel.nodes()]
        terms = [value * (t * (rate * other - growth * t)).exp() for t, value in zip(nodes, at.values, strict=True)]
        moments.append(arb_mat([terms]) * _powers(at.panel, count, ctx.prec))
        sizes.append(sum(map(abs, terms), arb(0)))
    total, weight = arb(0), arb(1)
    for k in range(count):
        total += weight * moments[0][0, k] * moments[1][0, k]
        weight *= rate / (k + 1)
    coupling = abs(rate) * x.panel.radius * y.panel.radius
    left_out = abs(weight) * (x.panel.radius * y.panel.radius) ** count * coupling.exp()
    return (total + _within(left_out * sizes[0] * sizes[1])) * (-rate * middles[0] * middles[1]).exp()


@lru_cache(maxsize=1024)
def _powers(panel: _Panel, count: int, bits: int) -> arb_mat:
    """Return the powers, from 0 on, of the distances of the nodes of a rule to its middle, for a working precision."""
    middle = (panel.low + panel.high) / 2
    rows = [[(x - middle) ** k for k in range(count)] for x, _ in panel.nodes()]
    return arb_mat(rows)


@dataclass(frozen=True, slots=True)
class _Enclosure:
    """A ball that contains a mean, and the mean of absolute values that its radius is measured by."""

    value: arb
    scale: arb


def _within(radius: arb) -> arb:
    return arb(0, 1) * radius


def _root() -> arb:
    """Return the square root of 2 pi."""
    return (2 * arb.pi()).sqrt()


def _line(f: _Function, digits: int) -> _Enclosure:
    """Return E[F(x)] for a standard normal x."""
    axis = _axis(f, _STANDARD.decay, digits)
    panels = axis.panels(_STANDARD.growth, digits)
    at = _samples(f, panels)
    value = _total(at, _STANDARD.decay) + _within(_total_error(panels) + axis.tail)
    return _Enclosure(value / _root(), _total_size(at, _STANDARD.decay) / _root())


def _plane(f: _Function, g: _Function, pair: tuple[sp.Rational, ...], digits: int) -> _Enclosure:
    """Return E[f(u) g(v)] for a pair that is not degenerate."""
    a, b, c = pair
    r, square = constant(c) / constant(a * b).sqrt(), constant(1 - c**2 / (a * b))
    growth = 1 / (2 * square)
    first, second = (growth - _curvature(h) for h in (f, g))
    if not (first > 0 and second > 0 and first * second > (r * growth) ** 2):
        raise NotIntegrable("the mean is not known to exist: f(u) g(v) may grow as fast as the density falls off")
    t = (first / second).sqrt()  # leaves positive rates to both variables whenever some t does
    x = _axis(f, growth * (1 - abs(r) * t), digits)
    y = _axis(g, growth * (1 - abs(r) / t), digits)
    if square < _NEARLY_DEGENERATE:
        return _conditional(x, y, r, square, digits)
    return _on_grid(x, y, pair, digits)


def _curvature(function: _Function) -> arb:
    """Return a bound of k in the growth ``exp(k x^2)`` of a function, at least 0."""
    return reduce(arb.max, (function.beyond(arb(10), side).curvature for side in (1, -1)), arb(0))


def _on_grid(x: _Axis, y: _Axis, pair: tuple[sp.Rational, ...], digits: int) -> _Enclosure:
    """Return the mean from both functions and the density on a grid; what is far from the ridge y = r x is left out."""
    a, b, c = pair
    r, square = constant(c) / constant(a * b).sqrt(), constant(1 - c**2 / (a * b))
    rate = r / square
    panels = [axis.panels(1 / (2 * square), digits) for axis in (x, y)]
    on_x, on_y = (_samples(axis.function, rules) for axis, rules in zip((x, y), panels, strict=True))
    total, left_out, work = arb(0), arb(0), x.function.work
    columns = [
        (at, arb_mat([[value] for value in at.values]), sum(map(abs, at.values), arb(0))) for at in on_y if at.values
    ]
    for of_x in on_x:
        if not of_x.values:
            continue
        row, size = arb_mat([of_x.values]), _total_size([of_x], _STANDARD.decay)
        for other, column, other_size in columns:
            panel = other.panel
            work.spend(_OF_A_POINT)
            gap = (r * of_x.panel.span - panel.span).abs_lower()
            bound = size * other_size * (-gap * gap / (2 * square)).exp()
            if bound <= x.norm * y.norm / 10 ** (digits + 2):
                left_out += bound
                continue
            few = _moments_needed(abs(rate) * of_x.panel.radius * panel.radius)
            work.spend(2 * (panel.count + of_x.panel.count) if few else panel.count * of_x.panel.count)
            if few:
                total += _by_moments(of_x, other, rate, 1 / (2 * square), few)
            else:
                total += (row * _density(of_x.panel, panel, pair, ctx.prec) * column)[0, 0]
    size, other_size = (axis.norm.max(_total_size(at, axis.decay)) for axis, at in ((x, on_x), (y, on_y)))
    errors = [axis.tail + _total_error(rules) for axis, rules in zip((x, y), panels, strict=True)]
    error = (size + errors[0]) * (other_size + errors[1]) - size * other_size + left_out
    value = (total + _within(error)) / (2 * arb.pi() * square.sqrt())
    sizes = [_total_size(at, _STANDARD.decay) / _root() for at in (on_x, on_y)]
    return _Enclosure(value, sizes[0] * sizes[1])


@dataclass(frozen=True, slots=True)
class _Inner:
    """The means E[G(r x + s n)] over a standard normal n, by integrals over |n| <= reach.

    Attributes:
        function, r, s, reach: what the formula says.
        tolerance: of the rules.
        largest: bound of E|G(r x + s n)| for all x with ``|x| <= 2 reach``.
        missed: bound of the part of it from |n| > reach.
    """

    function: _Function
    r: arb
    s: arb
    reach: arb
    tolerance: arb
    largest: arb
    missed: arb

    def swept(self, low: arb, high: arb) -> _Smooth | None:
        """Return G(r x + s n) as a function of x, for all n at once, if it is smooth on an interval."""
        near = self.s * self.reach
        for t in self.function.break_points:
            first, second = self.r * low - t, self.r * high - t
            if not ((first > near and second > near) or (first < -near and second < -near)):
                return None
        scale = self.function.scale
        work = self.function.work
        return _Function(self.function.pieces, scale * self.r, _within(scale * near), work).on(low, high)

    def rules(self, at: arb) -> list[_Panel]:
        """Return rules for one x."""
        given = self._given(at)
        return _covering(given, _cuts(given.break_points, [], self.reach), _STANDARD, self.tolerance)

    def common_rules(self, expression: sp.Expr, low: arb, high: arb) -> list[_Panel]:
        """Return rules for all x of an interval on which G is one smooth expression."""
        given = self._given(low.union(high))
        functions = [_Smooth(expression, given.scale, given.shift, given.work)]
        return _panels(functions, -self.reach, self.reach, _STANDARD, self.tolerance)

    def mean(self, at: arb, rules: Sequence[_Panel]) -> arb:
        """Return a ball that contains the mean, and the part of it from |n| <= reach."""
        total = _total(_samples(self._given(at), rules), _STANDARD.decay)
        return (total + _within(_total_error(rules))) / _root() + _within(self.missed)

    def _given(self, at: arb) -> _Function:
        scale = self.function.scale
        return _Function(self.function.pieces, scale * self.s, scale * self.r * at, self.function.work)


def _inner(g: _Function, r: arb, s: arb, reach: arb, tolerance: arb) -> _Inner:
    """Return inner means with their bounds.

    Raises:
        NotIntegrable: if |G| is not bounded well enough far out.
    """
    far = (2 * abs(r) + s) * reach
    largest = arb(0)
    for low, high in pairwise(_cuts(g.break_points, [arb(0)], far)):
        flat = _Weight(arb(0), arb(0))
        largest = reduce(arb.max, _suprema([g.on(low, high)], _strips(low, high), flat, _PANEL_HALVINGS), largest)
    missed = largest * (reach / arb(2).sqrt()).erfc()
    for side in (1, -1):  # G(y) with y beyond far, where n is beyond reach by the distance of y to far over s
        bound = g.beyond(far, side)
        slope = reach - s * (bound.rate + 2 * bound.curvature * far)
        if not (slope > 0 and bound.curvature * s**2 < _STANDARD.decay):
            raise NotIntegrable(
                "the mean is not known to exist: g(v) may grow as fast as its density falls off, given u"
            )
        missed += bound.size * (-(reach**2) / 2).exp() / (slope * _root())
    return _Inner(g, r, s, reach, tolerance, largest + missed, missed)


def _conditional(x: _Axis, y: _Axis, r: arb, square: arb, digits: int) -> _Enclosure:
    """Return the mean of F(x) E[G(r x + s n) | x]."""
    f, g, reach, s = x.function, y.function, x.cuts[-1], square.sqrt()
    inner = _inner(g, r, s, reach, (y.norm + y.tail) / 10**digits)
    edges = [((t + side * 1.001 * s * reach) / r).mid() for t in g.break_points for side in (1, -1)]
    total = arb(0)
    error = x.norm * inner.missed  # x.decay <= 1/2, so the norm bounds the integral of |F(x)| exp(-x^2/2)
    error += x.tail * (y.norm + y.tail) / (s * _root())
    for low, high in pairwise(_cuts(f.break_points, edges, reach)):
        swept = inner.swept(low, high)
        if swept is None:
            weight, factor = _Weight(_STANDARD.decay, 1 / (2 * square), 2 * reach), inner.largest
            panels = _panels([f.on(low, high)], low, high, weight, x.norm * inner.tolerance / factor)
        else:
            factor = arb(1)
            panels = _panels([f.on(low, high), swept], low, high, _STANDARD, x.norm * inner.tolerance)
        for panel in panels:
            common = inner.common_rules(swept.expression, panel.low, panel.high) if swept and panel.count else None
            terms = _samples(f, [panel])[0].terms(_STANDARD.decay)
            for (at, _), term in zip(panel.nodes(), terms, strict=True):
                rules = inner.rules(at) if common is None else common
                total += term * inner.mean(at, rules)
            error += panel.error * factor
    return _Enclosure((total + _within(error)) / _root(), _line(f, digits).scale * _line(g, digits).scale)


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
    return _refined(lambda enough: _line(_Function(parts, constant(sp.sqrt(variance)), work=work), enough), digits)


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
        function = _Function(_smooth_pieces(f), constant(sp.sqrt(variance)), work=work)
        r = 1 - arb(1) / (count + 1)  # then r^-k is of order one
        axis = _axis(function, 1 / (2 * (1 + r)), digits)
        panels = axis.panels(1 / (2 * (1 - r)), digits)
        largest = r ** (-arb(count) / 2) / (1 - r * r) ** (arb(1) / 4)
        error = _within(largest * (axis.tail + _total_error(panels)) / _root())
        now = [term / _root() for at in _samples(function, panels) for term in at.terms(_STANDARD.decay)]
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

    def attempt(enough: int) -> _Enclosure:
        roots = constant(sp.sqrt(first)), constant(sp.sqrt(second))
        functions = _Function(parts, roots[0], work=work), _Function(other_parts, roots[1], work=work)
        return _plane(*functions, pair, enough)

    return _refined(attempt, digits)


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


def _refined(attempt: Callable[[int], _Enclosure], digits: int) -> arb:
    """Return a ball whose radius is small enough, from attempts with more and more digits."""
    for guard in _GUARDS:
        with ctx.workprec(_bits(digits) + math.ceil(guard * math.log2(10))):
            found = attempt(digits + guard)
            allowed = found.scale.max(abs(found.value)) / 10**digits
            if found.value.rad() <= allowed or found.value.rad() <= arb(10) ** (-3 * digits):
                return found.value
    raise NotIntegrable(f"expected {digits} digits, got {found.value} on a scale of {found.scale.str(3, radius=False)}")
