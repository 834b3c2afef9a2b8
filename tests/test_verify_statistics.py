"""Intervals and verdicts: their formulas, their error rates at visible levels, and the errors they must catch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from verify.error_budget import ErrorBudget, look_alpha
from verify.statistics import (
    Interval,
    Moments,
    bernstein_interval,
    combination_interval,
    decide,
    excludes,
    kolmogorov_interval,
    mean_interval,
    required_samples,
    slope_interval,
)
from verify.verdict import Verdict, combine

CONFIRMED, REFUTED, INCONCLUSIVE = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.INCONCLUSIVE

# Replicates with mean 0.
LAWS = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "chi2_8": lambda rng, size: rng.chisquare(8, size) - 8,
    "chi2_1": lambda rng, size: rng.chisquare(1, size) - 1,
    "lognormal": lambda rng, size: np.exp(0.5 * rng.standard_normal(size)) - math.exp(0.125),
}


def moments_about_zero(values):
    return Moments.of(values, np.zeros(values.shape[1]))


def interval(low, high):
    return Interval(low=np.array(low), high=np.array(high), estimate=np.zeros(len(low)))


# --- moments -----------------------------------------------------------------------------------------------------


def test_moments_are_those_of_the_sample():
    rng = np.random.default_rng(0)
    values = np.exp(rng.standard_normal((400, 3))) * [0.1, 1.0, 30.0] + [5.0, 0.0, -40.0]
    moments = Moments.of(values, np.array([5.2, 1.0, 10.0]))
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, values.var(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(moments.skewness, stats.skew(values), rtol=1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(1, 99), max_size=4, unique=True), seed=st.integers(0, 10**6))
def test_merged_blocks_have_the_moments_of_the_whole_sample(cuts, seed):
    values = np.random.default_rng(seed).gamma(2.0, [0.5, 3.0], (100, 2))
    shift = np.array([1.0, 6.5])
    blocks = [Moments.of(block, shift) for block in np.split(values, sorted(cuts))]
    merged = sum(blocks[1:], start=blocks[0])
    whole = Moments.of(values, shift)
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-12, atol=1e-11)


def test_power_sums_about_different_points_do_not_merge():
    values = np.ones((3, 2))
    with pytest.raises(ValueError, match="two different shifts"):
        Moments.of(values, np.array([0.0, 1.0])) + Moments.of(values, np.array([0.0, 1.0 + 1e-12]))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1.5, 2.0, -7e5])
@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_a_constant_has_no_variance_and_no_skewness_whatever_the_shift(value, shift):
    block = Moments.of(np.full((1000, 1), value), np.array([shift]))
    moments = sum([block] * 50, start=block)
    assert moments.variance == 0
    assert moments.skewness == 0


def test_a_small_spread_far_from_the_shift_is_not_taken_for_a_constant():
    values = 1 + 1e-4 * np.random.default_rng(1).standard_normal((10000, 1))
    assert math.isclose(moments_about_zero(values).variance.item(), values.var(ddof=1), rel_tol=1e-5)


def test_moments_cannot_be_changed_from_outside():
    shift = np.zeros(2)
    moments = Moments.of(np.ones((3, 2)), shift)
    shift[:] = 1
    assert np.all(moments.shift == 0)
    with pytest.raises(ValueError, match="read-only"):
        moments.sums[0] = 0


def test_impossible_moments_are_refused():
    with pytest.raises(ValueError, match="moments must be finite"):
        Moments.of(np.array([[1.0], [np.nan]]), np.zeros(1))
    with pytest.raises(ValueError, match=r"expected values \(n, d\) and a shift \(d,\), got \(3, 2\), \(1,\)"):
        Moments.of(np.ones((3, 2)), np.zeros(1))
    with pytest.raises(ValueError, match="flatten the entries"):
        Moments(count=2, shift=np.zeros(2), sums=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="count must be at least 1"):
        Moments(count=0, shift=np.zeros(2), sums=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="at least 2 replicates"):
        mean_interval(moments_about_zero(np.ones((1, 2))), 1e-3)


# --- intervals of means ------------------------------------------------------------------------------------------


def test_without_skewness_the_interval_is_student_t_with_bonferroni():
    half = np.random.default_rng(2).standard_normal((200, 2)) * [0.3, 8.0]
    values = np.vstack([half, -half]) + np.array([1.0, -3.0])
    found = mean_interval(Moments.of(values, np.array([1.0, -3.0])), 1e-4)
    expected = stats.t.interval(1 - 1e-4 / 2, 399, loc=values.mean(axis=0), scale=stats.sem(values))
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)


def test_skewness_widens_the_interval_by_its_formula():
    values = np.random.default_rng(3).chisquare(4, (2000, 1))
    found = mean_interval(moments_about_zero(values), 1e-6)
    correction = stats.skew(values).item() * stats.norm.isf(5e-7) ** 3 / (3 * math.sqrt(2000))
    assert 0.5 < correction < 3
    quantile = stats.t.isf(5e-7 * math.exp(-correction), 1999)
    np.testing.assert_allclose((found.high - found.low) / 2, quantile * stats.sem(values), rtol=1e-7)


def test_entries_sharing_alpha_can_be_counted_elsewhere():
    moments = moments_about_zero(np.random.default_rng(4).standard_normal((500, 3)))
    one, default, many = (mean_interval(moments, 1e-3, entries) for entries in (1, None, 300))
    assert np.all(one.high < default.high)
    assert np.all(default.high < many.high)
    np.testing.assert_array_equal(default.high, mean_interval(moments, 1e-3, 3).high)


@pytest.mark.parametrize("law", LAWS)
def test_the_interval_errs_no_more_often_than_its_level_with_the_safety_of_the_budget(law):
    # 5000 experiments of 300 replicates, as the entries of one sample; each has level 1 % to itself.
    values = LAWS[law](np.random.default_rng(5), (300, 5000))
    found = mean_interval(moments_about_zero(values), 0.01, entries=1)
    misses = np.mean((found.low > 0) | (found.high < 0))
    assert 0.001 < misses < 0.015
    assert np.mean(np.isinf(found.high)) < 0.01


def test_a_t_interval_without_the_skewness_correction_would_err_far_too_often():
    values = LAWS["chi2_1"](np.random.default_rng(6), (100, 20000))
    plain = stats.norm.isf(5e-4) * stats.sem(values)
    assert np.mean(np.abs(values.mean(axis=0)) > plain) > 8e-3  # alpha is 1e-3
    guarded = mean_interval(moments_about_zero(values), 1e-3, entries=1)
    assert np.mean((guarded.low > 0) | (guarded.high < 0)) < 4e-3


def test_all_entries_together_miss_no_more_often_than_alpha():
    rng = np.random.default_rng(7)
    suites = [mean_interval(moments_about_zero(rng.standard_normal((200, 20))), 0.05) for _ in range(600)]
    wrong = np.mean([np.any((found.low > 0) | (found.high < 0)) for found in suites])
    assert 0.02 < wrong < 0.08
    # Planted: the same intervals had each entry all of alpha to itself.
    rng = np.random.default_rng(7)
    greedy = [mean_interval(moments_about_zero(rng.standard_normal((200, 20))), 0.05, entries=1) for _ in range(60)]
    assert np.mean([np.any((found.low > 0) | (found.high < 0)) for found in greedy]) > 0.3


def test_a_skewed_small_sample_refuses_instead_of_deciding():
    values = np.exp(1.5 * np.random.default_rng(8).standard_normal((300, 2)))
    values[:, 1] = np.random.default_rng(8).standard_normal(300)
    found = mean_interval(Moments.of(values, np.array([3.0, 0.0])), 1e-9)
    assert np.isinf(found.low[0])
    assert np.isinf(found.high[0])
    assert np.isfinite([found.low[1], found.high[1]]).all()
    verdict, entries = decide(found, 0, 1000)
    assert verdict is INCONCLUSIVE
    assert list(entries) == [INCONCLUSIVE, CONFIRMED]


def test_thirty_replicates_are_too_few_for_one_in_a_billion():
    # Few replicates hide the skewness they have, so that even a symmetric-looking sample refuses.
    half = np.abs(np.random.default_rng(9).standard_normal((15, 1)))
    values = np.vstack([half, -half])
    assert np.isinf(mean_interval(moments_about_zero(values), 1e-9).high)
    assert np.isfinite(mean_interval(moments_about_zero(values), 1e-2).high)


def test_a_wrong_constant_is_refuted_and_the_right_one_confirmed():
    constant = np.full((2000, 1), 1.5)
    wrong = mean_interval(Moments.of(constant - 2.0, np.zeros(1)), 1e-9)
    assert decide(wrong, 0, 0.01)[0] is REFUTED
    assert excludes(wrong, np.zeros(1))
    assert wrong.high - wrong.low < 1e-6
    right = mean_interval(Moments.of(constant - 1.5, np.zeros(1)), 1e-9)
    assert right.low == right.high == 0
    assert decide(right, 0, 0.01)[0] is CONFIRMED


def test_a_wrong_constant_is_refuted_from_two_replicates_and_next_to_random_entries():
    assert decide(mean_interval(moments_about_zero(np.full((2, 1), -0.5)), 1e-9), 0, 0.01)[0] is REFUTED
    values = np.random.default_rng(10).standard_normal((5000, 2))
    values[:, 1] = 0.1
    verdict, entries = decide(mean_interval(moments_about_zero(values), 1e-6), 0, 1.0)
    assert verdict is REFUTED
    assert list(entries) == [CONFIRMED, REFUTED]


@pytest.mark.parametrize("spread", [1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-12, 0.0])
def test_a_nearly_constant_wrong_value_is_refuted_at_every_spread(spread):
    values = 0.3 + spread * np.random.default_rng(11).standard_normal((4000, 1))
    assert decide(mean_interval(moments_about_zero(values), 1e-9), 0, 0.01)[0] is REFUTED


def test_rounding_of_a_right_constant_is_allowed_for():
    moments = Moments.of(np.full((2000, 1), 0.1 + 0.2), np.array([0.3]))
    assert excludes(mean_interval(moments, 1e-9), np.array([0.3]))
    assert not excludes(mean_interval(moments, 1e-9, rounding=1e-15), np.array([0.3]))
    with pytest.raises(ValueError, match="rounding must be finite and not negative"):
        mean_interval(moments, 1e-9, rounding=-1e-15)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_that_is_no_probability_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be strictly between 0 and 1"):
        mean_interval(moments_about_zero(np.ones((3, 1))), alpha)


def test_an_interval_needs_ends_in_order():
    with pytest.raises(ValueError, match="low <= high"):
        interval([1.0], [0.9])
    with pytest.raises(ValueError, match="low <= high"):
        interval([float("nan")], [1.0])
    with pytest.raises(ValueError, match="of one shape"):
        interval([0.0], [1.0, 2.0])


# --- combinations ------------------------------------------------------------------------------------------------


def extrapolated(rng, replicates, alpha):
    """Interval of the limit of means with a 3 / N bias, from widths 8 and 32, and the one from width 32 alone."""
    small, large = (
        Moments.of(rng.chisquare(6, (n, 1)) / 6 - 1 + 3 / width, np.zeros(1))
        for width, n in ((8, replicates), (32, 2 * replicates))
    )
    weights = -8 / 24, 32 / 24
    return combination_interval(list(zip(weights, (small, large), strict=True)), alpha), mean_interval(large, alpha)


def test_extrapolating_in_the_width_removes_the_bias_that_one_width_shows():
    both, alone = extrapolated(np.random.default_rng(12), 40000, 1e-6)
    assert decide(both, 0, 0.05)[0] is CONFIRMED
    assert decide(alone, 0, 0.05)[0] is REFUTED
    assert excludes(both, np.array([3 / 32]))


def test_the_interval_of_a_combination_errs_no_more_often_than_its_level():
    rng = np.random.default_rng(13)
    runs = [extrapolated(rng, 150, 0.02)[0] for _ in range(1500)]
    assert 0.004 < np.mean([excludes(found, np.zeros(1)) for found in runs]) < 0.03


def test_a_combination_is_weighted_like_variances_and_one_term_is_the_mean():
    rng = np.random.default_rng(14)
    first, second = (Moments.of(scale * rng.standard_normal((4000, 2)), np.zeros(2)) for scale in (1.0, 3.0))
    single, tripled = combination_interval([(1.0, first)], 1e-3), combination_interval([(-3.0, first)], 1e-3)
    np.testing.assert_array_equal(single.low, mean_interval(first, 1e-3).low)
    np.testing.assert_allclose(tripled.low, -3 * single.high, rtol=1e-12)
    both = combination_interval([(2.0, first), (-0.5, second)], 1e-3)
    np.testing.assert_allclose(both.estimate, 2 * first.mean - 0.5 * second.mean, rtol=1e-12)
    spread = np.sqrt((4 * first.variance + 0.25 * second.variance) / 4000)
    np.testing.assert_allclose((both.high - both.low) / 2, stats.norm.isf(1e-3 / 4) * spread, rtol=0.02)


def test_a_combination_has_the_degrees_of_freedom_of_its_smallest_sample():
    rng = np.random.default_rng(20)
    halves = rng.standard_normal((20, 1)), rng.standard_normal((2000, 1))
    samples = [np.vstack([half, -half]) for half in halves]
    found = combination_interval([(1.0, moments_about_zero(sample)) for sample in samples], 0.01)
    spread = math.sqrt(sum(stats.sem(sample).item() ** 2 for sample in samples))
    np.testing.assert_allclose(found.high, stats.t.isf(0.005, 39) * spread, rtol=1e-9)


def test_skewness_of_one_term_cannot_be_cancelled_by_that_of_another():
    rng = np.random.default_rng(15)
    terms = [(weight, Moments.of(rng.chisquare(1, (300, 1)), np.ones(1))) for weight in (1.0, -1.0)]
    assert np.isinf(combination_interval(terms, 1e-9).high)


def test_terms_that_cannot_be_combined_are_refused():
    one, two = (moments_about_zero(np.ones((3, d))) for d in (1, 2))
    with pytest.raises(ValueError, match="all samples must have 1 entries"):
        combination_interval([(1.0, one), (1.0, two)], 1e-3)
    for terms in ([], [(0.0, one)], [(math.inf, one)]):
        with pytest.raises(ValueError, match="one or more terms of finite weight"):
            combination_interval(terms, 1e-3)


# --- intervals valid at every sample size ------------------------------------------------------------------------


def test_the_bernstein_interval_follows_its_formula_and_stays_within_the_bounds():
    values = np.cos(np.random.default_rng(16).normal(size=(500, 2)) * [1.0, 3.0])
    found = bernstein_interval(moments_about_zero(values), (-1.0, 1.0), 1e-3)
    log = math.log(4 * 2 / 1e-3)
    half = np.sqrt(2 * values.var(axis=0, ddof=1) * log / 500) + 7 * 2 * log / (3 * 499)
    np.testing.assert_allclose(found.low, values.mean(axis=0) - half, rtol=1e-9)
    np.testing.assert_allclose(found.high, np.minimum(values.mean(axis=0) + half, 1.0), rtol=1e-9)
    assert not excludes(found, np.exp([-0.5, -4.5]))


def test_a_rare_event_that_never_happened_is_not_an_impossible_one():
    never = moments_about_zero(np.zeros((1000, 1)))
    assert not excludes(bernstein_interval(never, (0.0, 1.0), 1e-6), np.array([1e-3]))
    assert excludes(bernstein_interval(never, (0.0, 1.0), 1e-6), np.array([0.05]))


def test_values_outside_their_bounds_are_refused():
    with pytest.raises(ValueError, match="outside the bounds"):
        bernstein_interval(moments_about_zero(np.full((5, 1), 1.2)), (-1.0, 1.0), 1e-3)
    with pytest.raises(ValueError, match="finite and increasing"):
        bernstein_interval(moments_about_zero(np.ones((5, 1))), (1.0, -1.0), 1e-3)


def test_the_kolmogorov_interval_contains_the_distance_of_two_normal_laws():
    values = 0.1 + np.random.default_rng(17).standard_normal(20000)
    found = kolmogorov_interval(values, stats.norm.cdf, 1e-6)
    assert not excludes(found, np.array([2 * stats.norm.cdf(0.05) - 1]))
    assert excludes(found, np.zeros(1))
    own = kolmogorov_interval(values, lambda x: stats.norm.cdf(x - 0.1), 1e-6)
    assert own.low == 0
    statistic = stats.kstest(values, "norm", args=(0.1, 1)).statistic
    np.testing.assert_allclose(own.estimate, statistic, rtol=1e-12)
    np.testing.assert_allclose(own.high, statistic + math.sqrt(math.log(2e6) / 40000), rtol=1e-12)


def test_a_law_that_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="vector of finite values"):
        kolmogorov_interval(np.array([0.0, np.nan]), stats.norm.cdf, 1e-3)
    with pytest.raises(ValueError, match="one number between 0 and 1 per value"):
        kolmogorov_interval(np.array([0.0, 3.0]), lambda x: x, 1e-3)


# --- verdicts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([-0.01], [0.02], CONFIRMED),
        ([0.02], [0.04], CONFIRMED),  # off zero, within what the claim allows
        ([0.031], [0.04], REFUTED),  # inside the resolution, but off what the claim allows: refuted comes first
        ([-0.09], [-0.031], REFUTED),
        ([-0.01], [0.1], INCONCLUSIVE),
        ([-np.inf], [np.inf], INCONCLUSIVE),
        ([-0.01, 0.5], [0.02, 0.6], REFUTED),
        ([-0.01, -0.5], [0.02, 0.6], INCONCLUSIVE),
        ([], [], INCONCLUSIVE),
    ],
)
def test_a_verdict_needs_every_entry(low, high, expected):
    verdict, entries = decide(interval(low, high), 0.03, 0.1)
    assert verdict is expected
    assert verdict is combine(entries)
    assert len(entries) == len(low)


@pytest.mark.parametrize("thresholds", [(0.1, 0.1), (-0.1, 0.1), (0.2, 0.1), (0.0, math.inf), (math.nan, 0.1)])
def test_thresholds_out_of_order_are_refused(thresholds):
    with pytest.raises(ValueError, match="expected 0 <= allowed < resolution"):
        decide(interval([0.0], [1.0]), *thresholds)


def test_a_mutant_is_excluded_only_strictly_outside_an_interval():
    found = interval([-1.0, -2.0], [1.0, 2.0])
    assert not excludes(found, np.array([1.0, -2.0]))
    assert excludes(found, np.array([0.0, np.nextafter(2.0, 3.0)]))
    assert not excludes(interval([-np.inf], [np.inf]), np.array([1e300]))
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\)"):
        excludes(found, 5.0)
    with pytest.raises(ValueError, match="without nan"):
        excludes(found, np.array([np.nan, 5.0]))


def test_parts_make_a_whole_only_if_all_are_confirmed():
    assert combine([CONFIRMED, CONFIRMED]) is CONFIRMED
    assert combine([CONFIRMED, INCONCLUSIVE]) is INCONCLUSIVE
    assert combine([INCONCLUSIVE, REFUTED, CONFIRMED]) is REFUTED
    assert combine([]) is INCONCLUSIVE
    with pytest.raises(ValueError, match="passed"):
        combine([CONFIRMED, "passed"])


# --- sample sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"), [(0.0, CONFIRMED), (0.02, REFUTED), (-0.02, REFUTED)], ids=["true", "2 % high", "2 % low"]
)
@pytest.mark.parametrize("law", ["normal", "chi2_8"])
def test_the_required_samples_find_a_two_percent_error_and_confirm_the_truth(law, error, expected):
    rng, scale = np.random.default_rng(18), {"normal": 0.3, "chi2_8": 0.3 / 4}[law]
    n = required_samples(cv=0.31, allowed=0.0, resolution=0.02, alpha=1e-6, entries=3, skewness=1.0)
    relative = (1 + scale * LAWS[law](rng, (n, 3))) * (1 + np.array([0.0, error, 0.0])) - 1
    assert decide(mean_interval(moments_about_zero(relative), 1e-6), 0, 0.02)[0] is expected
    assert decide(mean_interval(moments_about_zero(relative[: n // 20]), 1e-6), 0, 0.02)[0] is INCONCLUSIVE


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cv=st.floats(0.01, 3), allowed=st.floats(0, 0.05), gap=st.floats(0.01, 0.5), exponent=st.integers(2, 12))
def test_the_required_samples_are_the_fewest_with_a_short_enough_interval(cv, allowed, gap, exponent):
    alpha = 10.0**-exponent
    n = required_samples(cv, allowed, allowed + gap, alpha)

    def length(n):
        return 2 * stats.t.isf(alpha / 2, n - 1) * cv / math.sqrt(n)

    fewest = stats.norm.isf(alpha / 2) ** 3
    assert length(n) <= gap * (1 + 1e-12)
    assert n >= fewest
    assert n - 1 < fewest or length(n - 1) > gap * (1 - 1e-12)
    assert n >= (2 * stats.norm.isf(alpha / 2) * cv / gap) ** 2 * (1 - 1e-12)


def test_skewed_data_need_enough_samples_not_to_be_refused():
    n = required_samples(cv=0.01, allowed=0, resolution=1, alpha=1e-6, skewness=2.0)
    z = stats.norm.isf(5e-7)
    assert 2 * z**3 / (3 * math.sqrt(n)) <= 3 < 2 * z**3 / (3 * math.sqrt(n - 1))
    with pytest.raises(ValueError, match="cv must be finite and not negative"):
        required_samples(-1.0, 0, 1, 1e-6)


# --- slopes ------------------------------------------------------------------------------------------------------

WIDTHS = np.array([64, 128, 256, 512, 1024, 2048])


def test_a_slope_with_a_next_order_term_is_recovered_only_with_the_nuisance():
    log_values = 0.7 - 0.5 * np.log(WIDTHS) + 8 / WIDTHS
    with_term, fitted, p_value = slope_interval(WIDTHS, log_values, np.full(6, 0.005), 1e-4)
    np.testing.assert_allclose(with_term.estimate, -0.5, atol=1e-12)
    np.testing.assert_allclose(fitted, log_values, atol=1e-12)
    assert math.isclose(p_value, 1.0)
    without, _, p_value = slope_interval(WIDTHS, log_values, np.full(6, 0.005), 1e-4, nuisance=False)
    assert excludes(without, np.array([-0.5]))
    assert p_value < 0.01


def test_the_slope_interval_errs_as_often_as_its_level_and_excludes_a_wrong_rate():
    rng = np.random.default_rng(19)
    errors = 0.01 * np.sqrt(WIDTHS / 64)
    runs = [
        slope_interval(WIDTHS, -0.5 * np.log(WIDTHS) + 3 / WIDTHS + errors * rng.standard_normal(6), errors, 0.05)
        for _ in range(1500)
    ]
    assert 0.03 < np.mean([excludes(run[0], np.array([-0.5])) for run in runs]) < 0.07
    assert np.mean([excludes(run[0], np.array([-1.0])) for run in runs]) == 1
    assert 0.03 < np.mean([run[2] < 0.05 for run in runs]) < 0.07


def test_a_slope_that_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="more than 3 different widths, got 3"):
        slope_interval([8, 16, 32, 32], [0, 1, 2, 2], [1, 1, 1, 1], 1e-3)
    with pytest.raises(ValueError, match="three vectors of one length"):
        slope_interval([8, 16], [0, 1, 2], [1, 1], 1e-3)
    with pytest.raises(ValueError, match="must be positive"):
        slope_interval([8, 16, 32], [0, 1, 2], [1, 0, 1], 1e-3, nuisance=False)


# --- error budget ------------------------------------------------------------------------------------------------

DECLARED = [("eq17", "layer-1 moments"), ("eq36", "mean"), ("eq36", "slope")]


def test_the_shares_of_a_budget_add_up_to_the_total_over_the_safety():
    budget = ErrorBudget.share(1e-6, DECLARED, weights={("eq36", "mean"): 6.0})
    alphas = [budget.alpha(*name) for name in DECLARED]
    np.testing.assert_allclose(alphas, np.array([1, 6, 1]) * 1e-6 / (4 * 8), rtol=1e-14)
    assert math.isclose(sum(alphas), 1e-6 / 4)


def test_a_check_that_was_not_declared_has_no_share():
    budget = ErrorBudget.share(1e-6, DECLARED)
    with pytest.raises(ValueError, match="eq36 / means has no share of the error budget: did you mean eq36 / mean"):
        budget.alpha("eq36", "means")
    with pytest.raises(ValueError, match="declare it before sampling"):
        budget.alpha("zzzz", "0000")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"declared": [*DECLARED, DECLARED[0]]}, "eq17 / layer-1 moments is declared twice"),
        ({"weights": {("eq99", "x"): 1.0}}, "eq99 / x, which is not declared"),
        ({"weights": {DECLARED[0]: 0.0}}, "weights must be positive"),
        ({"total": 0.0}, "total must be a probability"),
        ({"safety": 0.5}, "safety must be at least 1"),
    ],
)
def test_an_impossible_budget_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ErrorBudget.share(**({"total": 1e-6, "declared": DECLARED} | arguments))


def test_looks_share_alpha_however_many_they_are():
    shares = [look_alpha(1e-3, look) for look in range(1000)]
    assert math.isclose(shares[0], 5e-4)
    assert 0.998e-3 < sum(shares) < 1e-3
    with pytest.raises(ValueError, match="look must be 0 or more"):
        look_alpha(1e-3, -1)
    with pytest.raises(ValueError, match="alpha must be strictly between"):
        look_alpha(1.0, 0)
