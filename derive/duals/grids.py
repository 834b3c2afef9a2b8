"""Means of two functions and the density of a Gaussian pair on a grid.

For correlation r, ``s^2 = 1 - r^2`` and any t > 0 the density of ``(u/sqrt(a), v/sqrt(b))`` is at most

    exp(-p x^2 - q y^2) / (2 pi s),    p = (1 - |r| t) / (2 s^2),    q = (1 - |r|/t) / (2 s^2),

and at complex x at most ``exp((Im x)^2 / (2 s^2))`` times that. So errors and tails in x multiply with the integral of
``|G(y)| exp(-q y^2)`` and conversely. The density on a product of rules is kept: at one pair (a, b, c), functions with
the same break points share it. Small rules, as steep functions have many, see it through few moments.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from flint import arb, arb_mat, ctx

from derive.duals.axes import Axis, Enclosure, Samples, root_of_two_pi, sampled, total_error, total_size
from derive.duals.balls import constant
from derive.duals.panels import STANDARD, Panel, within
from derive.duals.work import OF_A_POINT

_MOST_MOMENTS = 24
"""Powers that the density is expanded in between two small rules, at most; from there on its values cost less."""


def on_grid(x: Axis, y: Axis, pair: tuple[sp.Rational, ...], digits: int) -> Enclosure:
    """Return the mean from both functions and the density on a grid; what is far from the ridge y = r x is left out."""
    a, b, c = pair
    r, square = constant(c) / constant(a * b).sqrt(), constant(1 - c**2 / (a * b))
    rate = r / square
    panels = [axis.panels(1 / (2 * square), digits) for axis in (x, y)]
    on_x, on_y = (sampled(axis.function, rules) for axis, rules in zip((x, y), panels, strict=True))
    total, left_out, work = arb(0), arb(0), x.function.work
    columns = [
        (at, arb_mat([[value] for value in at.values]), sum(map(abs, at.values), arb(0))) for at in on_y if at.values
    ]
    for of_x in on_x:
        if not of_x.values:
            continue
        row, size = arb_mat([of_x.values]), total_size([of_x], STANDARD.decay)
        for other, column, other_size in columns:
            panel = other.panel
            work.spend(OF_A_POINT)
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
    size, other_size = (axis.norm.max(total_size(at, axis.decay)) for axis, at in ((x, on_x), (y, on_y)))
    errors = [axis.tail + total_error(rules) for axis, rules in zip((x, y), panels, strict=True)]
    error = (size + errors[0]) * (other_size + errors[1]) - size * other_size + left_out
    value = (total + within(error)) / (2 * arb.pi() * square.sqrt())
    sizes = [total_size(at, STANDARD.decay) / root_of_two_pi() for at in (on_x, on_y)]
    return Enclosure(value, sizes[0] * sizes[1])


@lru_cache(maxsize=256)
def _density(x: Panel, y: Panel, pair: tuple[sp.Rational, ...], bits: int) -> arb_mat:
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


def _by_moments(x: Samples, y: Samples, rate: arb, growth: arb, count: int) -> arb:
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
    return (total + within(left_out * sizes[0] * sizes[1])) * (-rate * middles[0] * middles[1]).exp()


@lru_cache(maxsize=1024)
def _powers(panel: Panel, count: int, bits: int) -> arb_mat:
    """Return the powers, from 0 on, of the distances of the nodes of a rule to its middle, for a working precision."""
    middle = (panel.low + panel.high) / 2
    rows = [[(x - middle) ** k for k in range(count)] for x, _ in panel.nodes()]
    return arb_mat(rows)
