"""Gaussian means E[phi(u) phi(v)] of activations without an elementary closed form, in float64.

Pairs that are not nearly parallel are summed as Hermite-Mehler series (Mehler 1866),

    E[phi(u) phi(v)] = sum_k rho^k A_k(a) A_k(b),

whose remainder after N terms is at most |rho|^N times the norms of what the first N coefficients leave out of phi(u)
and of phi(v), by Parseval's identity. Nearly parallel ones are integrated as a mean of conditional means,

    E[phi(u) phi(v)] = E[phi(sqrt(a) x) Phi(c / sqrt(a) x, sqrt(D / a))],    Phi(m, s) = E[phi(m + s y)],

over independent standard normal x, y: all weights are positive, and D has the digits that c has lost.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numeric.hermite import (
    FARTHEST,
    NODES,
    REACH,
    STEP,
    WEIGHTS,
    FloatArray,
    Function,
    IntArray,
    cuts,
    expansion,
    gaussian_rule,
    reaches,
    resolved,
)

_ORDERS = 64, 512
"""Numbers of terms, the second for pairs for which the first is not enough; chosen: with more the series takes longer
than the integral."""
_TRUNCATION = 2e-15
"""Largest bound of the remainder of a series relative to sqrt(k(a, a) k(b, b)); chosen."""
_MEASURED = 1e-14
"""Error of the means of a resolved activation; measured by tests/benchmarks/bench_series.py, rounded up."""

_BLOCK, _PAIRS = 15_000, 64
"""Numbers, and pairs to integrate, worked on at a time, which keeps them in the cache; chosen."""
_BEYOND = np.arange(REACH, FARTHEST, STEP)
_OUTER = np.concatenate([-_BEYOND, [-4.5, 0.0, 4.5], _BEYOND])
_INNER = np.concatenate([-_BEYOND, [0.0], _BEYOND])
"""Ends of panels in x and in y: the rule of a panel integrates a normal density over a length of 9 to rounding."""
_ROOM = 4.0, 20.0, 120.0
_HERMITE = tuple((y, w / w.sum()) for y, w in map(np.polynomial.hermite_e.hermegauss, (12, 12, 6, 4)))
"""How often the reach s of y fits into the narrowest panel of an activation, and the rules for y where it is smooth: from
the first bound on it is smooth across ends of panels, too, apart from the breaks. With singularities no nearer than the
panels allow, the Gauss-Hermite rules are exact to rounding; chosen."""
_CENTRE = REACH / 2
_CENTRED = (REACH * np.arange(-1.0, 2.0)[:, None] + _CENTRE * NODES).ravel()
_CENTRED_WEIGHTS = np.tile(_CENTRE * WEIGHTS, 3) * np.exp(-(_CENTRED**2) / 2) / np.sqrt(2 * np.pi)
"""Places of v from 9 s before to 18 s behind a break, in units of s from 4.5 s behind it: the values of phi there serve
for all m up to 9 s behind the break, with the weights exp(-(y - d)^2 / 2) = exp(-y^2 / 2) exp(y d) exp(-d^2 / 2)."""


class HermiteMehler:
    """The means E[phi(u) phi(v)] over centred Gaussian pairs, as a function of arrays (a, b, c, D).

    Attributes:
        error: estimate of the absolute error relative to sqrt(k(a, a) k(b, b)): what was measured for resolved
            activations, and the part of this one that is not resolved.
    """

    def __init__(self, function: Function, breaks: tuple[float, ...] = ()) -> None:
        """Resolve the activation.

        Args:
            function: the activation, elementwise on arrays, analytic between the break points.
            breaks: the break points.
        """
        with np.errstate(all="ignore"):
            self._phi = resolved(function, breaks)
        self.error = _MEASURED + self._phi.residual

    def __call__(self, a: ArrayLike, b: ArrayLike, c: ArrayLike, D: ArrayLike) -> FloatArray:
        """Return the means at variances a, b, covariances c and determinants D = ab - c^2, broadcast.

        Equal pairs give equal bits, in whatever arrays they come, and u and v may be exchanged. The mean is infinite
        where the second moment of phi(u) or phi(v) overflows.

        Raises:
            ValueError: if the activation varies too fast to be resolved as far out as a variance asks.
        """
        a, b, c, D = (np.asarray(x, dtype=float) for x in (a, b, c, D))
        shape = np.broadcast_shapes(a.shape, b.shape, c.shape, D.shape)
        variances, place = np.unique(np.concatenate([a.ravel(), b.ravel()]), return_inverse=True)
        i, j = place[: a.size].reshape(a.shape), place[a.size :].reshape(b.shape)
        i, j, c, D = (np.broadcast_to(x, shape).ravel() for x in (np.maximum(i, j), np.minimum(i, j), c, D))
        with np.errstate(all="ignore"):
            return self._means(np.sqrt(variances), i, j, c, D).reshape(shape)

    def _means(self, roots: FloatArray, i: IntArray, j: IntArray, c: FloatArray, D: FloatArray) -> FloatArray:
        """Return the means at pairs of the variances roots^2; i is the place of the larger one, j of the other."""
        reach = reaches(self._phi.function, roots)
        finite = np.isfinite(reach)
        if np.any(reach[finite] * roots[finite] > self._phi.domain):
            raise ValueError(
                f"expected variances below {(self._phi.domain / REACH) ** 2:.3g}, got {roots.max() ** 2:.3g}: the "
                "activation is not resolved further out; declare its break points, or take smaller inputs or sigma_w"
            )
        result = np.full(len(c), np.inf)
        (left,) = np.nonzero(finite[i] & finite[j])
        product = roots[i] * roots[j]
        rho = np.clip(np.where(product > 0, c / np.where(product > 0, product, 1.0), 0.0), -1.0, 1.0)
        for order in _ORDERS:
            used, place = np.unique(np.concatenate([i[left], j[left]]), return_inverse=True)
            p, q = place[: len(left)], place[len(left) :]
            series = expansion(self._phi, roots[used], reach[used], order)
            remainder = np.abs(rho[left]) ** order * series.rest[p] * series.rest[q]
            enough = remainder <= _TRUNCATION
            result[left[enough]] = _mehler(series.coefficients, p[enough], q[enough], rho[left[enough]])
            identical = (p == q) & (D[left] == 0) & (c[left] > 0)
            result[left[identical]] = series.moments[p[identical]]
            left = left[~(enough | identical)]
        pairs, place = _distinct(np.stack([roots[i], c, D, np.maximum(reach[i], reach[j])])[:, left])
        result[left] = self._integrated(*pairs)[place]
        return result

    def _integrated(self, root: FloatArray, c: FloatArray, D: FloatArray, reach: FloatArray) -> FloatArray:
        """Return the means at pairs, conditional on the u of variance root^2, not less than that of v."""
        slope, s = c / root, np.sqrt(D) / root
        result = np.empty(len(root))
        levels = np.digitize(self._phi.finest / (s * reach), _ROOM)
        for level in range(len(_HERMITE)):
            for at in _blocks(levels == level, _PAIRS):
                result[at] = self._outer(root[at], slope[at], s[at], reach[at], level)
        return result

    def _outer(self, root: FloatArray, slope: FloatArray, s: FloatArray, reach: FloatArray, level: int) -> FloatArray:
        """Return E[phi(root x) Phi(slope x, s)] for pairs, shape (n_pairs,), at one level of smoothness."""
        edges, limit = (self._phi.breaks, np.full_like(reach, REACH)) if level else (self._phi.edges, reach)
        steps = s[:, None] * cuts(limit, _INNER)
        layers = [(edge + steps) / slope[:, None] for edge in edges]
        smooth = [self._phi.edges / size[:, None] for size in (root, slope)]
        rows, x, weights = gaussian_rule(cuts(reach, _OUTER, *smooth, *layers))
        weights *= self._phi.function(root[rows, None] * x)
        weights *= self._conditional(slope[rows, None] * x, s[rows, None], limit[rows, None], edges, _HERMITE[level])
        return np.bincount(rows, weights.sum(axis=1), len(root))

    def _conditional(
        self, m: FloatArray, s: FloatArray, reach: FloatArray, edges: FloatArray, hermite: tuple[FloatArray, FloatArray]
    ) -> FloatArray:
        """Return Phi(m, s) = E[phi(m + s y)] on panels of m, shape (n_panels, n_nodes), each on one side of any edge."""
        phi = self._phi.function
        means = np.empty_like(m)
        ends = np.sort(m[:, [0, -1]], axis=1) + s * reach * [-1.0, 1.0]
        first, last = np.searchsorted(edges, ends).T
        smooth = first == last
        means[smooth] = sum(w * phi(m[smooth] + s[smooth] * y) for y, w in zip(*hermite, strict=True))
        near_one = (last == first + 1) & (reach[:, 0] == REACH)
        for at in _blocks(near_one, _BLOCK // (len(NODES) * len(_CENTRED))):
            edge = edges[first[at], None]
            side = np.copysign(s[at], m[at, :1] - edge)
            values = phi(edge + side * (_CENTRE + _CENTRED)) * _CENTRED_WEIGHTS
            d = (m[at] - edge) / side - _CENTRE
            kernel = d[:, :, None] * _CENTRED
            np.exp(kernel, out=kernel)
            means[at] = np.exp(-(d**2) / 2) * np.einsum("pdy,py->pd", kernel, values)
        for at in _blocks(~(smooth | near_one), _BLOCK // (len(NODES) * len(_CENTRED))):
            mean, spread, limit = (np.broadcast_to(value[at], m[at].shape).ravel() for value in (m, s, reach))
            rows, y, weights = gaussian_rule(cuts(limit, _INNER, (edges - mean[:, None]) / spread[:, None]))
            weights *= phi(mean[rows, None] + spread[rows, None] * y)
            means[at] = np.bincount(rows, weights.sum(axis=1), len(mean)).reshape(m[at].shape)
        return means


def _blocks(which: NDArray[np.bool_], size: int) -> Iterator[IntArray]:
    """Yield the places where something is true, so many at a time."""
    (places,) = np.nonzero(which)
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _mehler(coefficients: FloatArray, p: IntArray, q: IntArray, rho: FloatArray) -> FloatArray:
    """Return sum_k rho^k A_k(p) A_k(q) of columns p, q of the coefficients, by Horner's rule."""
    result = np.zeros(len(rho))
    for start in range(0, len(rho), _BLOCK):
        block = slice(start, start + _BLOCK)
        total = result[block]
        for row in coefficients[::-1]:
            total *= rho[block]
            total += row[p[block]] * row[q[block]]
    return result


def _distinct(columns: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct ones of columns of numbers, and where among them each is."""
    order = np.lexsort(columns)
    ordered = columns[:, order]
    new = np.any(np.diff(ordered, axis=1, prepend=np.nan) != 0, axis=0)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.cumsum(new) - 1
    return ordered[:, new], place
