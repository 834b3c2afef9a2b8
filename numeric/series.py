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
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numeric.hermite import (
    PANEL,
    REACHES,
    FloatArray,
    Function,
    IntArray,
    cuts,
    expansion,
    gaussian_rule,
    marks,
    reaches,
    resolved,
)
from numeric.sharing import shared

_ORDERS, _MORE = (64, 512), 2048
"""Numbers of terms, each for pairs for which those before are not enough, the last for activations with breaks only;
chosen: with more the series takes longer than the integral."""
_TRUNCATION = 2e-15
"""Largest bound of the remainder of a series relative to sqrt(k(a, a) k(b, b)); chosen."""
_PROMISING = 10.0
"""How far above that the bound with the rest of the terms before may be for more to be tried, for activations with
breaks; chosen: at a kink the squared norm of the rest of n terms falls like n^(-3/2)."""
_OPPOSITE, _SMALL = -0.6, 0.1
"""Correlation below which, and size relative to sqrt(k(a, a) k(b, b)) below which, a series that alternates has lost
digits that the integral has: means of one-sided activations vanish there. Chosen."""
_MEASURED = 1e-14
"""Error of the means of a resolved activation; measured by tests/benchmarks/bench_duals.py, rounded up."""

_BLOCK, _SUMMED, _PAIRS = 15_000, 50_000, 512
"""Numbers, pairs to sum, and pairs to integrate, worked on at a time: few enough for the cache, enough for threads to
go side by side. Chosen."""
_STEP = 4.5
"""Largest width of a panel in x; chosen: its rule integrates a normal density over twice as much to rounding."""
_OVERSHOOT = 0.25
"""By which part of the width of the panels around it an edge may be missed; chosen: the rule has digits to spare."""
_LEVELS = (0.0, 12), (0.1, 200), (0.5, 48), (1.0, 20), (2.0, 12), (5.0, 8), (20.0, 5)
_SINGLE = 3
"""How often the reach of s y fits into the narrowest panel of an activation, at least, and numbers of nodes in y: first
where no edge is in reach, then where no break is, by the trapezoidal rule, and from the level _SINGLE on, where phi
hardly bends across a panel in y, by the Gauss-Hermite rule. With singularities no nearer than the panels allow they are
exact to rounding. Chosen."""
_NEAR = REACHES[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Layers:
    """How the layers beside a break are cut: how wide panels are, in units of s, and the rule behind a break.

    Values of phi at ``middles + offsets``, counted from 4.5 s behind the break, from 9 s before it to 18 s behind,
    serve for all m up to 9 s behind the break, since exp(-(y - d)^2 / 2) = exp(-y^2 / 2) exp(y d) exp(-d^2 / 2), and
    exp(y d) is a product of two for the middle of a panel and the offset in it.

    Attributes:
        step: the width of the panels.
        middles: of the panels, shape (n_panels,).
        offsets: of the nodes in a panel, shape (n_nodes,).
        weights: of all nodes for the normal density, shape (n_panels, n_nodes).
    """

    step: float
    middles: FloatArray
    offsets: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, step: float) -> _Layers:
        """Return the layers with panels of a width of which 9 is a multiple."""
        middles, offsets = np.arange(step / 2 - 1.5 * _NEAR, 1.5 * _NEAR, step), step / 2 * PANEL.nodes
        y = middles[:, None] + offsets
        return cls(step, middles, offsets, step / 2 * PANEL.weights * np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi))

    @property
    def nodes(self) -> FloatArray:
        """Return all nodes in order."""
        return (self.middles[:, None] + self.offsets).ravel()


_PARALLEL, _OPPOSED = _Layers.of(_NEAR), _Layers.of(_NEAR / 2)
"""Layers for positive and for negative covariances; half as wide for these, since a one-sided function then leaves a
small mean, made in the tails of the normal density. Chosen."""


class HermiteMehler:
    """The means E[phi(u) phi(v)] over centred Gaussian pairs, as a function of arrays (a, b, c, D).

    Attributes:
        error: estimate of the absolute error relative to sqrt(k(a, a) k(b, b)): what was measured for resolved
            activations, and the part of this one that is not resolved; infinite where nothing is computed.
    """

    def __init__(self, function: Function, breaks: tuple[float, ...] = ()) -> None:
        """Resolve the activation.

        Args:
            function: the activation, elementwise on arrays, analytic between the break points.
            breaks: the break points.
        """
        with np.errstate(all="ignore"):
            self._phi = resolved(function, breaks)
            self._poles = [x for x in breaks if not np.isfinite(function(np.array([x]))).all()]
        self.error = np.inf if self._poles else _MEASURED + self._phi.residual

    def __call__(self, a: ArrayLike, b: ArrayLike, c: ArrayLike, D: ArrayLike) -> FloatArray:
        """Return the means at variances a, b, covariances c and determinants D = ab - c^2, broadcast.

        Equal pairs give equal bits, in whatever arrays they come, and u and v may be exchanged. The mean is infinite
        where the second moment of phi(u) or phi(v) overflows.

        Raises:
            ValueError: if the activation varies too fast to be resolved as far out as a variance asks, gives NaN, or
                is infinite at a break point, or has a second moment that comes from too far out.
        """
        if self._poles:
            raise ValueError(
                f"expected a function that is finite at its break points, got one that is not at z = {self._poles[0]:g}"
                "; what is integrable there is not computed in float64"
            )
        first, second, covariance, determinant = (np.asarray(x, dtype=float) for x in (a, b, c, D))
        shape = np.broadcast_shapes(first.shape, second.shape, covariance.shape, determinant.shape)
        variances, place = np.unique(np.concatenate([first.ravel(), second.ravel()]), return_inverse=True)
        places = place[: first.size].reshape(first.shape), place[first.size :].reshape(second.shape)
        i, j = (np.broadcast_to(extreme(*places), shape).ravel() for extreme in (np.maximum, np.minimum))
        pair = (np.broadcast_to(x, shape).ravel() for x in (covariance, determinant))
        with np.errstate(all="ignore"):
            return self._means(np.sqrt(variances), i, j, *pair).reshape(shape)

    def _means(self, roots: FloatArray, i: IntArray, j: IntArray, c: FloatArray, D: FloatArray) -> FloatArray:
        """Return the means at pairs of the variances roots^2; i is the place of the larger one, j of the other."""
        reach = reaches(self._phi.function, roots)
        if np.isnan(reach).any():
            raise ValueError(
                f"expected second moments that come from within {REACHES[-1]} standard deviations, at variance "
                f"{roots[np.isnan(reach)][0] ** 2:.3g} it does not exist or does not; take smaller inputs or sigma_w"
            )
        finite = np.isfinite(reach)
        if np.any(reach[finite] * roots[finite] > self._phi.domain):
            raise ValueError(
                f"expected variances below {(self._phi.domain / _NEAR) ** 2:.3g}, got {roots.max() ** 2:.3g}: further "
                "out the activation is not resolved; declare its break points, or take smaller inputs or sigma_w"
            )
        result = np.full(len(c), np.inf)
        common = np.maximum(reach[i], reach[j])
        for limit in np.unique(common[common < np.inf]):
            (at,) = np.nonzero(common == limit)
            result[at] = self._means_within(float(limit), roots, i[at], j[at], c[at], D[at])
        if np.isnan(result).any():
            raise ValueError(
                f"expected means that are numbers, got NaN at variances up to {roots.max() ** 2:.3g}: the activation "
                "multiplies what overflows by what vanishes; write it otherwise, or take smaller inputs or sigma_w"
            )
        return result

    def _means_within(
        self, reach: float, roots: FloatArray, i: IntArray, j: IntArray, c: FloatArray, D: FloatArray
    ) -> FloatArray:
        """Return the means at pairs of variances that ask for one reach."""
        result, integrated = np.empty(len(c)), np.ones(len(c), dtype=bool)
        product = roots[i] * roots[j]
        rho = np.where(product > 0, np.clip(c / product, -1.0, 1.0), 0.0)
        kinked = len(self._phi.breaks) > 0
        left, rest = integrated.copy(), np.zeros(len(roots))
        for order in (*_ORDERS, _MORE) if kinked else _ORDERS:
            (at,) = np.nonzero(left & (np.abs(rho) ** order * rest[i] * rest[j] <= _PROMISING * _TRUNCATION))
            used = np.zeros(len(roots), dtype=bool)
            used[i[at]] = used[j[at]] = True
            p, q = ((np.cumsum(used) - 1)[place[at]] for place in (i, j))
            series = expansion(self._phi, roots[used], reach, order)
            identical = (p == q) & (D[at] == 0) & (c[at] > 0)
            summed = ~identical & (np.abs(rho[at]) ** order * series.rest[p] * series.rest[q] <= _TRUNCATION)
            result[at[identical]] = series.moments[p[identical]]
            result[at[summed]] = _mehler(series.coefficients, p[summed], q[summed], rho[at[summed]])
            size = np.sqrt(series.moments[p]) * np.sqrt(series.moments[q])
            cancelled = summed & (rho[at] < _OPPOSITE) & (np.abs(result[at]) < _SMALL * size)
            left[at[identical | summed]] = False
            integrated[at[(identical | summed) & ~cancelled]] = False
            if kinked:
                rest[used] = series.rest
        pairs, place = _distinct(np.stack([roots[i], c, D])[:, integrated])
        result[integrated] = self._integrated(reach, *pairs)[place]
        return result

    def _integrated(self, reach: float, root: FloatArray, c: FloatArray, D: FloatArray) -> FloatArray:
        """Return the means at pairs, by conditioning on the u of variance root^2, not less than that of v."""
        slope, s = c / root, np.sqrt(D) / root
        result = np.empty(len(root))
        levels = np.digitize(self._phi.finest / (reach * s), [room for room, _ in _LEVELS[1:]])

        def integrate(task: tuple[int, _Layers, IntArray]) -> None:
            level, layers, at = task
            result[at] = self._outer(root[at], slope[at], s[at], reach, level, layers)

        shared(
            integrate,
            (
                (level, layers, at)
                for level in range(len(_LEVELS))
                for layers, of_sign in ((_PARALLEL, c >= 0), (_OPPOSED, c < 0))
                for at in _blocks((levels == level) & of_sign, _PAIRS)
            ),
        )
        return result

    def _outer(
        self, root: FloatArray, slope: FloatArray, s: FloatArray, reach: float, level: int, layers: _Layers
    ) -> FloatArray:
        """Return E[phi(root x) Phi(slope x, s)] for pairs at one level of smoothness, shape (n_pairs,)."""
        phi = self._phi
        edges, inner = phi.breaks if level else phi.edges, _NEAR if level >= _SINGLE else reach
        # the tails of what y smears out reach beyond a panel by as much: a wide one beside it has to be cut there
        smeared = phi.edges if level < _SINGLE else edges
        beside = [(edge + s[:, None] * marks(inner, layers.step)) / slope[:, None] for edge in smeared]
        of_u, of_v = (phi.edges / scale[:, None] for scale in (root, slope))
        of_v[self._shared(slope / root)] = np.nan
        rows, x, weights = gaussian_rule(cuts(reach, of_u, of_v, *beside), _STEP)
        m, s = slope[rows, None] * x, s[rows, None]
        far = inner * s[:, 0]
        first = np.searchsorted(edges, np.minimum(m[:, 0], m[:, -1]) - far)
        last = np.searchsorted(edges, np.maximum(m[:, 0], m[:, -1]) + far)
        means = np.empty_like(m)
        clear = (first == last) | (s[:, 0] == 0)
        single = ~clear & (first + 1 == last) & (level >= _SINGLE)
        for piece in range(len(edges) + 1):
            (at,) = np.nonzero(clear & (first == piece))
            middle, scale = m[at], s[at]
            means[at] = sum(w * phi.function(middle + scale * y) for y, w in _rule(level, reach))
        (at,) = np.nonzero(single)
        means[at] = _near_break(phi.function, edges[first[at], None], m[at], s[at], layers)
        for at in _blocks(~(clear | single), _PAIRS):
            means[at] = self._near_edges(m[at], s[at], inner)
        weights *= phi.function(root[rows, None] * x)
        weights *= means
        return np.bincount(rows, weights.sum(axis=1), len(root)).astype(float)

    def _shared(self, ratio: FloatArray) -> NDArray[np.bool_]:
        """Return which edges for v = ratio u are so near to those for u that one cut does for both."""
        widths = np.diff(self._phi.edges, prepend=-np.inf, append=np.inf)
        room = _OVERSHOOT * np.minimum(widths[:-1], widths[1:])
        return np.asarray(np.abs(self._phi.edges) * (1 - ratio[:, None]) <= room)

    def _near_edges(self, m: FloatArray, s: FloatArray, reach: float) -> FloatArray:
        """Return Phi(m, s) on panels of m of a width up to 9 s, near any edges; shapes (n_panels, n_nodes or 1)."""
        centre = (m[:, :1] + m[:, -1:]) / 2
        rows, y, weights = gaussian_rule(cuts(_NEAR / 2 + reach, (self._phi.edges - centre) / s), _STEP)
        weights *= self._phi.function(centre[rows] + s[rows] * y)
        sums = _shifted(y, weights, ((m - centre) / s)[rows])
        return np.asarray(np.add.reduceat(sums, np.searchsorted(rows, np.arange(len(m)))))


def _near_break(phi: Function, edge: FloatArray, m: FloatArray, s: FloatArray, layers: _Layers) -> FloatArray:
    """Return Phi(m, s) on panels of m near one break each, on one side of it; shapes (n_panels, n_nodes or 1)."""
    behind = np.copysign(s, m[:, :1] - edge)
    values = phi(edge + behind * (_NEAR / 2 + layers.nodes)).reshape(-1, *layers.weights.shape)
    values *= layers.weights
    d = (m - edge) / behind - _NEAR / 2
    result = np.empty_like(d)
    for start in range(0, len(d), _PAIRS // 2):
        at = slice(start, start + _PAIRS // 2)
        shift = d[at, None, :]
        sums = values[at] @ np.exp(shift * layers.offsets[:, None])
        sums *= np.exp(shift * (layers.middles[:, None] - shift / 2))
        result[at] = sums.sum(axis=1)
    return result


def _shifted(y: FloatArray, weighted: FloatArray, d: FloatArray) -> FloatArray:
    """Return sums over y with the normal density at y - d from those with the density at y, for the d of each row."""
    result = np.exp(-(d**2) / 2)
    size = _BLOCK // (y.shape[1] * d.shape[1])
    for start in range(0, len(d), size):
        at = slice(start, start + size)
        factor = d[at, :, None] * y[at, None, :]
        np.exp(factor, out=factor)
        result[at] *= np.einsum("pdy,py->pd", factor, weighted[at])
    return result


@cache
def _rule(level: int, reach: float) -> tuple[tuple[float, float], ...]:
    """Return nodes y and weights for E[f(y)] of a smooth f."""
    _, count = _LEVELS[level]
    if 0 < level < _SINGLE:
        y = np.arange(0.5 - count // 2, count // 2) * 2 * reach / count
        weights = np.exp(-(y**2) / 2)
    else:
        y, weights = np.polynomial.hermite_e.hermegauss(count)
    return tuple(zip(y, weights / weights.sum(), strict=True))


def _blocks(which: NDArray[np.bool_], size: int) -> Iterator[IntArray]:
    """Yield the places where something is true, so many at a time."""
    (places,) = np.nonzero(which)
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _mehler(coefficients: FloatArray, p: IntArray, q: IntArray, rho: FloatArray) -> FloatArray:
    """Return sum_k rho^k A_k(p) A_k(q) for columns p and q of coefficients, by Horner's rule."""
    result = np.zeros(len(rho))

    def add(block: slice) -> None:
        total, first, second, r = result[block], p[block], q[block], rho[block]
        left, right = np.empty_like(r), np.empty_like(r)
        for row in coefficients[::-1]:
            np.take(row, first, out=left, mode="clip")  # as they are, without a copy in between
            left *= np.take(row, second, out=right, mode="clip")
            total *= r
            total += left

    shared(add, (slice(start, start + _SUMMED) for start in range(0, len(rho), _SUMMED)))
    return result


def _distinct(columns: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct ones of columns of numbers, and where among them each is."""
    order = np.lexsort(columns)
    ordered = columns[:, order]
    new = np.any(np.diff(ordered, axis=1, prepend=np.nan) != 0, axis=0)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.cumsum(new) - 1
    return ordered[:, new], place
