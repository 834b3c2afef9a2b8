"""Plans for laws of outputs: exact targets, intervals that hold at every sample size, networks that refute mutants."""

from __future__ import annotations

import dataclasses
from functools import cache, reduce

import numpy as np
import pytest
from scipy import special

import verify.ensembles
from derive.lecture import CLAIMS
from numeric.output_laws import cosine_covariance, kolmogorov_distance
from verify.checks.monte_carlo import judge
from verify.ensembles import CDF, COSINES, MEAN_COSINES, NORMAL_EXCESS, STATISTICS, Sample, sample_block
from verify.inputs import Inputs
from verify.output_plans import PEAK, TAIL, WIDTHS, dependence, distribution
from verify.planning import network
from verify.plans import plans_for
from verify.statistics import Moments, distribution_interval, kolmogorov_interval
from verify.verdict import Verdict

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.9, 2.0, 1.7], [0.0, 0.0, 0.0]])
INPUTS = Inputs("typed here", X, ("a", "b", "c", "zero"))
KEYS = "finite-width.output-dependence", "finite-width.output-law"
PLANNERS = dict(zip(KEYS, (dependence, distribution), strict=True))
PLANS = {key: plans_for(CLAIMS[key], INPUTS, 0.02) for key in KEYS}
MEANS = [plan for plans in PLANS.values() for plan in plans if plan.kind == "monte_carlo"]
RATES = [plan for plans in PLANS.values() for plan in plans if plan.kind == "convergence"]
ALPHA = 1e-9


def moments(part, blocks, start=0):
    found = [sample_block(part.ensemble, INPUTS.x, (part.statistic,), 3, start + n)[0] for n in range(blocks)]
    return reduce(lambda one, other: one + other, found)


def named(plan):
    return f"{plan.claim}, {plan.check}"


# What is planned


def test_the_points_are_the_zeros_of_the_fourth_hermite_polynomial():
    roots = np.sort(np.abs(special.roots_hermitenorm(4)[0]))
    np.testing.assert_allclose([PEAK, TAIL], roots[[0, 2]], rtol=1e-14)


@pytest.mark.parametrize("plan", MEANS, ids=named)
def test_a_plan_is_of_small_networks_and_resolves_its_mutants(plan):
    (part,) = plan.parts
    assert part.ensemble.widths == (WIDTHS[part.ensemble.activation],)
    assert all(mutant.largest >= plan.resolution for mutant in plan.mutants)
    assert plan.allowed == 0
    assert plan.interval is not None


def test_the_nearest_normal_law_is_as_far_as_the_exact_distance():
    for plan in MEANS:
        if plan.claim == KEYS[1]:
            (normal,) = (m for m in plan.mutants if "normal" in m.name)
            ensemble = plan.parts[0].ensemble
            distance = kolmogorov_distance(network(ensemble.activation, 1), X, ensemble.widths[0]).max()
            assert 0.95 * distance < normal.largest <= distance


def test_products_of_cosines_lie_within_the_bounds_of_their_interval():
    for plan in MEANS:
        if plan.claim == KEYS[0]:
            (part,) = plan.parts
            low, high = plan.interval.keywords["bounds"]
            phases = np.linspace(0, np.pi, 41)
            two = np.stack([phase.ravel() for phase in np.meshgrid(phases, phases)], axis=1)
            outputs = two[:, :, None] / part.statistic.centre[0]
            sample = Sample(outputs, *[np.empty(0)] * 3, np.arange(len(X)))
            found = STATISTICS[COSINES](sample, part.statistic.centre) / part.statistic.scale
            assert low <= found.min()
            assert high >= found.max() > 0.8 * high


# The statistics


def sample_of(outputs=None, nngp=None):
    empty = np.empty(0)
    return Sample(empty if outputs is None else outputs, empty if nngp is None else nngp, empty, empty, np.arange(2))


def test_products_of_cosines_are_over_different_units_and_all_pairs_of_inputs():
    outputs = np.random.default_rng(0).normal(size=(2, 3, 2))
    frequencies, means = np.array([0.7, 1.3]), np.array([0.1, 0.4])
    found = STATISTICS[COSINES](sample_of(outputs=outputs), np.stack([frequencies, means]))
    for n in range(2):
        for entry, (i, j) in enumerate([(0, 0), (1, 0), (1, 1)]):
            terms = [
                (np.cos(frequencies[i] * outputs[n, k, i]) - means[i])
                * (np.cos(frequencies[j] * outputs[n, m, j]) - means[j])
                for k in range(3)
                for m in range(3)
                if k != m
            ]
            assert found[n, entry] == pytest.approx(np.mean(terms), rel=1e-12)


def test_indicators_are_of_one_unit_alone():
    outputs = np.array([[[0.5, -1.0], [9.0, 9.0]]])
    found = STATISTICS[CDF](sample_of(outputs=outputs), np.array([[0.4, 0.5, 0.6], [-2.0, -1.0, 0.0]]))
    np.testing.assert_array_equal(found, [[0, 1, 1, 0, 1, 1]])


def test_with_the_last_layer_averaged_out_means_are_the_same():
    """Against means over output weights, by quadrature and by sampling; what is left out is linear in K."""
    kernels = np.array([[[1.3, 0.2], [0.2, 0.4]]])
    frequencies, means = np.array([0.9, 1.4]), np.array([0.5, 0.7])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.sqrt(kernels[0].diagonal())[:, None] * nodes
    found = STATISTICS[MEAN_COSINES](sample_of(nngp=kernels), np.stack([frequencies, means]))
    cosines = np.cos(frequencies[:, None] * z) @ weights / weights.sum() - means
    assert found[0, 0] == pytest.approx(np.mean(cosines**2), rel=1e-12)
    z = np.sqrt(kernels[0].diagonal())[:, None] * np.random.default_rng(1).normal(size=(2, 400_000))
    variances, points = np.array([1.0, 0.5]), np.array([0.7, 1.2])
    excess = STATISTICS[NORMAL_EXCESS](sample_of(nngp=kernels), np.stack([variances, points]))
    below = (z <= (points * np.sqrt(variances))[:, None]).mean(axis=1) - special.ndtr(points)
    slope = -points * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi) / (2 * variances)
    linear = slope * (kernels[0].diagonal() - variances)
    assert excess[0, 0] == pytest.approx(np.mean(below - linear), abs=0.002)


# The band


def test_the_band_of_distribution_functions_is_that_of_the_kolmogorov_distance():
    values = np.random.default_rng(2).normal(size=5000)
    points = np.sort(values)
    indicators = (values[:, None] <= points[::50]).astype(float)
    found = distribution_interval(Moments.of(indicators, np.zeros(100)), 1e-3, 1)
    one = kolmogorov_interval(values, special.ndtr, 1e-3)
    half = (found.high - found.low)[50] / 2
    assert half == pytest.approx(float(one.high[0] - one.estimate[0]), rel=1e-12)
    assert half == pytest.approx(np.sqrt(np.log(2 / 1e-3) / 10_000))


def test_the_band_holds_as_often_as_it_says_for_all_points_at_once():
    rng = np.random.default_rng(3)
    points, missed = np.linspace(0.05, 0.95, 19), 0
    for _ in range(400):
        values = rng.uniform(size=(100, 2))
        indicators = (values[:, :, None] <= points).reshape(100, -1).astype(float)
        band = distribution_interval(Moments.of(indicators, np.zeros(38)), 0.2, 2)
        truth = np.tile(points, 2)
        missed += bool(np.any((band.low > truth) | (band.high < truth)))
    assert 10 < missed < 80  # of 400 at level 0.2: conservative on a grid, but not much


def test_what_is_no_indicator_is_refused():
    with pytest.raises(ValueError, match="means of indicators between 0 and 1"):
        distribution_interval(Moments.of(np.array([[2.0], [3.0]]), np.zeros(1)), 0.1, 1)


# What networks say


@cache
def sampled(name):
    (plan,) = (plan for plan in MEANS if plan.name == name)
    return tuple(moments(part, 48) for part in plan.parts)


@pytest.mark.parametrize("plan", MEANS, ids=named)
def test_networks_confirm_the_law_and_kill_every_mutant(plan):
    result = judge(plan, sampled(plan.name), ALPHA, 0)
    assert result.verdict is Verdict.CONFIRMED
    assert all(mutant.killed for mutant in result.mutants)


@pytest.mark.parametrize("key", KEYS)
def test_networks_refute_every_mutant_that_is_claimed(key):
    for mutant in CLAIMS[key].mutants():
        wrong = dataclasses.replace(CLAIMS[key], statement=lambda s=mutant.statement: s, mutants=tuple)
        for plan in PLANNERS[key](wrong, INPUTS, 0.02):
            assert judge(plan, sampled(plan.name), ALPHA, 0).verdict is Verdict.REFUTED


def mixed_up(outputs):
    """Each output from another network: all laws of one output stay, and no two outputs depend on each other."""
    return np.stack([np.roll(outputs[:, k], k, axis=0) for k in range(outputs.shape[1])], axis=1)


def with_bias_in_common(outputs):
    """One random number more, the same for all outputs of a network, at the cost of the others: the variance stays."""
    return np.sqrt(0.9) * outputs + np.sqrt(0.1) * outputs[:, :1]


def too_large(outputs):
    return 1.06 * outputs


def normal(outputs):
    """Normal laws of the same variances."""
    variances = np.mean(outputs**2, axis=(0, 1))
    return np.random.default_rng(7).normal(size=outputs.shape) * np.sqrt(variances)


@pytest.mark.parametrize(
    ("key", "planted"),
    [
        (KEYS[0], mixed_up),
        (KEYS[0], with_bias_in_common),
        (KEYS[0], too_large),
        (KEYS[1], normal),
        (KEYS[1], too_large),
    ],
)
def test_networks_with_a_planted_error_refute_the_claim(key, planted, monkeypatch):
    forward = verify.ensembles.forward
    monkeypatch.setattr(verify.ensembles, "forward", lambda *given: [planted(forward(*given)[-1])])
    for plan in PLANS[key]:
        if plan.kind == "monte_carlo":
            found = judge(plan, tuple(moments(part, 32) for part in plan.parts), ALPHA, 0)
            assert found.verdict is Verdict.REFUTED


def test_laws_of_one_output_say_nothing_of_two(monkeypatch):
    forward = verify.ensembles.forward
    monkeypatch.setattr(verify.ensembles, "forward", lambda *given: [mixed_up(forward(*given)[-1])])
    for plan in PLANS[KEYS[1]]:
        if plan.kind == "monte_carlo":
            found = judge(plan, tuple(moments(part, 16) for part in plan.parts), ALPHA, 0)
            assert found.verdict is not Verdict.REFUTED


# Along widths


def test_predictions_along_widths_are_exact_at_each():
    for plan in RATES:
        activation = plan.parts[0].ensemble.activation
        net = network(activation, 1)
        for part, predicted in zip(plan.parts, plan.predicted, strict=True):
            (width,) = part.ensemble.widths
            if plan.claim == KEYS[0]:
                covariance = cosine_covariance(net, X, width, 1 / np.sqrt(np.diag(net.nngp(X))))
                assert predicted == pytest.approx(np.trace(covariance) / len(X), rel=1e-12)
            else:  # the distance itself is taken near by, to the next order
                distance = kolmogorov_distance(net, X, width).mean()
                assert (1 - 8 / width**2) * distance < predicted <= distance


@pytest.mark.parametrize("plan", RATES, ids=named)
def test_the_exponent_is_minus_one_and_no_other(plan):
    found = tuple(moments(part, 12) for part in plan.parts)
    right = judge(plan, found, 0.01, 0)
    assert right.verdict is Verdict.CONFIRMED
    assert all(mutant.killed for mutant in right.mutants)
    shown = np.array(right.series[0].curves[0].y)
    np.testing.assert_allclose(shown, plan.predicted, rtol=0.06)
    assert judge(plan, found[:1] * len(found), 0.01, 0).verdict is Verdict.REFUTED  # what does not shrink
