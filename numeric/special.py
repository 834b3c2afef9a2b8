"""The functions of stable closed forms, for arrays of float64: what NumPy and SciPy have not.

The same text goes into source code that is emitted, so every function stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def arc_moment(n: int, y: ArrayLike, x: ArrayLike) -> FloatArray:
    """Return r^n J_n(t), t the angle and r the length of (-y, x), with all digits for small t.

    J_n is the angular function of the arc-cosine kernel of degree n at t = pi - theta (Cho and Saul 2009), here
    J_n(t) = 2^n n! int_0^t (sin s sin(t - s))^n ds: the integrand is positive, so nothing cancels.
    """
    t: FloatArray = np.arctan2(x, np.negative(y))
    if n == 0:
        return t
    r: FloatArray = np.hypot(x, y)
    if n == 1:
        u = np.minimum(t, 1.0) ** 2
        series = np.zeros_like(u)
        for k in range(9, -1, -1):
            series = (-1) ** k * 2 * (k + 1) / math.factorial(2 * k + 3) + u * series
        first: FloatArray = r * np.where(t < 1.0, t**3 * series, np.sin(t) - t * np.cos(t))
        return first
    nodes, weights = np.polynomial.legendre.leggauss(2 * n + 14)
    total = np.zeros_like(t)
    for node, weight in zip(nodes[n + 7 :], weights[n + 7 :], strict=True):  # the integrand is symmetric
        total += weight * (np.sin(t * (1 + node) / 2) * np.sin(t * (1 - node) / 2)) ** n
    return 2.0**n * math.factorial(n) * r**n * t * total


def compound(rate: ArrayLike, periods: ArrayLike) -> FloatArray:
    """Return (1 + rate)^periods - 1, periods a natural number or infinite, with all digits for small rates."""
    rate = np.asarray(rate, float)
    small = np.abs(rate) < 0.5
    near: FloatArray = np.expm1(periods * np.log1p(np.where(small, rate, -0.5)))
    return np.where(small, near, (1 + rate) ** periods - 1)


def spread(p: ArrayLike, q: ArrayLike, r: ArrayLike, d: ArrayLike) -> FloatArray:
    """Return p + q - 2r for variances p, q and a covariance r; d = pq - r^2 has its digits when it is small."""
    return _spread_and_error(p, q, r, d)[0]


def exp_spread(k: float, p: ArrayLike, q: ArrayLike, r: ArrayLike, d: ArrayLike) -> FloatArray:
    """Return exp(k (p + q - 2r)), k = 1 or -1, with the rounding error of the exponent made good."""
    exponent, error = _spread_and_error(p, q, r, d)
    value: FloatArray = np.exp(k * exponent) * (1 + k * error)
    return value


def _spread_and_error(p: ArrayLike, q: ArrayLike, r: ArrayLike, d: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, q, r, d = np.asarray(p, float), np.asarray(q, float), np.asarray(r, float), np.asarray(d, float)
    first = p + q  # two sums with their errors (Knuth)
    back = first - p
    error = (p - (first - back)) + (q - back)
    total = first - 2 * r
    back = total - first
    error = error + ((first - (total - back)) - (2 * r + back))
    roots = np.sqrt(p) + np.sqrt(q)
    small = (p - q) ** 2 / np.where(roots > 0, roots, 1.0) ** 2 + 2 * d / np.where(r > 0, np.sqrt(p * q) + r, 1.0)
    near = total < 0.5 * first
    return np.where(near, small, total), np.where(near, 0.0, error)


def away_from_zero(a: FloatArray, b: FloatArray, D: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return variances and determinant with tiny numbers for zero variances, uncorrelated with anything."""
    tiny = 1e-75  # its powers in closed forms are numbers, and its root is nothing beside 1
    zero = (a == 0) | (b == 0)
    a, b = (np.where(zero, np.maximum(x, tiny), x) for x in (a, b))
    return a, b, np.where(zero, a * b, D)


def replaced_where(
    least: float,
    opposite: float,
    near: Callable[..., FloatArray],
    far: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    D: ArrayLike,
) -> FloatArray:
    """Return the values ``far`` at pairs (a, b, c, D), and ``near(a, b, c, D)`` at some.

    These are where a variance is less than least, or the correlation less than opposite.
    """
    *pair, values = np.broadcast_arrays(a, b, c, D, far)
    chosen = (np.minimum(pair[0], pair[1]) < least) | (pair[2] < opposite * np.sqrt(pair[0]) * np.sqrt(pair[1]))
    result = np.array(values, dtype=float)
    if chosen.all():
        result[...] = near(a, b, c, D)
    elif chosen.any():
        result[chosen] = near(*(x[chosen] for x in pair))
    return result
