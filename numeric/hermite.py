"""Activations on panels on which they are polynomials to rounding: Gaussian rules and Hermite coefficients.

Panels are found by looking at the Chebyshev coefficients of the activation on them. The coefficients in

    phi(sqrt(a) x) = sum_k A_k(a) He_k(x) / sqrt(k!),    A_k(a) = E[phi(sqrt(a) x) He_k(x)] / sqrt(k!),

are sums over Gauss-Legendre rules on the panels, with the recurrence of the normalised Hermite functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from numeric.sharing import shared

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Function = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Nodes in (-1, 1) and weights."""

    nodes: FloatArray
    weights: FloatArray


def gauss_legendre(count: int) -> Rule:
    """Return the rule with so many nodes, with weights to the last digit; NumPy's are wrong by some ulps."""
    nodes = np.polynomial.legendre.leggauss(count)[0]
    squares = np.polynomial.legendre.legvander(nodes, count - 1) ** 2
    return Rule(nodes, 1 / (squares @ (np.arange(count) + 0.5)))


_DEGREE = 28
"""Degree of the polynomials that match an activation on its panels; chosen."""
PANEL = gauss_legendre(22)
"""The rule of a panel for products of two functions: exact for degree 43, enough even where both oscillate."""
_OSCILLATING = gauss_legendre(32)
"""The rule for products with He_k, which has wave number sqrt(k): for a phase of 36 a panel, next to degree 28."""
REACHES = 9.0, 12.0, 18.0, 27.0, 37.5
"""Where Gaussian integrals may end, in standard deviations; beyond the last the normal density underflows."""
_NEGLIGIBLE = 35.5
"""Minus the logarithm of the density of a second moment at its ends relative to the largest; chosen, below rounding."""
_OVERFLOWS = float(np.log(np.finfo(float).max))
"""The logarithm of the largest number."""
_PARSEVAL_ROUNDING = 1e-15
"""Rounding error of the remainder of Parseval's identity relative to the second moment; chosen, some ulps."""
_NUMBERS = 50_000
"""How many are worked on at a time, about: few enough for the cache, enough for threads to go side by side; chosen."""

_TURNS = np.outer(np.arange(_DEGREE + 1), np.arange(_DEGREE + 1)) % (2 * _DEGREE + 1) / (2 * _DEGREE + 1)
_CHEBYSHEV = np.cos(2 * np.pi * _TURNS)
_TO_COEFFICIENTS = _CHEBYSHEV * np.where(np.arange(_DEGREE + 1) > 0, 4.0, 2.0)[:, None] / (2 * _DEGREE + 1)
"""Chebyshev polynomials, in columns, at Radau points, and what takes values there to coefficients. The end 1 is one of
the points, so that no break can hide before it; the end -1 is left to narrower panels."""
_LOW, _LAST = 8, 4
"""Degree from which on a panel counts as curved, and number of the last coefficients that show its residual; chosen."""
_RESOLVED, _NOISE, _MOST_NOISE = 4e-15, 4.0, 1e-6
"""What the last coefficients of a resolved panel may be relative to the largest value; how far above those on panels
some 16 times narrower they may be, where narrowing does not help against noise; and what is no noise. Chosen."""
_FAR, _MOST_PANELS = 2.0**64, 200
"""Where resolving ends, and the number of panels to give up at; chosen."""
_NARROW, _NARROWEST = 1e-3, 1e-9
"""Widths relative to their place of the last panel before an overflow, and of the narrowest of all; chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """A function with panels on which it is a polynomial to rounding.

    Attributes:
        function: elementwise on arrays.
        breaks: the points between which it is analytic, shape (n_breaks,).
        edges: the ends of the panels in order, the breaks among them.
        finest: the width of the narrowest panel on which the degree is not low.
        domain: up to which modulus of its argument it is resolved.
        residual: the largest part that no polynomial matched, relative to the values around; 0 if resolved.
    """

    function: Function
    breaks: FloatArray
    edges: FloatArray
    finest: float
    domain: float
    residual: float


@dataclass(frozen=True, slots=True)
class _Panel:
    end: float
    width: float
    curved: bool
    residual: float


def resolved(function: Function, breaks: tuple[float, ...]) -> Resolved:
    """Return a function with its panels, found by walking from the break points outwards.

    A break point that was not declared shows as a residual, and as many narrow panels around it.
    """
    given = np.array(sorted(breaks), dtype=float)
    starts = given if len(given) else np.zeros(1)
    walks = [(starts[0], -_FAR), *pairwise(starts), (starts[-1], _FAR)]
    found, domains = zip(*(_walk(function, *walk) for walk in walks), strict=True)
    panels = [panel for walked in found for panel in walked]
    edges = np.unique([*starts, *(panel.end for panel in panels if abs(panel.end) < _FAR)])
    finest = min((panel.width for panel in panels if panel.curved), default=np.inf)
    return Resolved(function, given, edges, finest, min(domains), max(panel.residual for panel in panels))


def _walk(function: Function, start: float, stop: float) -> tuple[list[_Panel], float]:
    """Return the panels on the way, each as wide as possible, and how far they go: infinitely far up to an overflow."""
    panels: list[_Panel] = []
    at = start
    scale = float(np.abs(function(max(abs(start), 1.0) * _CHEBYSHEV[:, 1])).max())
    while at != stop:
        if len(panels) == _MOST_PANELS:
            return panels, abs(at)
        widths = (stop - at) * 0.5 ** np.arange(0.0, 100.0, 0.5)
        widths = widths[np.abs(widths) > _NARROWEST * max(abs(at), 1.0)]
        ends = np.append(stop, at + widths[1:])
        points = at + widths[:, None] / 2 * (1 + _CHEBYSHEV[:, 1])
        points[:, 0] = np.nextafter(ends, at)  # at a break the value may be that of the other side
        values = function(points)
        scales = np.maximum(np.abs(values).max(axis=1), scale)
        high = np.abs(values @ _TO_COEFFICIENTS[:, _LOW:]) / np.where(scales > 0, scales, 1.0)[:, None]
        residuals = high[:, -_LAST:].max(axis=1)
        noise = sliding_window_view(np.pad(residuals, (0, 16), constant_values=np.inf), 8)[8:-1].max(axis=1)
        good = residuals <= np.maximum(_RESOLVED, np.minimum(_NOISE * noise, _MOST_NOISE))
        good[-1] = True
        chosen = int(np.argmax(np.logical_and.accumulate(good[::-1])[::-1]))  # a wide one could miss what is narrow
        if not np.isfinite(residuals[max(chosen - 1, 0)]) and abs(widths[chosen]) < _NARROW * abs(at):
            break
        at, scale = float(ends[chosen]), float(scales[chosen])
        residual = float(residuals[chosen]) if residuals[chosen] > _RESOLVED else 0.0
        panels.append(_Panel(at, abs(float(widths[chosen])), bool(high[chosen].max() > _RESOLVED), residual))
    return panels, np.inf


def reaches(function: Function, roots: FloatArray) -> FloatArray:
    """Return which of :data:`REACHES` has all but a negligible part of E[phi(sqrt(a) x)^2], for square roots of a.

    It is infinite where the second moment is more than can be represented, and not a number where that has no such
    part: it does not exist, or comes from values where the normal density underflows.
    """
    x = np.arange(0.0, REACHES[-1] + 0.5, 0.5)
    sizes = np.maximum(*(np.abs(function(roots[:, None] * side)) for side in (x, -x)))
    density = 2 * np.log(sizes) - x**2 / 2
    largest = density.max(axis=1)
    last = np.where(density > largest[:, None] - _NEGLIGIBLE, x, 0.0).max(axis=1)
    beyond = (last == x[-1]) & (density[:, -1] > 0)
    enough = np.take(REACHES, np.searchsorted(REACHES[:-1], last + 0.5))
    return np.where(largest > _OVERFLOWS, np.inf, np.where(beyond, np.nan, enough))


def marks(reach: float, step: float) -> FloatArray:
    """Return the multiples of a step between -reach and reach, and these."""
    right = np.append(np.arange(0.0, reach, step), reach)
    return np.concatenate([-right[:0:-1], right])


def cuts(reach: float, *others: FloatArray) -> FloatArray:
    """Return in each row, in order, -reach, reach and other points between, shapes (n_rows, any)."""
    ends = np.broadcast_to([-reach, reach], (len(others[0]), 2))
    found = np.concatenate([ends, *others], axis=1)
    np.fmax(np.fmin(found, reach, out=found), -reach, out=found)  # what is not a number becomes an end
    found.sort(axis=1)
    return found


def gaussian_rule(cut: FloatArray, step: float, rule: Rule = PANEL) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return row, nodes and weights of panels between cuts, no wider than a step; weights have the normal density."""
    low, width = cut[:, :-1], np.diff(cut, axis=1)
    rows, columns = np.nonzero(width > 4e-16 * np.abs(low))
    low, width = low[rows, columns], width[rows, columns]
    parts = np.ceil(width / step).astype(np.intp)
    which = np.repeat(np.arange(len(rows)), parts)
    before = np.arange(len(which)) - (np.cumsum(parts) - parts)[which]
    half = (width / (2 * parts))[which, None]
    x = half * rule.nodes
    x += low[which, None] + half * (2 * before[:, None] + 1)
    weights = x * x
    weights *= -0.5
    np.exp(weights, out=weights)
    weights *= half * (rule.weights / np.sqrt(2 * np.pi))
    return rows[which], x, weights


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """Hermite coefficients at several variances.

    Attributes:
        coefficients: A_k(a), shape (order, n_variances).
        moments: E[phi(u)^2], shape (n_variances,).
        rest: the norm of what these coefficients leave out relative to that of phi(u), at least the rounding error of
            Parseval's identity, shape (n_variances,).
    """

    coefficients: FloatArray
    moments: FloatArray
    rest: FloatArray


def expansion(phi: Resolved, roots: FloatArray, reach: float, order: int) -> Expansion:
    """Return the first Hermite coefficients at variances with these square roots.

    Each variance is worked on alone, in an order that does not depend on the others: equal ones give equal bits.
    """
    coefficients, moments = np.zeros((order, len(roots))), np.zeros(len(roots))
    step = min(4.5, 36 / np.sqrt(order))
    factors, scales = _recurrence(order)

    def expand(block: slice) -> None:
        root = roots[block, None]
        rows, nodes, weights = gaussian_rule(cuts(reach, phi.edges / root), step, _OSCILLATING)
        values = phi.function(root[rows] * nodes)
        begins = np.searchsorted(rows, np.arange(len(root))) * nodes.shape[1]
        x, current = nodes.ravel(), (values * weights).ravel()
        moments[block] = np.add.reduceat(current * values.ravel(), begins)
        previous, following = np.zeros_like(x), np.empty_like(x)
        for k in range(order):
            coefficients[k, block] = np.add.reduceat(current, begins)
            np.multiply(x, factors[k], out=following)
            following *= current
            following -= previous
            previous, current, following = current, following, previous

    size = max(1, int(_NUMBERS * step / (2 * reach * len(_OSCILLATING.nodes))))
    shared(expand, (slice(start, start + size) for start in range(0, len(roots), size)))
    coefficients *= scales[:, None]
    rest = 1 - (coefficients**2).sum(axis=0) / np.where(moments > 0, moments, 1.0)
    return Expansion(coefficients, moments, np.sqrt(np.maximum(rest, _PARSEVAL_ROUNDING)))


def _recurrence(order: int) -> tuple[FloatArray, FloatArray]:
    """Return d and s with ``He_k(x) / sqrt(k!) = s_k g_k(x)`` and ``g_(k+1) = d_k x g_k - g_(k-1)``.

    With s_(k+1) = s_(k-1) sqrt(k / (k + 1)) the three-term recurrence takes two products; s falls like k^(-1/4).
    """
    scales = np.ones(order + 1)
    for k in range(1, order):
        scales[k + 1] = scales[k - 1] * np.sqrt(k / (k + 1))
    return scales[:-1] / (np.sqrt(np.arange(1.0, order + 1)) * scales[1:]), scales[:-1]
