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
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation
from derive.duals.evaluation import precision
from derive.duals.integration import NotIntegrable, gaussian_mean, hermite_coefficients, mean
from derive.duals.work import TooMuchWork, Work
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
_TERMS = (64, 1), (256, 4)
"""Numbers of terms, and how many pairs a variance there have to be more of for them to be worth it; chosen."""
_SURE = 0.58
"""Correlation up to which the terms that are left out do no harm, so that few pairs are worth it: 0.58^64 < 1e-15."""
_DIGITS, _BITS = 25, 150
"""Digits of certified coefficients and precision of sums of them: far below the error of a float. Chosen."""
_DIGITS_OF_PAIRS, _DIGITS_OF_SIZES = 16, 3
"""Digits of means of single pairs, no worse than floats, and of norms that errors are relative to. Chosen."""
_WANTED = 1e-14
"""Bound that is good enough not to enclose the pair by itself; chosen: what :mod:`numeric.lower_duals` promises."""
SHOWN_OPERATIONS = 1_200_000
"""What the proofs of one dual may take together where an error is shown, a few seconds; chosen."""
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


@dataclass(frozen=True, slots=True)
class ShownError:
    """What is proven at those of the pairs :data:`SHOWN` where the mean exists.

    Attributes:
        error: the largest proven relative error, infinite where none is proven.
        proven: the pairs (a, b, c) that it is proven at.
        unproven: those that would have taken more work than allowed.
        refused: those at which nothing is computed in float64, and why.
    """

    error: float
    proven: tuple[tuple[float, float, float], ...]
    unproven: tuple[tuple[float, float, float], ...]
    refused: dict[tuple[float, float, float], str]


def proven_means(
    activation: Activation, a: ArrayLike, b: ArrayLike, c: ArrayLike, order: int = 0, work: Work | None = None
) -> ProvenMeans:
    """Return E[phi(u) phi(v)] in float64, or E[phi'(u) phi'(v)] for order 1, with proven errors.

    The determinant is computed exactly and rounded once. This takes some 0.05 s for each distinct variance, seven times
    that where the correlations are near 1, and 0.02 to 0.5 s for each pair that has to be enclosed by itself; ten times
    as long for an activation as steep as ``tanh(1e8*z)``.

    Args:
        activation: phi, without parameters.
        a: variances of u, exact binary values.
        b: variances of v.
        c: covariances, broadcast with the variances.
        order: of the derivative.
        work: what the proofs may cost in all; by default :data:`derive.duals.work.MOST_OPERATIONS` for each integral.

    Raises:
        NotIntegrable, NotPiecewise: if a mean does not exist or cannot be enclosed; TooMuchWork if not with so much
            work.
        ValueError: if there is no such pair.
    """
    return _proven(_lowered(activation, order), _Certificates(_function(activation, order)), a, b, c, work)


def shown_error(activation: Activation, order: int = 0, most: int = SHOWN_OPERATIONS) -> ShownError:
    """Return the largest proven relative error at those of the pairs :data:`SHOWN` where the mean exists, and these.

    Args:
        activation: phi, without parameters.
        order: of the derivative.
        most: number of operations on balls that all proofs may take.

    Raises:
        NotPiecewise: as :func:`proven_means`.
    """
    lowered, certificates = _lowered(activation, order), _Certificates(_function(activation, order))
    errors, refused, unproven, work = {}, {}, [], Work(most)
    for pair in SHOWN:
        try:
            errors[pair] = float(_proven(lowered, certificates, *pair, work).errors)
        except TooMuchWork:
            unproven.append(pair)
        except NotIntegrable:  # the second moment at the larger variance
            pass
        except ValueError as error:
            refused[pair] = str(error)
    return ShownError(max(errors.values(), default=math.inf), tuple(errors), tuple(unproven), refused)


def _lowered(activation: Activation, order: int) -> LoweredMean:
    lowered = lowered_dual(activation)
    return (lowered.value, lowered.derivative)[order]


def _function(activation: Activation, order: int) -> Any:
    return activation.derivative if order else activation.expression


def _proven(
    lowered: LoweredMean, certificates: _Certificates, a: ArrayLike, b: ArrayLike, c: ArrayLike, work: Work | None
) -> ProvenMeans:
    """Return the means of a function by a lowered mean, with proven errors."""
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (a, b, c)))
    pairs = np.stack([x.ravel() for x in arrays])
    first, second, covariance = pairs
    determinants = np.array([_determinant(*pair) for pair in pairs.T])
    for variance in np.unique(pairs[:2]).tolist():
        certificates.size(variance, work)  # refuses what has no second moment, and says so
    values = np.array(lowered(first, second, covariance, determinants))
    errors = np.full(len(values), np.inf)
    roots = np.sqrt(first) * np.sqrt(second)
    rho = np.clip(np.divide(covariance, roots, out=np.zeros_like(roots), where=roots > 0), -1.0, 1.0)
    for terms, few in _TERMS:
        (left,) = np.nonzero(~(errors <= _WANTED))
        if len(left) <= few * len(np.unique(pairs[:2, left])):
            left = left[np.abs(rho[left]) <= _SURE]
        if len(left):
            variances, place = np.unique(pairs[:2, left], return_inverse=True)
            found = [certificates.of(x, terms, work) for x in variances.tolist()]
            errors[left] = _bounds(found, place, values[left], rho[left])
    for n in np.nonzero(~(errors <= _WANTED))[0]:
        errors[n] = certificates.error_of_pair(pairs[:, n].tolist(), float(values[n]), work)
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


@dataclass(frozen=True, slots=True)
class _Certificates:
    """What is proven on a function, each once."""

    function: Any
    moments: dict[float, arb] = field(default_factory=dict)
    sizes: dict[float, arb] = field(default_factory=dict)
    known: dict[tuple[float, int], _Certificate] = field(default_factory=dict)

    def second_moment(self, variance: float, work: Work | None) -> arb:
        """Return a ball around the second moment at a variance."""
        if variance not in self.moments:
            self.moments[variance] = mean(self.function**2, variance, _DIGITS, work)
        return self.moments[variance]

    def size(self, variance: float, work: Work | None) -> arb:
        """Return a wider ball around the second moment."""
        if variance not in self.sizes:
            known = self.moments.get(variance)
            self.sizes[variance] = known or mean(self.function**2, variance, _DIGITS_OF_SIZES, work)
        return self.sizes[variance]

    def of(self, variance: float, terms: int, work: Work | None) -> _Certificate:
        """Return what is proven on so many Hermite coefficients at a variance."""
        if (variance, terms) not in self.known:
            self.known[variance, terms] = self._certificate(variance, terms, work)
        return self.known[variance, terms]

    def _certificate(self, variance: float, terms: int, work: Work | None) -> _Certificate:
        with precision(_BITS):
            moment = self.second_moment(variance, work)
            if variance:
                balls = hermite_coefficients(self.function, variance, terms, _DIGITS, work)
            else:
                balls = (mean(self.function, 0, _DIGITS, work),)
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

    def error_of_pair(self, pair: list[float], value: float, work: Work | None) -> float:
        """Return a bound of the relative error of one number, by a two-dimensional integral in balls."""
        a, b, c = pair
        exact = gaussian_mean(self.function, self.function, a, b, c, _DIGITS_OF_PAIRS, work)
        with precision(_BITS):
            error = abs(arb(value) - exact)
            scale = (self.size(a, work) * self.size(b, work)).sqrt()
            if error.is_zero():
                return 0.0
            bound = error / scale
            return _above(bound) if bound.is_finite() else math.inf


def _root_above(square: arb) -> float:
    """Return a float that is no less than the root of what a ball around a square of a norm contains."""
    return _above(square.nonnegative_part().sqrt())


def _above(ball: arb) -> float:
    return float(np.nextafter(float(ball.abs_upper()), np.inf))
