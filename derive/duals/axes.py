"""Piecewise smooth functions on the axis of a standard normal variable: where it is cut and how long, means.

Break points cut the line into intervals on which ``F(x) = f(sqrt(a) x)`` is analytic. On each, or on parts of it, is
a rule (:mod:`derive.duals.panels`); what is beyond the last is bounded by exponentials of quadratic polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import add

import sympy as sp
from flint import arb

from derive.duals.balls import Exponential, NotIntegrable, Ray, constant
from derive.duals.panels import ROUNDS, STANDARD, Panel, Smooth, Weight, integral_bound, rules_on, within
from derive.duals.work import Work
from derive.notation import z
from derive.pieces import Piece

_MOST_STEPS = 16
"""How often an axis is made longer."""
_HERE = arb(0)


@dataclass(frozen=True, slots=True)
class Function:
    """The function ``x -> f(shift + scale x)`` for a piecewise smooth f."""

    pieces: tuple[Piece, ...]
    scale: arb
    shift: arb = _HERE
    work: Work = field(default_factory=Work, compare=False)

    @property
    def break_points(self) -> list[arb]:
        """Return where it has another piece, as values of x."""
        return [(constant(piece.low) - self.shift) / self.scale for piece in self.pieces[1:]]

    def on(self, low: arb, high: arb) -> Smooth:
        """Return what the function is between neighbouring break points."""
        inside = (self.shift + self.scale * (low + high) / 2).mid()
        for piece in self.pieces:
            after = piece.low == -sp.oo or inside > constant(piece.low)
            if after and (piece.high == sp.oo or inside < constant(piece.high)):
                return Smooth(piece.expression, self.scale, self.shift, self.work)
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
class Axis:
    """A function F of one variable, where its axis is cut, and bounds of integrals of |F(x)| exp(-decay x^2).

    Attributes:
        function: the function.
        decay: the rate of the weight.
        cuts: break points, 0, and the ends of the axis, -reach and reach.
        norm, tail: bounds of the integral from -reach to reach, and of that over the rest.
    """

    function: Function
    decay: arb
    cuts: list[arb]
    norm: arb
    tail: arb

    def panels(self, growth: arb, digits: int) -> list[Panel]:
        """Return rules on the axis, each to 10^-digits of the norm, for a weight that grows with imaginary parts."""
        return covering(self.function, self.cuts, Weight(self.decay, growth), self.norm / 10**digits)


def axis_of(function: Function, decay: arb, digits: int) -> Axis:
    """Return an axis so long that its tail is below 10^-digits of its norm, or below 10^(-3 digits).

    Raises:
        NotIntegrable: if the function grows too fast for that.
    """
    shortest = math.sqrt(math.log(10) * digits / float(decay))
    for step in range(_MOST_STEPS):
        reach = arb(math.ceil(2 * shortest * 1.125**step)) / 2
        cuts = cut_points(function.break_points, [arb(0), reach / 2, -reach / 2], reach)
        norm = arb(0)
        for low, high in pairwise(cuts):
            smooth = function.on(low, high)
            norm += integral_bound([smooth], low, high, Weight(decay, arb(0)), ROUNDS)
            if not norm.is_finite():
                raise NotIntegrable(
                    f"the mean is not known to exist: no bound of {smooth.expression} is found between z = "
                    f"{float(low * function.scale):.3g} and {float(high * function.scale):.3g}; write it without "
                    "singularities, removable and integrable ones included"
                )
        tail = sum((_tail(function.beyond(reach, side), decay, reach) for side in (1, -1)), arb(0))
        if tail <= norm / 10**digits or tail <= arb(10) ** (-3 * digits):
            return Axis(function, decay, cuts, norm, tail)
    raise NotIntegrable(
        f"the mean is not known to exist: the integrand falls off too slowly up to {float(reach)} sigma"
    )


def covering(function: Function, cuts: Sequence[arb], weight: Weight, tolerance: arb) -> list[Panel]:
    """Return rules for a weighted function between the first and the last of given points."""
    ends = pairwise(cuts)
    return [panel for low, high in ends for panel in rules_on([function.on(low, high)], low, high, weight, tolerance)]


def _tail(bound: Exponential, decay: arb, reach: arb) -> arb:
    """Return a bound of the integral of ``bound exp(-decay x^2)`` from reach to infinity, by a geometric decay."""
    if not bound.curvature < decay:
        raise NotIntegrable(
            f"the mean is not known to exist: f grows like exp({float(bound.curvature):.6g} x^2) per standard deviation"
        )
    slope = 2 * (decay - bound.curvature) * reach - bound.rate
    return bound.size * (-decay * reach**2).exp() / slope if slope > 0 else arb.pos_inf()


def cut_points(break_points: Sequence[arb], others: Sequence[arb], reach: arb) -> list[arb]:
    """Return in order the break points between -reach and reach, both ends, and other points apart from these."""
    cuts = [-reach, *(x for x in break_points if not abs(x) >= reach), reach]
    for x in others:
        if abs(x) < reach and not any(x.overlaps(cut) for cut in cuts):
            cuts.append(x)
    return sorted(cuts, key=lambda cut: cut.mid())


@dataclass(frozen=True, slots=True)
class Samples:
    """A function at the nodes of a rule, times the weights of the rule."""

    panel: Panel
    values: list[arb]

    def terms(self, decay: arb) -> list[arb]:
        """Return the values times ``exp(-decay x^2)``."""
        nodes = self.panel.nodes()
        return [value * (-decay * x * x).exp() for (x, _), value in zip(nodes, self.values, strict=True)]


def sampled(function: Function, panels: Sequence[Panel]) -> list[Samples]:
    """Return a function at the nodes of rules."""
    result = []
    for panel in panels:
        nodes = panel.nodes()
        found = function.on(panel.low, panel.high).at([x for x, _ in nodes])
        result.append(Samples(panel, [value * w for value, (_, w) in zip(found, nodes, strict=True)]))
    return result


def summed(samples: Sequence[Samples], decay: arb) -> arb:
    """Return what the rules give for the integral of a function times ``exp(-decay x^2)``."""
    return sum((term for at in samples for term in at.terms(decay)), arb(0))


def total_size(samples: Sequence[Samples], decay: arb) -> arb:
    """Return the same for its absolute value, without a bound of the error."""
    return sum((abs(term) for at in samples for term in at.terms(decay)), arb(0))


def total_error(panels: Sequence[Panel]) -> arb:
    """Return a bound of the errors of rules together."""
    return sum((panel.error for panel in panels), arb(0))


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A ball that contains a mean, and the mean of absolute values that its radius is measured by."""

    value: arb
    scale: arb


def mean_on_line(f: Function, digits: int) -> Enclosure:
    """Return E[F(x)] for a standard normal x."""
    axis = axis_of(f, STANDARD.decay, digits)
    panels = axis.panels(STANDARD.growth, digits)
    at = sampled(f, panels)
    value = summed(at, STANDARD.decay) + within(total_error(panels) + axis.tail)
    return Enclosure(value / root_of_two_pi(), total_size(at, STANDARD.decay) / root_of_two_pi())


def root_of_two_pi() -> arb:
    """Return the square root of 2 pi."""
    return (2 * arb.pi()).sqrt()
