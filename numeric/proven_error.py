"""Proven errors of duals in float64: what a number that was computed is off by, whatever computed it.

Each number is compared with a Mehler series whose coefficients are certified in ball arithmetic,

    E[phi(u) phi(v)] = sum_k rho^k A_k(a) A_k(b),    A_k(a) = E[phi(sqrt(a) x) He_k(x)] / sqrt(k!).

Balls are needed once for each variance, not for each pair. With floats p_k near A_k(a) and q_k near A_k(b), their sum
S = sum_(k<N) rho^k p_k q_k in floating point, u = 2^-53 and the norms of sequences, the Cauchy-Schwarz inequality gives

    |mean - S| <= |A(a) - p| |A(b)| + |p| |A(b) - q|           coefficients that are floats
                + sqrt(sum_k g_k p_k^2) sqrt(sum_k g_k q_k^2)  rounding of rho (4 u) and in Horner's rule
                + |rho|^N rest(a) rest(b),                     Parseval: rest(a)^2 = E[phi(u)^2] - sum_(k<N) A_k(a)^2

with g_k = n u / (1 - n u) for n = 6 k + 2. Where this is too much each pair is enclosed by itself. All that is assumed
is that floats are added, multiplied, divided and rooted as IEEE 754 says, and that Arb is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation
from derive.duals.evaluation import precision
from derive.duals.integration import NotIntegrable, gaussian_mean, hermite_coefficients, mean
from numeric.lower_duals import LoweredMean, lowered_dual

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

SHOWN = (
    (1.0, 1.0, 0.5),
    (1.0, 1.0, -0.875),
    (1.0, 1.0, 1.0),
    (0.25, 4.0, 0.75),
    (4.0, 4.0, 3.96875),
    (1.0, 2.0, 1.40625),
)
"""Pairs (a, b, c) at which errors are told to whoever asks for none in particular; chosen."""
_TERMS = (64, 0), (256, 4)
"""Numbers of terms, and how many pairs a variance there have to be more of for them to be worth it; chosen."""
_DIGITS, _BITS = 25, 150
"""Digits of certified coefficients and precision of sums of them: far below the error of a float. Chosen."""
_DIGITS_OF_PAIRS = 18
_WANTED = 1e-14
"""Bound that is good enough not to enclose the pair by itself; chosen: what :mod:`numeric.lower_duals` promises."""
_UNIT = 2.0**-53
_UNDERFLOW = 5e-324
"""More than the error of a product that underflows."""
_SLACK = 1 + 1e-9
"""For the rounding in bounds themselves, some thousand operations on positive numbers; derived, generously."""


@dataclass(frozen=True, slots=True, eq=False)
class ProvenMeans:
    """Means in float64 with proven errors.

    Attributes:
        values: the means as they are computed in float64.
        errors: bounds of their absolute errors relative to ``sqrt(k(a, a) k(b, b))``, same shape.
    """

    values: FloatArray
    errors: FloatArray


@dataclass(frozen=True, slots=True)
class _Certificate:
    """What is proven on the coefficients at one variance; bounds from above, but for ``size``.

    Attributes:
        floats: numbers near the coefficients.
        off: the norm of what the coefficients differ from them by.
        norm: the norm of all coefficients.
        size: a bound of that norm from below.
        rest: the norm of the coefficients that are left out.
        rounding: the root of ``sum_k g_k p_k^2``.
    """

    floats: tuple[float, ...]
    off: float
    norm: float
    size: float
    rest: float
    rounding: float


def proven_means(activation: Activation, a: ArrayLike, b: ArrayLike, c: ArrayLike, order: int = 0) -> ProvenMeans:
    """Return E[phi(u) phi(v)] in float64, or E[phi'(u) phi'(v)] for order 1, with proven errors.

    The determinant is computed exactly and rounded once. This takes some 0.05 s for each distinct variance, seven times
    that where the correlations are near 1, and 0.02 to 0.5 s for each pair that has to be enclosed by itself.

    Args:
        activation: phi, without parameters.
        a: variances of u, exact binary values.
        b: variances of v.
        c: covariances, broadcast with the variances.
        order: of the derivative.

    Raises:
        NotIntegrable, NotPiecewise: if a mean does not exist or cannot be enclosed.
        ValueError: if there is no such pair.
    """
    lowered = lowered_dual(activation)
    function = activation.derivative if order else activation.expression
    return _proven((lowered.value, lowered.derivative)[order], function, a, b, c)


def shown_error(activation: Activation, order: int = 0) -> tuple[float, list[tuple[float, float, float]]]:
    """Return the largest proven relative error at those of the pairs :data:`SHOWN` where the mean exists, and these."""
    errors = {}
    for pair in SHOWN:
        try:
            errors[pair] = float(proven_means(activation, *pair, order).errors)
        except NotIntegrable:  # the second moment at the larger variance
            continue
    return max(errors.values(), default=math.inf), [*errors]


def _proven(lowered: LoweredMean, f: Any, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> ProvenMeans:
    """Return the means of a function by a lowered mean, with proven errors."""
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (a, b, c)))
    pairs = np.stack([x.ravel() for x in arrays])
    first, second, covariance = pairs
    values = np.array(lowered(first, second, covariance, np.array([_determinant(*pair) for pair in pairs.T])))
    errors = np.full(len(values), np.inf)
    roots = np.sqrt(first) * np.sqrt(second)
    rho = np.clip(np.divide(covariance, roots, out=np.zeros_like(roots), where=roots > 0), -1.0, 1.0)
    for terms, few in _TERMS:
        (left,) = np.nonzero(~(errors <= _WANTED))
        variances, place = np.unique(pairs[:2, left], return_inverse=True)
        if len(left) > few * len(variances):
            errors[left] = _bounds(
                [_certificate(f, x, terms) for x in variances.tolist()], place, values[left], rho[left]
            )
    for n in np.nonzero(~(errors <= _WANTED))[0]:
        errors[n] = _error_of_pair(f, pairs[:, n].tolist(), float(values[n]))
    return ProvenMeans(values.reshape(arrays[0].shape), errors.reshape(arrays[0].shape))


def _determinant(a: float, b: float, c: float) -> float:
    exact = Fraction(a) * Fraction(b) - Fraction(c) ** 2
    if min(a, b) < 0 or exact < 0:
        raise ValueError(f"expected variances a, b >= 0 and c^2 <= ab, got a = {a}, b = {b}, c = {c}")
    return float(exact)


def _bounds(certificates: list[_Certificate], place: IntArray, values: FloatArray, rho: FloatArray) -> FloatArray:
    """Return bounds of relative errors from the certificates of the variances at places (2, n_pairs)."""
    coefficients = np.array([x.floats for x in certificates]).T
    numbers = np.array([(x.off, x.norm, x.size, x.rest, x.rounding) for x in certificates]).T
    p, q = place
    total = np.zeros(len(values))
    for row in coefficients[::-1]:
        total = total * rho + row[p] * row[q]
    (off, other_off), (norm, other_norm), (size, other_size), (rest, other_rest), (rounding, other_rounding) = (
        (x[p], x[q]) for x in numbers
    )
    bound = np.abs(values - total) + off * other_norm + (norm + off) * other_off + rounding * other_rounding
    bound += np.abs(rho) ** len(coefficients) * rest * other_rest + 2 * len(coefficients) * _UNDERFLOW
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(bound * _SLACK / (size * other_size))


@cache
def _certificate(f: Any, variance: float, terms: int) -> _Certificate:
    """Return what is proven on the Hermite coefficients of a function at a variance."""
    with precision(_BITS):
        moment = _second_moment(f, variance)
        balls = hermite_coefficients(f, variance, terms, _DIGITS) if variance else [mean(f, 0, _DIGITS)]
        floats = [float(ball.mid()) for ball in balls]
        roundings = [(6 * k + 2) * arb(_UNIT) / (1 - (6 * k + 2) * arb(_UNIT)) for k in range(len(floats))]
        gaps = [ball - x for ball, x in zip(balls, floats, strict=True)]
        off = sum((gap * gap for gap in gaps), arb(0))
        rest = moment - sum((ball * ball for ball in balls), arb(0))
        rounding = sum((g * arb(x) ** 2 for g, x in zip(roundings, floats, strict=True)), arb(0))
        off_bound, norm, rest_bound, rounding_bound = (_root_above(x) for x in (off, moment, rest, rounding))
        size = np.nextafter(float(moment.abs_lower().sqrt().lower()), 0.0)
    padded = (*floats, *[0.0] * (terms - len(floats)))
    return _Certificate(padded, off_bound, norm, float(size), rest_bound, rounding_bound)


@cache
def _second_moment(f: Any, variance: float) -> arb:
    return mean(f**2, variance, _DIGITS)


def _root_above(square: arb) -> float:
    """Return a float that is no less than the root of what a ball around a square of a norm contains."""
    return _above(square.nonnegative_part().sqrt())


def _above(ball: arb) -> float:
    return float(np.nextafter(float(ball.abs_upper()), np.inf))


def _error_of_pair(f: Any, pair: list[float], value: float) -> float:
    """Return a bound of the relative error of one number, by a two-dimensional integral in balls."""
    a, b, c = pair
    exact = gaussian_mean(f, f, a, b, c, digits=_DIGITS_OF_PAIRS)
    with precision(_BITS):
        error = abs(arb(value) - exact)
        scale = (_second_moment(f, a) * _second_moment(f, b)).sqrt()
        if error.is_zero():
            return 0.0
        bound = error / scale
        return _above(bound) if bound.is_finite() else math.inf
