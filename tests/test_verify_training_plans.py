"""Plans for networks that are really trained: exact targets, orders in the width, real data, planted errors."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce

import numpy as np
import pytest
import sympy as sp

import verify.trained_ensembles
from derive.laws import Order
from derive.lecture import CLAIMS
from numeric.gradients import Rates
from verify import real_data, suite
from verify.checks.monte_carlo import judge
from verify.ensembles import Statistic
from verify.inputs import Inputs
from verify.learning_problems import problem
from verify.planning import Part, PlannedMutant
from verify.plans import plans_for
from verify.statistics import Moments
from verify.trained_ensembles import (
    DEPARTURE,
    INSIDE,
    MEAN,
    NTK,
    PATHWISE_ERROR,
    PATHWISE_RATIO,
    SPREAD,
    SQUARED_DISTANCE,
    STANDARD,
    STATISTICS,
    trained_block,
    trained_networks,
)
from verify.training_plans import FAINT, PROBLEM, WIDTHS, laziness, trained_ensemble
from verify.verdict import Verdict
from verify.wide_limits import at_times, slopes_of

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5]]), ("a", "b"))
KEYS = [key for key in CLAIMS if key.startswith(("eq81-", "lazy.", "training."))]
NOTHING = np.empty(0)


@cache
def planned(key):
    return plans_for(CLAIMS[key], INPUTS, 0.02)


@cache
def trained(width, block=0, purpose="trained", data=FAINT, parameterization=NTK, size=24):
    ensemble = dataclasses.replace(trained_ensemble(width, parameterization, purpose, data), block_size=size)
    return trained_networks(ensemble, 3, block, pathwise=purpose == "predicted")


def moments(part, blocks):
    found = [trained_block(part.ensemble, (part.statistic,), 3, n)[0] for n in range(blocks)]
    return reduce(lambda one, other: one + other, found)


# What is planned


@pytest.mark.parametrize("key", KEYS)
def test_every_claim_on_training_is_sampled_and_tells_its_mutants_apart(key):
    assert planned(key)
    for plan in planned(key):
        assert len(plan.mutants) >= 2
        assert all(mutant.largest >= plan.resolution > plan.allowed for mutant in plan.mutants)
        assert any(word in plan.note for word in (NTK, STANDARD))


def test_targets_are_those_of_trained_ensembles():
    """Statements on explicit matrices against the eigenbasis of `MLP.trained`."""
    task = problem(PROBLEM)
    net = trained_ensemble(WIDTHS[0]).limit
    law = net.trained(task.data.x, task.data.y[:, 0], task.tests, t=task.schedule.times[1:])
    (mean,), (covariance,) = planned("training.mean"), planned("training.covariance")
    np.testing.assert_allclose(mean.parts[0].statistic.target, law.mean.ravel(), rtol=1e-10)
    rows, columns = np.tril_indices(len(task.tests))
    expected = law.covariance[:, rows, columns].ravel()
    np.testing.assert_allclose(covariance.parts[0].statistic.target, expected, rtol=1e-9)


def test_a_cross_term_counted_twice_shows_at_two_test_inputs_only():
    (plan,) = planned("training.covariance")
    (mutant,) = (m for m in plan.mutants if "twice" in m.name)
    single = np.array(["·" not in label for label in plan.labels])
    np.testing.assert_allclose(mutant.distance[single], 0, atol=1e-14)
    assert np.abs(mutant.distance[~single]).max() > 0.05


def test_two_widths_are_combined_so_that_the_term_in_one_over_the_width_cancels():
    (plan,) = planned("training.mean")
    assert sum(part.weight for part in plan.parts) == pytest.approx(1)
    assert sum(part.weight / part.ensemble.widths[0] for part in plan.parts) == pytest.approx(0)


def test_more_widths_are_followed_where_convergence_is_followed_further():
    (quick,), (standard,) = (laziness(CLAIMS["lazy.outputs"], widest) for widest in (128, 4096))
    assert [part.ensemble.widths[0] for part in quick.parts] == [16, 32, 64, 128, 256]
    assert max(part.ensemble.widths[0] for part in standard.parts) == 4096
    assert laziness(CLAIMS["eq36"], 128) == ()


def test_the_slopes_are_those_of_infinitely_wide_networks():
    """Outputs are affine in those at time 0; slopes against differences of `MLP.trained` for shifted targets."""
    task, ensemble = problem(PROBLEM), trained_ensemble(WIDTHS[0])
    slopes, times = slopes_of(ensemble), task.schedule.times[1:]
    for index in range(task.n_train):  # f_0(X) acts as the targets do, with the other sign
        unit = np.eye(task.n_train)[index]
        response = ensemble.limit.trained(task.data.x, unit, task.tests, t=times, covariance=False).mean
        np.testing.assert_allclose(slopes[:, :, index], -response, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(slopes[:, :, task.n_train :], np.broadcast_to(np.eye(2), slopes[:, :, :2].shape))


def test_only_statements_on_linear_models_have_values_at_times():
    with pytest.raises(TypeError, match="expected a statement on linear models, got a Order"):
        at_times(trained_ensemble(16), CLAIMS["lazy.outputs"].statement())


# The statistics


def test_the_mean_is_that_of_the_outputs_whatever_the_slopes():
    sample = trained(16, data=PROBLEM)
    n_times, n_test, n_points = slopes_of(trained_ensemble(16)).shape
    slopes = np.random.default_rng(0).normal(size=(n_times, n_test, n_points))
    found = STATISTICS[MEAN](sample, slopes).reshape(-1, n_times, n_test)
    n_train = problem(PROBLEM).n_train
    for network in range(3):
        for time in range(n_times):
            linear = slopes[time] @ sample.found.outputs[network, 0, 0]
            expected = sample.found.outputs[network, time + 1, 0, n_train:] - linear
            np.testing.assert_allclose(found[network, time], expected, rtol=1e-12)


def test_products_of_deviations_have_a_control_variate_of_known_mean():
    sample, slopes = trained(16, data=PROBLEM), slopes_of(trained_ensemble(16))
    n_times, n_test, _ = slopes.shape
    rng = np.random.default_rng(0)
    means, known = rng.normal(size=(n_times, n_test, 1)), rng.normal(size=(n_times, n_test, n_test))
    found = STATISTICS[SPREAD](sample, np.concatenate([means, slopes, known], axis=2))
    n_train = problem(PROBLEM).n_train
    expected = []
    for time in range(n_times):
        deviation = sample.found.outputs[1, time + 1, 0, n_train:] - means[time, :, 0]
        linear = slopes[time] @ sample.found.outputs[1, 0, 0]
        for i, j in ((0, 0), (1, 0), (1, 1)):
            expected.append(deviation[i] * deviation[j] - linear[i] * linear[j] + known[time, i, j])
    np.testing.assert_allclose(found[1], expected, rtol=1e-10)


def test_the_control_variate_takes_most_of_the_spread_away():
    sample, slopes = trained(64, data=PROBLEM), slopes_of(trained_ensemble(64))
    plain, controlled = (STATISTICS[MEAN](sample, s).std(axis=0) for s in (0 * slopes, slopes))
    assert np.all(controlled < plain / 2)


def test_a_network_that_does_as_its_start_lets_expect_is_at_distance_zero():
    sample = trained(16, data=PROBLEM)
    slopes, mean = slopes_of(trained_ensemble(16))[-1], np.array([0.3, -0.2])
    outputs = sample.found.outputs.copy()
    outputs[:, -1, 0, problem(PROBLEM).n_train :] = mean + outputs[:, 0, 0] @ slopes.T + [[0.5, 0.0]]
    moved = dataclasses.replace(sample, found=dataclasses.replace(sample.found, outputs=outputs))
    centre = np.column_stack([mean, [0.25, 2.0], slopes])
    np.testing.assert_allclose(STATISTICS[SQUARED_DISTANCE](moved, centre), (0.5 / 0.25) ** 2 / 2, rtol=1e-12)


def test_outputs_within_a_band_are_counted():
    sample = trained(16, data=PROBLEM)
    final = sample.found.outputs[:, -1, 0, problem(PROBLEM).n_train :]
    band = np.array([final.min(axis=0) - 1, [final[:, 0].max() + 1, np.sort(final[:, 1])[-3]]])
    found = STATISTICS[INSIDE](sample, band)
    assert np.sum(found == 0.5) == 2
    assert np.sum(found == 1.0) == len(final) - 2


def test_the_path_wise_ratio_sees_size_and_sign_and_is_cut_off():
    sample = trained(128, purpose="predicted")
    happened = sample.found.outputs - sample.found.linearized
    for factor, expected in ((1.0, 1.0), (1.25, 1.25), (3.0, 1.5), (-1.0, 0.5)):
        predicted = dataclasses.replace(sample.predicted, outputs=factor * happened)
        found = STATISTICS[PATHWISE_RATIO](dataclasses.replace(sample, predicted=predicted), np.array([0.5, 1.5]))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_error_of_the_path_wise_prediction_falls_with_the_square_of_the_width():
    """Planted: a prediction that is half of it misses something of leading order, and its error falls like 1/N."""

    def fall(factor):
        sizes = []
        for width in (16, 128):
            found = []
            for block in range(3):
                sample = trained(width, block, "predicted")
                scaled = dataclasses.replace(sample.predicted, outputs=factor * sample.predicted.outputs)
                found.append(STATISTICS[PATHWISE_ERROR](dataclasses.replace(sample, predicted=scaled), NOTHING))
            sizes.append(np.mean(np.concatenate(found)) ** 2)
        return np.log(sizes[0] / sizes[1]) / np.log(8)

    assert 1.3 < fall(1.0) < 2.2
    assert 0.6 < fall(0.5) < 1.2


def test_networks_depend_on_seed_name_and_block_alone():
    ensemble = dataclasses.replace(trained_ensemble(16), block_size=3)
    one, again, other = (trained_networks(ensemble, 5, block).found.outputs for block in (2, 2, 3))
    np.testing.assert_array_equal(one, again)
    assert not np.any(one == other)
    faint = dataclasses.replace(trained_ensemble(16, data=FAINT), block_size=3)
    assert faint.name != ensemble.name
    alone, *_ = trained_block(ensemble, (Statistic(DEPARTURE, NOTHING, np.zeros(1), np.ones(1)),), 5, 2)
    both = trained_block(
        ensemble, tuple(Statistic(DEPARTURE, NOTHING, np.zeros(1), np.full(1, s)) for s in (1.0, 2.0)), 5, 2
    )
    np.testing.assert_array_equal(both[0].sums, alone.sums)
    np.testing.assert_allclose(both[1].sums[0] * 2, alone.sums[0], rtol=1e-14)


def test_standard_parameterization_has_one_learning_rate():
    ensemble = trained_ensemble(32, STANDARD)
    learner = ensemble.learner(4)
    assert learner.rates == Rates.standard(learner.shape, ensemble.learning_rate)
    assert learner.rates.weights[1] == pytest.approx(0.5)
    assert trained_ensemble(32).learner(4).rates == Rates.ntk(trained_ensemble(32).shape(4))


# Verdicts


@pytest.mark.parametrize("key", ["training.mean", "training.covariance"])
def test_trained_networks_do_not_contradict_their_limit_and_refute_another(key):
    (plan,) = planned(key)
    found = tuple(moments(part, 10) for part in plan.parts)
    assert judge(plan, found, 1e-4, 0).verdict is not Verdict.REFUTED
    largest = max(CLAIMS[key].mutants(), key=lambda m: next(p.largest for p in plan.mutants if p.name == m.name))
    wrong = dataclasses.replace(CLAIMS[key], statement=lambda: largest.statement, mutants=tuple)
    (planted,) = plans_for(wrong, INPUTS, 0.02)
    again = tuple(moments(part, 10) for part in planted.parts)
    assert judge(planted, again, 1e-4, 0).verdict is Verdict.REFUTED


ORDERS = "lazy.outputs", "lazy.kernel", "lazy.parameters"


@cache
def sampled_orders():
    """Return the moments of each claim's parts: one training serves all, as in a run."""
    plans = [planned(key)[0] for key in ORDERS]
    found = []
    for parts in zip(*(plan.parts for plan in plans), strict=True):
        statistics = tuple(part.statistic for part in parts)
        blocks = [trained_block(parts[0].ensemble, statistics, 3, n) for n in range(32)]
        found.append([reduce(lambda one, other: one + other, column) for column in zip(*blocks, strict=True)])
    return dict(zip(ORDERS, zip(*found, strict=True), strict=True))


@pytest.mark.parametrize("key", ORDERS)
def test_networks_confirm_an_order_and_refute_another(key):
    claim, found = CLAIMS[key], sampled_orders()[key]
    assert judge(planned(key)[0], found, 1e-3, 0).verdict is Verdict.CONFIRMED
    power = claim.statement().power - sp.Rational(3, 4)  # between mutants, so that it can be resolved
    wrong = dataclasses.replace(claim, statement=lambda: Order(claim.slot, power, tight=True))
    (planted,) = laziness(wrong, 128)
    assert judge(planted, found, 1e-3, 0).verdict is Verdict.REFUTED


def sizes(plan, exponent):
    """Return moments as if a quantity were a power of the width, with one per cent of spread."""
    rng, found = np.random.default_rng(0), []
    for part in plan.parts:
        values = part.ensemble.widths[0] ** (exponent * plan.power) * (1 + 0.01 * rng.standard_normal((400, 1)))
        found.append(Moments.of(values, np.zeros(1)))
    return tuple(found)


@pytest.mark.parametrize(
    ("exponent", "verdict"),
    [(-1.0, Verdict.CONFIRMED), (-0.5, Verdict.CONFIRMED), (0.0, Verdict.REFUTED), (-0.25, Verdict.REFUTED)],
)
def test_a_bound_holds_for_whatever_shrinks_faster(exponent, verdict):
    (plan,) = planned("eq81-f")
    found = judge(plan, sizes(plan, exponent), 1e-6, 0)
    assert found.verdict is verdict
    assert found.estimate == pytest.approx(max(exponent + 0.5, 0.0), abs=0.02)


def test_a_bound_that_is_too_strong_is_killed_only_by_what_exceeds_it():
    (plan,) = planned("eq81-f")
    strong = dataclasses.replace(plan, mutants=(PlannedMutant("bounded by N^-3/2", np.array([-1.0])),))
    assert judge(strong, sizes(plan, -1.0), 1e-6, 0).mutants[0].killed
    assert not judge(strong, sizes(plan, -2.0), 1e-6, 0).mutants[0].killed


def test_without_a_prediction_powers_of_the_width_are_drawn():
    (plan,) = planned("lazy.outputs")
    (series,) = judge(plan, sizes(plan, -1.0), 1e-6, 0).series
    assert [curve.style for curve in series.curves] == ["measured", "guide", "guide"]
    first, last = (curve.y[-1] / curve.y[0] for curve in series.curves[1:])
    assert (first, last) == pytest.approx((1 / 16, 1 / 4))
    assert series.y_label == "departure from the linearization"


# Real data


@pytest.mark.parametrize("name", [PROBLEM, FAINT, *real_data.PROBLEMS])
def test_problems_have_unequal_norms_and_a_kernel_far_from_singular(name):
    task = problem(name)
    norms = np.linalg.norm(task.data.points, axis=1)
    assert len(np.unique(norms.round(6))) == len(norms)
    eigenvalues = np.linalg.eigvalsh(trained_ensemble(16).limit.ntk(task.data.x))
    assert eigenvalues[-1] / eigenvalues[0] < 1e3
    assert task.schedule.step * eigenvalues[-1] < 1  # finite networks vary, and must be stable
    assert task.tests.shape[0] == len(task.answers) == len(task.labels)


def test_a_run_has_trained_networks_on_real_data_and_goes_on_from_its_blocks(monkeypatch):
    monkeypatch.setattr(real_data, "WIDTHS", (16, 32))
    monkeypatch.setattr(real_data, "PROBLEMS", ("few digits",))
    tier = suite.Tier("tiny", 0.05, 8, 1)
    told = []
    store = suite._in_memory()
    records = []
    with ThreadPoolExecutor(1) as executor:
        for _ in range(2):
            arguments = (tier, 1, INPUTS, executor, lambda stage, fraction: told.append((stage, fraction)), store)
            records.append(suite._real_data(*arguments))
            monkeypatch.setattr(verify.trained_ensembles, "train", None)  # what is kept is not trained again
    assert records[0] == records[1]
    (picture,) = records[0]
    narrow, wide = picture["widths"]
    assert (narrow["networks"], wide["networks"]) == (17, 12)
    assert wide["distance"] < narrow["distance"]
    assert 0.5 < wide["coverage"] <= 1
    assert [row["wrong"] for row in picture["predictors"][:3]] == [0, 0, 0]
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [f"real data, training {n} networks of width {w} on few digits" for n, w in ((17, 16), (12, 32))]
    store.close()


def test_the_band_is_that_of_the_law_where_training_stops():
    (outputs, inside, _, squared), *_ = real_data.parts("few digits", 128)
    task = problem("few digits")
    law = outputs.ensemble.limit.trained(task.data.x, task.data.y[:, 0], task.tests, t=task.schedule.times[-1])
    low, high = inside.statistic.centre
    np.testing.assert_allclose((low + high) / 2, law.mean, rtol=1e-12)
    np.testing.assert_allclose((high - low) / 2, 1.959963984540054 * np.sqrt(np.diag(law.covariance)), rtol=1e-12)
    np.testing.assert_array_equal(squared.statistic.centre, task.answers)
    assert isinstance(outputs, Part)


def test_wider_networks_are_trained_where_convergence_is_followed_further():
    assert real_data.widths_up_to(128) == (16, 64, 256)
    assert real_data.widths_up_to(4096) == (16, 64, 256, 1024)
