"""Intervals from samples, and the verdicts they allow.

A check estimates discrepancies θ from what a claim predicts, one per entry. The claim allows |θ| ≤ `allowed` (0 if it
is exact, else its own finite-width or rounding term); the check promises to notice |θ| ≥ `resolution`. One interval
that covers all entries with probability 1 − alpha gives both errors the same bound:

    P(refuted | |θ| ≤ allowed) ≤ alpha,      P(confirmed | |θ_i| ≥ resolution for some i) ≤ alpha.

Between the two thresholds either answer is legitimate. An interval too wide for a decision is inconclusive.

The mean intervals are Student's t with a correction for skewness, without which a six-sigma interval for skewed data
errs orders of magnitude more often than its name says. What in it is derived and what was chosen stands at
`combination_interval`. All sums over replicates are power sums, so that blocks merge in any grouping.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from verify.verdict import Verdict, combine

FloatArray = NDArray[np.float64]

MAX_SKEWNESS_CORRECTION = 3.0
"""Largest exponent of the skewness correction that is still trusted. Chosen, see `combination_interval`."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count and first three power sums of (x − shift), entry by entry; sums of two samples merge by addition.

    Take the shift near the expected mean: digits are lost in proportion to (|mean − shift| / standard deviation)² for
    the variance, cubed for the skewness. What is below the worst rounding error of its power sums is reported as 0.

    Attributes:
        count: number of replicates n.
        shift: (d,), subtracted from every replicate before it is raised to powers.
        sums: (3, d), sums over replicates of (x − shift)^p for p = 1, 2, 3.

    Raises:
        ValueError: if the shapes do not fit, the count is not positive, or a number is not finite.
    """

    count: int
    shift: FloatArray
    sums: FloatArray

    def __post_init__(self) -> None:
        shift, sums = _frozen(self.shift), _frozen(self.sums)
        if self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count}: there is no empty sample")
        if shift.ndim != 1 or sums.shape != (3, *shift.shape):
            raise ValueError(
                f"expected a shift of shape (d,) and sums of shape (3, d), got {shift.shape} and {sums.shape}: "
                "flatten the entries of a replicate"
            )
        if not (np.isfinite(shift).all() and np.isfinite(sums).all()):
            raise ValueError("moments must be finite, got inf or nan: look for overflow in the sampled values")
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "sums", sums)

    @classmethod
    def of(cls, values: FloatArray, shift: FloatArray) -> Moments:
        """Moments of the replicates in the rows of `values` (n, d).

        Raises:
            ValueError: as the class, or if `values` is not (n, d) with d the length of the shift.
        """
        samples, origin = np.asarray(values, dtype=np.float64), np.asarray(shift, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[1:] != origin.shape:
            raise ValueError(
                f"expected values (n, d) and a shift (d,), got {samples.shape}, {origin.shape}: one replicate per row"
            )
        # Replicates along the contiguous axis: NumPy then sums pairwise, with an error that grows as log n, not n.
        centred = np.ascontiguousarray((samples - origin).T)
        powers = [centred, centred * centred, centred * centred * centred]
        return cls(count=len(samples), shift=origin, sums=np.stack([power.sum(axis=1) for power in powers]))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both samples together.

        Raises:
            ValueError: if the shifts differ, since power sums about different points do not add up.
        """
        if not isinstance(other, Moments):
            return NotImplemented
        if not np.array_equal(self.shift, other.shift):
            raise ValueError("expected moments about one shift, got two different shifts: fix it before sampling")
        return Moments(count=self.count + other.count, shift=self.shift, sums=self.sums + other.sums)

    @property
    def mean(self) -> FloatArray:
        """Sample mean (d,)."""
        return _array(self.shift + self.sums[0] / self.count)

    @property
    def variance(self) -> FloatArray:
        """Unbiased sample variance (d,), exactly 0 where the power sums cannot tell it from 0.

        Raises:
            ValueError: if there is only one replicate.
        """
        if self.count < 2:
            raise ValueError("a variance needs at least 2 replicates, got 1: sample more")
        return self._central()[0] * (self.count / (self.count - 1))

    @property
    def skewness(self) -> FloatArray:
        """Sample skewness m₃ / m₂^{3/2} (d,), 0 where the variance is 0."""
        second, third = self._central()
        return _ratio(third, second * np.sqrt(second))

    @property
    def hidden_variance(self) -> FloatArray:
        """Largest variance (d,) that rounding of the power sums could hide: 0 only if every value equals the shift.

        Derived: a sum of n terms of one sign, in any order, has a relative error of at most n · eps / 2, which enters
        three times; the next power of two is taken.
        """
        return _array(self.sums[1] * (2 * np.finfo(np.float64).eps))

    def _central(self) -> tuple[FloatArray, FloatArray]:
        """Second and third central moments (divided by n), 0 where below their rounding errors."""
        first, square, cube = self.sums / self.count
        second = square - first * first
        third = cube - 3 * first * square + 2 * first * first * first
        hidden = self.hidden_variance
        # The same count of rounding errors for the third moment, whose terms are of the size |first| * square.
        resolved = np.abs(third) > 4 * hidden * np.abs(first)
        second = np.where(second > hidden, second, 0.0)
        return second, np.where(resolved & (second > 0), third, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """One interval per entry, covering all of them at once at the level it was made for; infinite where refused.

    Attributes:
        low: lower ends (d,).
        high: upper ends (d,).
        estimate: point estimates (d,), finite.

    Raises:
        ValueError: if the shapes differ, an estimate is not finite, or low ≤ high fails.
    """

    low: FloatArray
    high: FloatArray
    estimate: FloatArray

    def __post_init__(self) -> None:
        for name in ("low", "high", "estimate"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        if self.low.ndim != 1 or not self.low.shape == self.high.shape == self.estimate.shape:
            raise ValueError(
                "low, high and estimate must be of one shape (d,), "
                f"got {self.low.shape}, {self.high.shape}, {self.estimate.shape}: flatten the entries"
            )
        # Written so that nan fails.
        if not (np.all(self.low <= self.high) and np.isfinite(self.estimate).all()):
            raise ValueError(
                "expected low <= high and finite estimates, got an interval without: look for nan in the data"
            )


def mean_interval(moments: Moments, alpha: float, entries: int | None = None, rounding: ArrayLike = 0.0) -> Interval:
    """Interval of the mean of each entry; see `combination_interval`, of which it is the case of one sample.

    Raises:
        ValueError: as `combination_interval`.
    """
    return combination_interval([(1.0, moments)], alpha, entries, rounding)


def combination_interval(
    terms: Sequence[tuple[float, Moments]], alpha: float, entries: int | None = None, rounding: ArrayLike = 0.0
) -> Interval:
    """Interval of Σ weight · mean over independent samples, covering all entries with probability 1 − alpha.

    Student's t, two-sided, with alpha divided by the number of entries (Bonferroni). With z the normal quantile at
    that level and γ the skewness of the combination, alpha is further multiplied by exp(−c), c = |γ| z³ / 3; for one
    sample γ = skewness / √n. The interval is infinite where c > 3, the sample being too small for its skewness, and
    where a sample has fewer than z³ replicates, too few to see the skewness that matters at that level.

    Derived: exp(±γ z³/3) is the leading factor of the far tail of a t statistic; Bonferroni. Chosen: to use it with
    the estimated skewness, always on the unfavourable side; the two refusals. Calibrated by simulation, not a
    theorem: for normal, chi-squared and lognormal(≤ 1) replicates the errors stay within the `safety` of the error
    budget from 300 replicates on; at 100 the worst seen was 4.6 times alpha (lognormal(1), alpha = 1e-3). Without the
    second refusal it would be thousands of times alpha at 30 replicates and alpha = 1e-9. Conservative for several
    samples: the smallest degrees of freedom, and third moments that may not cancel.

    Zero spread is not a z-score of 0. An entry that came out the same in every replicate gets the point it came out
    at, up to what rounding can hide (`Moments.hidden_variance`, `rounding`), and so is compared exactly: a constant
    1.5 where 2.0 is claimed is refuted, at any sample size. This is for values that are deterministic or continuous;
    a rare event that never happened looks the same, and wants `bernstein_interval`.

    Args:
        terms: fixed weights and the moments of independent samples with the same entries.
        alpha: probability that the interval of any entry misses.
        entries: number of entries sharing alpha, if not d: more if other intervals share it, fewer if some of the d
            are copies of others.
        rounding: floating-point error of the values, scalar or (d,), added on both sides.

    Raises:
        ValueError: if there is no term, a weight is 0 or not finite, the numbers of entries differ, a sample has fewer
            than 2 replicates, or alpha, entries or rounding is out of range.

    Source: for the tail, Jing, Shao, Wang, "Self-normalized Cramér-type large deviations for independent random
    variables", Annals of Probability 31 (2003), and Wang, "Refined self-normalized large deviations for independent
    random variables", Journal of Theoretical Probability 24 (2011).
    """
    weights = [weight for weight, _ in terms]
    if not terms or not all(math.isfinite(weight) and weight != 0 for weight in weights):
        raise ValueError(f"expected one or more terms of finite weight other than 0, got {weights}: leave out the rest")
    size = len(terms[0][1].shift)
    if any(len(moments.shift) != size for _, moments in terms):
        raise ValueError(f"all samples must have {size} entries like the first: combine entries that correspond")
    level = _level(alpha, size if entries is None else entries) / 2
    margin = np.broadcast_to(np.asarray(rounding, dtype=np.float64), size)
    if not (np.isfinite(margin).all() and np.all(margin >= 0)):
        raise ValueError(f"rounding must be finite and not negative, got {rounding!r}: it is an error bound")

    estimate, variance, hidden, third = np.zeros((4, size))
    for weight, moments in terms:
        n = moments.count
        estimate = estimate + weight * moments.mean
        variance = variance + weight**2 * moments.variance / n
        hidden = hidden + weight**2 * moments.hidden_variance / n
        third = third + abs(weight) ** 3 * np.abs(moments.skewness) * moments.variance**1.5 / n**2
    correction = _skewness_correction(_ratio(third, variance * np.sqrt(variance)), level)
    fewest = min(moments.count for _, moments in terms)
    refused = (variance > 0) & ((correction > MAX_SKEWNESS_CORRECTION) | (fewest < _fewest_replicates(level)))
    quantile = -special.stdtrit(fewest - 1, level * np.exp(-correction))
    # What rounding hides is bounded, not estimated: a normal quantile does for it.
    half = np.maximum(quantile * np.sqrt(variance), -special.ndtri(level) * np.sqrt(hidden)) + margin
    half = np.where(refused, np.inf, half)
    return Interval(low=estimate - half, high=estimate + half, estimate=estimate)


def bernstein_interval(
    moments: Moments, bounds: tuple[float, float], alpha: float, entries: int | None = None
) -> Interval:
    """Interval of the mean of values that all lie within `bounds`, valid at every sample size; wider than t.

    Derived: the empirical Bernstein inequality at level alpha / 2 on each side, Bonferroni over entries. For cosines
    and indicators, where the bounds are known without looking at the data.

    Raises:
        ValueError: if the bounds are not increasing, a mean lies outside, or alpha or entries is out of range.

    Source: Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009, theorem 4.
    """
    lowest, highest = bounds
    if not (math.isfinite(lowest) and math.isfinite(highest) and lowest < highest):
        raise ValueError(f"bounds must be finite and increasing, got {bounds}: give (lowest, highest) possible value")
    mean = moments.mean
    slack = moments.count * np.finfo(np.float64).eps * max(abs(lowest), abs(highest))
    if np.any(mean < lowest - slack) or np.any(mean > highest + slack):
        raise ValueError(f"a sample mean lies outside the bounds {bounds}: the values are not bounded as stated")
    log = math.log(4 / _level(alpha, len(mean) if entries is None else entries))
    half = np.sqrt(2 * moments.variance * log / moments.count)
    half += 7 * (highest - lowest) * log / (3 * (moments.count - 1))
    return Interval(low=np.maximum(mean - half, lowest), high=np.minimum(mean + half, highest), estimate=mean)


def kolmogorov_interval(
    values: FloatArray, cdf: Callable[[FloatArray], FloatArray], alpha: float, entries: int = 1
) -> Interval:
    """Interval (one entry) of the Kolmogorov distance sup |F − cdf| of the law F of the values, valid at every n.

    Derived: the Dvoretzky–Kiefer–Wolfowitz inequality with Massart's constant, for any F.

    Args:
        values: independent values (n,).
        cdf: the claimed distribution function, continuous and vectorised.
        alpha: probability that the interval misses.
        entries: number of intervals that share alpha.

    Raises:
        ValueError: if the values are not a finite vector, `cdf` leaves [0, 1], or alpha or entries is out of range.

    Source: Massart, "The tight constant in the Dvoretzky–Kiefer–Wolfowitz inequality", Annals of Probability 18 (1990).
    """
    samples = np.sort(np.asarray(values, dtype=np.float64))
    if samples.ndim != 1 or samples.size == 0 or not np.isfinite(samples).all():
        raise ValueError(
            f"expected a non-empty vector of finite values, got shape {samples.shape}: test one law at a time"
        )
    claimed = np.asarray(cdf(samples), dtype=np.float64)
    if claimed.shape != samples.shape or not np.all((claimed >= 0) & (claimed <= 1)):
        raise ValueError("cdf must give one number between 0 and 1 per value: pass a vectorised distribution function")
    ranks = np.arange(samples.size + 1) / samples.size
    distance = max(float(np.max(ranks[1:] - claimed)), float(np.max(claimed - ranks[:-1])))
    half = _band(samples.size, _level(alpha, entries))
    estimate = np.array([distance])
    return Interval(low=np.maximum(estimate - half, 0), high=np.minimum(estimate + half, 1), estimate=estimate)


def distribution_interval(moments: Moments, alpha: float, laws: int) -> Interval:
    """Interval of distribution functions at many points, from indicators of values up to them; valid at every n.

    Derived: as :func:`kolmogorov_interval`; the band covers all points of a law at once, so only laws share alpha.

    Args:
        moments: of the indicators, one value of each law per replicate, the points of all laws in one row.
        alpha: probability that the interval of any point of any law misses.
        laws: number of laws.

    Raises:
        ValueError: if a mean leaves [0, 1], or alpha or laws is out of range.
    """
    mean, half = moments.mean, _band(moments.count, _level(alpha, laws))
    slack = moments.count * np.finfo(np.float64).eps
    if np.any(mean < -slack) or np.any(mean > 1 + slack):
        raise ValueError("expected means of indicators between 0 and 1, got others: pass the moments of 0 and 1 alone")
    return Interval(low=np.maximum(mean - half, 0), high=np.minimum(mean + half, 1), estimate=mean)


def _band(count: int, level: float) -> float:
    """Half the width of the Dvoretzky-Kiefer-Wolfowitz band."""
    return math.sqrt(math.log(2 / level) / (2 * count))


def decide(interval: Interval, allowed: float, resolution: float) -> tuple[Verdict, NDArray[np.object_]]:
    """Verdict on |θ| ≤ allowed for all entries, and the verdict of each entry.

    An entry is refuted if its interval does not meet [−allowed, allowed]; else confirmed if the interval lies inside
    (−resolution, resolution); else inconclusive. `combine` makes them one. Derived: both thresholds come from the
    claim and its mutants, `allowed` from what the claim itself tolerates and `resolution` at most the distance of the
    nearest wrong version; nothing is chosen here.

    Raises:
        ValueError: unless 0 ≤ allowed < resolution.
    """
    _check_thresholds(allowed, resolution)
    refuted = (interval.low > allowed) | (interval.high < -allowed)
    confirmed = (interval.low > -resolution) & (interval.high < resolution)
    verdicts = np.full(interval.low.shape, Verdict.INCONCLUSIVE, dtype=np.object_)
    verdicts[confirmed] = Verdict.CONFIRMED
    verdicts[refuted] = Verdict.REFUTED
    return combine(verdicts), verdicts


def excludes(interval: Interval, value: ArrayLike) -> bool:
    """Whether the interval of some entry leaves out that entry of `value` (d,), ends counting as inside.

    For a mutant: an interval of the discrepancies from the claim's target kills it if the mutant's own discrepancies
    are excluded. The claim's samples and their alpha serve for this too.

    Raises:
        ValueError: if the shape of the value is not that of the interval, or it contains nan.
    """
    point = np.asarray(value, dtype=np.float64)
    if point.shape != interval.low.shape or np.isnan(point).any():
        raise ValueError(
            f"expected a value of shape {interval.low.shape} without nan, got {point.shape}: one per entry"
        )
    return bool(np.any((point < interval.low) | (point > interval.high)))


def required_samples(
    cv: float, allowed: float, resolution: float, alpha: float, entries: int = 1, skewness: float = 0.0
) -> int:
    """Smallest n whose mean interval is short enough to force a decision, whatever the mean turns out to be.

    Derived: an interval no longer than resolution − allowed cannot both meet the allowed band and leave the resolved
    one, so n solves 2 z cv / √n ≤ resolution − allowed, with the same quantile z (Student's, corrected for skewness)
    that `mean_interval` uses. With an estimated cv leave a margin for its own error.

    Args:
        cv: standard deviation of one replicate, in the unit of the thresholds; largest over entries.
        allowed: discrepancy the claim allows.
        resolution: discrepancy to be noticed.
        alpha: error probability, as for the interval.
        entries: number of entries that share it.
        skewness: skewness of one replicate, largest in size over entries.

    Raises:
        ValueError: if cv is negative, the skewness is not finite, or the other arguments are out of range.
    """
    _check_thresholds(allowed, resolution)
    if not (math.isfinite(cv) and cv >= 0 and math.isfinite(skewness)):
        raise ValueError(
            f"cv must be finite and not negative, skewness finite, got {cv}, {skewness}: estimate them first"
        )
    level = _level(alpha, entries) / 2

    def decides(n: int) -> bool:
        correction = float(_skewness_correction(np.array(skewness / math.sqrt(n)), level))
        if cv > 0 and (correction > MAX_SKEWNESS_CORRECTION or n < _fewest_replicates(level)):
            return False
        quantile = -float(special.stdtrit(n - 1, level * math.exp(-correction)))
        return 2 * quantile * cv <= (resolution - allowed) * math.sqrt(n)

    # All conditions get easier as n grows: double until they hold, then bisect.
    too_few, enough = 1, 2
    while not decides(enough):
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if decides(middle) else (middle, enough)
    return enough


def slope_interval(
    widths: ArrayLike, log_values: ArrayLike, standard_errors: ArrayLike, alpha: float, nuisance: bool = True
) -> tuple[Interval, FloatArray, float]:
    """Model-based: interval of p in log value = a + p log N (+ c/N), fitted values, and p-value of the lack of fit.

    Weighted least squares with known, independent, normal errors. The level alpha holds only if the model does, and
    the lack-of-fit test notices a wrong model only sometimes: the interval must be reported as model-based, and
    wherever a law at finite width is known that should be tested instead. Without the c/N term, data whose next order
    in 1/N is visible reject the true rate.

    Args:
        widths: N (n,), positive.
        log_values: natural logarithms of the quantity (n,).
        standard_errors: their standard errors (n,), positive.
        alpha: probability that the interval misses p, given the model.
        nuisance: whether to fit c/N.

    Returns:
        Interval of p (one entry), fitted log values (n,), p-value of χ² on n minus the number of parameters.

    Raises:
        ValueError: if the shapes differ, a number is out of range, or there are not more different widths than
            parameters.
    """
    width, y, errors = (np.asarray(a, dtype=np.float64) for a in (widths, log_values, standard_errors))
    if width.ndim != 1 or not width.shape == y.shape == errors.shape:
        raise ValueError(f"expected three vectors of one length, got shapes {width.shape}, {y.shape}, {errors.shape}")
    if not (np.isfinite([width, y, errors]).all() and np.all(width > 0) and np.all(errors > 0)):
        raise ValueError("widths and standard errors must be positive and all numbers finite: drop widths without data")
    columns = [np.ones_like(width), np.log(width)] + ([1 / width] if nuisance else [])
    if len(np.unique(width)) <= len(columns):
        raise ValueError(
            f"a fit of {len(columns)} parameters needs more than {len(columns)} different widths, "
            f"got {len(np.unique(width))}: sample more widths"
        )
    design = np.stack(columns, axis=1)
    q, r = np.linalg.qr(design / errors[:, None])
    coefficients = np.linalg.solve(r, q.T @ (y / errors))
    half = -special.ndtri(_level(alpha, 1) / 2) * np.linalg.norm(np.linalg.inv(r)[1])
    fitted = design @ coefficients
    chi_squared = float(np.sum(((y - fitted) / errors) ** 2))
    slope = coefficients[1:2]
    interval = Interval(low=slope - half, high=slope + half, estimate=slope)
    return interval, fitted, float(special.chdtrc(len(width) - len(columns), chi_squared))


def _skewness_correction(skewness_of_mean: FloatArray, level: float) -> FloatArray:
    """Exponent c by which the one-sided level must shrink, for a mean of that skewness."""
    z = -float(special.ndtri(level))
    return np.abs(skewness_of_mean) * (z**3 / 3)


def _fewest_replicates(level: float) -> float:
    """z³, the number of replicates below which a sample with spread is refused at that one-sided level. Chosen."""
    return -(float(special.ndtri(level)) ** 3)


def _level(alpha: float, entries: int) -> float:
    """Error probability of one entry of `entries` that share alpha."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be strictly between 0 and 1, got {alpha}: take it from the error budget")
    if entries < 1:
        raise ValueError(f"entries must be at least 1, got {entries}: count the numbers compared")
    return alpha / entries


def _check_thresholds(allowed: float, resolution: float) -> None:
    if not (0 <= allowed < resolution and math.isfinite(resolution)):
        raise ValueError(
            f"expected 0 <= allowed < resolution, got allowed={allowed} and resolution={resolution}: "
            "a check must be able to see more than the claim allows"
        )


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, 0 where the denominator is 0: there the numerator is 0 too."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _array(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _frozen(values: ArrayLike) -> FloatArray:
    copy = np.array(values, dtype=np.float64)
    copy.setflags(write=False)
    return copy
