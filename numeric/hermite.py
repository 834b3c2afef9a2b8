"""Activations on panels on which they are polynomials to rounding: Gaussian rules and Hermite coefficients.

A panel is refined by looking at the Chebyshev coefficients of the activation on it. The coefficients in

    phi(sqrt(a) x) = sum_k A_k(a) He_k(x) / sqrt(k!),    A_k(a) = E[phi(sqrt(a) x) He_k(x)] / sqrt(k!),

are sums over Gauss-Legendre rules on the panels, with the recurrence of the normalised Hermite functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Function = Callable[[FloatArray], FloatArray]

NODES = np.polynomial.legendre.leggauss(22)[0]
WEIGHTS = 1 / (np.polynomial.legendre.legvander(NODES, 21) ** 2 @ (np.arange(22) + 0.5))  # to the last digit but one
"""The rule of a panel. It is exact for degree 43, which leaves room for products of two functions resolved by 32."""
STEP, REACH, FARTHEST = 1.5, 9.0, 37.5
"""In standard deviations: the grid of ends of Gaussian integrals; where they end at least, and at most: the normal
density underflows beyond."""
_NEGLIGIBLE = 35.5
"""Minus the logarithm of what is left out of a second moment beyond the ends; chosen, below rounding."""
_BLOCK = 48
"""Variances worked on at a time, which keeps their nodes in the cache; chosen."""
_PARSEVAL_ROUNDING = 1e-15
"""Rounding error of a remainder of Parseval's identity relative to the second moment; chosen, a few ulps."""

_DEGREE, _LAST = 32, 4
_POINTS = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_TO_COEFFICIENTS = np.polynomial.chebyshev.chebvander(_POINTS, _DEGREE)[:, -_LAST:] * 2 / (_DEGREE + 1)
_RESOLVED, _NOISE = 4e-15, 8.0
"""The last coefficients of a resolved panel relative to the largest value; how far above the noise of the function,
that of the narrowest panels, they may be if this is more. Chosen."""
_FAR, _NARROWEST, _MOST_EDGES = 2.0**64, 1e-9, 200
"""Where resolving ends, the narrowest panel relative to its place, and the number of panels to give up at; chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """A function with panels on which it is a polynomial to rounding.

    Attributes:
        function: elementwise on arrays.
        breaks: the points between which it is analytic, shape (n_breaks,).
        edges: the ends of the panels, the breaks among them, in order.
        finest: the width of the narrowest panel.
        domain: what modulus of its argument it is resolved up to.
        residual: the largest part that no polynomial matched, relative to the values around; 0 if resolved.
    """

    function: Function
    breaks: FloatArray
    edges: FloatArray
    finest: float
    domain: float
    residual: float


def resolved(function: Function, breaks: tuple[float, ...]) -> Resolved:
    """Return a function with its panels, found by trying from each break point outwards.

    A break point that was not declared shows as many narrow panels around it, a jump also as a residual.
    """
    given = np.array(sorted(breaks), dtype=float)
    starts = given if len(given) else np.zeros(1)
    walks = [(starts[0], -_FAR), *pairwise(starts), (starts[-1], _FAR)]
    found = [_walk(function, *walk) for walk in walks]
    edges = np.unique(np.concatenate([starts, *(edges for edges, _, _ in found)]))
    finest = float(np.diff(edges).min()) if len(edges) > 1 else np.inf
    return Resolved(function, given, edges, finest, min(d for _, d, _ in found), max(r for _, _, r in found))


def _walk(function: Function, start: float, stop: float) -> tuple[list[float], float, float]:
    """Return edges of panels on the way, how far it was possible to go, and the largest residual."""
    edges: list[float] = []
    at, unresolved = start, 0.0
    scale = float(np.abs(function(max(abs(start), 1.0) * _POINTS)).max())
    while at != stop:
        if len(edges) == _MOST_EDGES:
            return edges, abs(at), unresolved
        ends = at + (stop - at) * 0.5 ** np.arange(100.0)
        ends = ends[np.abs(ends - at) > _NARROWEST * max(abs(at), 1.0)]
        values = function((ends + at)[:, None] / 2 + (ends - at)[:, None] / 2 * _POINTS)
        scales = np.maximum(np.abs(values).max(axis=1), scale)
        residuals = np.abs(values @ _TO_COEFFICIENTS).max(axis=1) / np.where(scales > 0, scales, 1.0)
        overflows = not np.isfinite(residuals[0])
        residuals = np.nan_to_num(residuals, nan=np.inf)
        allowed = max(_RESOLVED, _NOISE * residuals.min())
        good = np.logical_and.accumulate((residuals <= allowed)[::-1])[
            ::-1
        ]  # with all narrower ones: nothing is missed
        chosen = int(np.argmax(good))
        if overflows and abs(ends[chosen] - at) < 1e-3 * abs(at):
            break
        at, scale = float(ends[chosen]), float(scales[chosen])
        unresolved = max(unresolved, residuals[chosen] if residuals[chosen] > _RESOLVED else 0.0)
        edges.append(at)
    return edges[: -1 if at == stop else None], np.inf, unresolved


def reaches(function: Function, roots: FloatArray) -> FloatArray:
    """Return how many standard deviations contain all but a negligible part of E[phi(sqrt(a) x)^2], for roots sqrt(a).

    It is infinite if that is more than can be represented.
    """
    x = np.arange(0.0, FARTHEST + 0.5, 0.5)
    sizes = np.maximum(*(np.abs(function(roots[:, None] * side)) for side in (x, -x)))
    density = 2 * np.log(sizes) - x**2 / 2
    largest = density.max(axis=1)
    last = np.where(density > largest[:, None] - _NEGLIGIBLE, x, 0.0).max(axis=1)
    overflow = (largest == np.inf) | (last == FARTHEST) & (density[:, -1] > 0)
    return np.where(overflow, np.inf, np.clip(np.ceil((last + 0.5) / STEP) * STEP, REACH, FARTHEST))


def cuts(reach: FloatArray, fixed: FloatArray, *others: FloatArray) -> FloatArray:
    """Return for each row the cuts of an interval, -reach and reach included, in order; some may coincide."""
    limit = reach[:, None]
    found = np.concatenate([np.broadcast_to(fixed, (len(reach), len(fixed))), -limit, limit, *others], axis=1)
    np.fmax(np.fmin(found, limit, out=found), -limit, out=found)  # what is not a number becomes the end
    found.sort(axis=1)
    return found


def gaussian_rule(cut: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the panels between cuts, shape (n_rows, n_cuts): their rows, nodes, and weights with the normal density."""
    rows, columns = np.nonzero(np.diff(cut, axis=1) > 1e-15)
    low = cut[rows, columns]
    half = ((cut[rows, columns + 1] - low) / 2)[:, None]
    x = half * NODES
    x += low[:, None] + half
    weights = x * x
    weights *= -0.5
    np.exp(weights, out=weights)
    weights *= half * (WEIGHTS / np.sqrt(2 * np.pi))
    return rows, x, weights


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """Hermite coefficients at several variances.

    Attributes:
        coefficients: A_k(a), shape (order, n_variances).
        moments: E[phi(u)^2], shape (n_variances,).
        rest: the norm of what the coefficients leave out relative to that of all, at least the rounding error of
            Parseval's identity, shape (n_variances,).
    """

    coefficients: FloatArray
    moments: FloatArray
    rest: FloatArray


def expansion(phi: Resolved, roots: FloatArray, reach: FloatArray, order: int) -> Expansion:
    """Return the first Hermite coefficients at variances with these square roots.

    Each variance is worked on alone, in an order that does not depend on the others: equal ones give equal bits.
    """
    coefficients, moments = np.zeros((order, len(roots))), np.zeros(len(roots))
    step = STEP * np.floor(36.0 / np.sqrt(order) / STEP)  # He_k oscillates with wave number sqrt(k)
    fixed = np.arange(0.0, FARTHEST, step)
    for start in range(0, len(roots), _BLOCK):
        block = slice(start, start + _BLOCK)
        root = roots[block, None]
        rows, nodes, weights = gaussian_rule(cuts(reach[block], np.append(-fixed, fixed), phi.edges / root))
        values = phi.function(root[rows] * nodes)
        begins = np.searchsorted(rows, np.arange(len(root))) * len(NODES)
        x, weighted = nodes.ravel(), (values * weights).ravel()
        moments[block] = np.add.reduceat(weighted * values.ravel(), begins)
        current = np.exp(-(x**2) / 4)
        weighted /= current
        previous, product = np.zeros_like(x), np.empty_like(x)
        for k in range(order):
            np.multiply(weighted, current, out=product)
            coefficients[k, block] = np.add.reduceat(product, begins)
            np.multiply(x, current, out=product)
            previous *= np.sqrt(float(k))
            product -= previous
            product *= 1 / np.sqrt(k + 1.0)
            previous, current, product = current, product, previous
    rest = 1 - (coefficients**2).sum(axis=0) / np.where(moments > 0, moments, 1.0)
    return Expansion(coefficients, moments, np.sqrt(np.maximum(rest, _PARSEVAL_ROUNDING)))
