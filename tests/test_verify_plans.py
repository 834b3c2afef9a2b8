"""Plans: targets and mutants fixed before sampling, ensembles keyed by name and block, results free of the layout."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from derive.claim import Kind, Mutant, Observable
from derive.lecture import CLAIMS
from derive.lecture.contents import STATEMENTS
from derive.mutations import scaled
from numeric.finite_width import layer_two
from numeric.kernels import MLP
from verify import readouts, suite, trained_ensembles
from verify.ensembles import STATISTICS, Ensemble, Statistic, block_key, sample_block
from verify.execution import SerialExecutor, executor_of
from verify.inputs import Inputs
from verify.planning import MODEL_ERROR, RATE, SIGMA_B, SIGMA_W
from verify.plans import plans_for
from verify.suite import Tier, run
from verify.trained_ensembles import block_of

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1]]), ("a", "b", "copy of a"))
SEEN = {
    f"{key}: {seen.observable}": dataclasses.replace(seen, observed=tuple)
    for key, claim in CLAIMS.items()
    for seen in claim.as_observed()
    if seen.observable not in (None, Observable.DUAL, Observable.FLOW)
}
"""What is observed of claims, each thing as a claim of its own."""
RANDOM = list(dict.fromkeys(seen.id for seen in SEEN.values()))
IN_TWO = {Observable.OWN_PART, Observable.INHERITED_PART}
"""Whose mutants are looked for in the mean or in the spread."""
COARSE = {
    Observable.LIMIT_LAW,
    Observable.LIMIT_LAW_OF_SUMS,
    Observable.LIMIT_LAW_AT_FOUR_INPUTS,
    *readouts.PLANNERS,
}
"""Where mutants that are too near for fourth moments are left to second moments."""
TINY = Tier("tiny", 0.5, 2, 2)


@cache
def planned_for(key):
    """The plans of a claim, made when a test asks for them."""
    return plans_for(CLAIMS[key], INPUTS, 0.02)


@cache
def planned_as(name):
    """The plans of one thing that is observed."""
    return plans_for(SEEN[name], INPUTS, 0.02)


def silent(what, fraction):
    assert isinstance(what, str)
    assert 0 <= fraction <= 1


def test_every_observable_but_exact_ones_has_plans():
    assert set(RANDOM) >= {
        "eq17",
        "eq18",
        "eq40",
        "nngp.unit-covariance",
        "nngp.kernel-limit",
        "eq62",
        "eq34",
        "eq36",
        "eq61",
        "eq53",
    }
    assert not any(planned_for(key) for key in CLAIMS if key not in RANDOM)


def test_every_statement_of_the_lecture_is_sampled_or_says_why_not():
    sampled = [key for key in STATEMENTS if key in RANDOM]
    assert len(sampled) >= 68
    for key in set(STATEMENTS) - set(sampled):
        assert CLAIMS[key].why_unsampled, key
    means = (Kind.FINITE_WIDTH, Kind.LIMIT, Kind.RATE)
    for key in set(STATEMENTS) - set(sampled):
        assert CLAIMS[key].kind not in means or CLAIMS[key].unsampled, key


def test_the_plans_of_a_claim_have_names_of_their_own():
    for key in RANDOM:
        names = [plan.name for plan in planned_for(key)]
        assert len(set(names)) == len(names)
        assert {claim for claim, _ in names} == {key}


@pytest.mark.parametrize("key", SEEN)
def test_plans_are_consistent(key):
    claim, plans = SEEN[key], planned_as(key)
    assert plans
    for plan in plans:
        assert 0 <= plan.allowed < plan.resolution <= (0.8 if "LAZINESS" in claim.observable.name else 0.25)
        for part in plan.parts:
            statistic = part.statistic
            assert statistic.name in {**STATISTICS, **trained_ensembles.STATISTICS, **readouts.STATISTICS}
            assert np.all(statistic.scale > 0)
            assert statistic.target.shape == statistic.scale.shape
        if plan.kind == "monte_carlo":
            assert sum(part.weight for part in plan.parts) == pytest.approx(1, rel=1e-14)
            names, found = [m.name for m in claim.mutants()], [m.name for m in plan.mutants]
            assert found == (names if claim.observable not in IN_TWO | COARSE else [n for n in names if n in found])
            assert found or claim.observable in IN_TWO
            for mutant in plan.mutants:
                assert mutant.distance.shape == plan.parts[0].statistic.target.shape == (len(plan.labels),)
                assert mutant.equivalent or mutant.largest >= plan.resolution
    if claim.observable in IN_TWO:
        looked_for = [m.name for plan in plans[:2] for m in plan.mutants]
        assert sorted(looked_for) == sorted(m.name for m in claim.mutants())


def test_blocks_have_the_entries_that_are_planned():
    planned = [(part, len(plan.labels)) for key in SEEN for plan in planned_as(key) for part in plan.parts]
    for part, entries in {
        (part.statistic.name, part.ensemble.name): (part, entries) for part, entries in planned
    }.values():
        small = dataclasses.replace(part.ensemble, block_size=3)
        (moments,) = block_of(small, INPUTS.x, (part.statistic,), 5, 0)
        assert moments.count == 3
        assert moments.mean.shape == (entries,), part.statistic.name


def test_a_claim_is_planned_with_all_that_is_observed_of_it():
    for key in ("eq33", "eq41", "eq52"):
        each = [plan.name for name, seen in SEEN.items() if seen.id == key for plan in planned_as(name)]
        assert [plan.name for plan in planned_for(key)] == each


def test_the_targets_are_the_kernels():
    for key, layers, chosen in (("nngp.kernel-limit", 1, 0), ("eq62", 1, 1), ("eq34", 2, 0), ("eq36", 2, 1)):
        plan = planned_for(key)[0]
        kernel = MLP("relu", layers, SIGMA_W, SIGMA_B).kernels(INPUTS.x)[chosen][INPUTS.pairs]
        np.testing.assert_allclose(plan.parts[0].statistic.target[: len(kernel)], kernel, rtol=1e-14)
        assert not plan.parts[0].statistic.target[len(kernel) :].any()


def test_the_targets_of_variances_are_exact_laws():
    plan = planned_for("finite-width.ntk-variance")[1]
    laws = layer_two(MLP("erf", 1, SIGMA_W, SIGMA_B), INPUTS.x, plan.parts[0].ensemble.widths[0])
    expected = np.concatenate([laws.tangent_variance[INPUTS.pairs], laws.cross_variance[INPUTS.pairs]])
    np.testing.assert_allclose(plan.parts[0].statistic.target, expected, rtol=1e-13)


@pytest.mark.parametrize("key", SEEN)
def test_the_target_comes_from_the_statement(key):
    claim, plans = SEEN[key], planned_as(key)
    if not claim.mutants():
        assert all(plan.kind == "convergence" for plan in plans)
        return
    mutant = claim.mutants()[0]
    planned = plans_for(dataclasses.replace(claim, statement=lambda: mutant.statement), INPUTS, 0.02)
    for wrong, right in zip(planned, plans, strict=True):
        statistic = wrong.parts[0].statistic
        if wrong.kind == "convergence":
            depends = claim.slot in ("kernel", "tangent")
            assert depends != np.array_equal(statistic.centre, right.parts[0].statistic.centre)
            continue
        if claim.observable is Observable.TRAINED_COVARIANCE:  # whose control variate depends on no statement
            np.testing.assert_array_equal(statistic.centre, right.parts[0].statistic.centre)
        for found in (m for m in right.mutants if m.name == mutant.name):
            moved = (statistic.target - right.parts[0].statistic.target) / right.parts[0].statistic.scale
            np.testing.assert_allclose(moved, found.distance, rtol=1e-9, atol=1e-12)
            assert any(m.equivalent for plan in planned for m in plan.mutants if m.name == mutant.name)


def test_identical_inputs_share_their_target():
    for key in ("eq17", "nngp.kernel-limit", "eq62", "eq40"):
        for plan in planned_for(key):
            by_label = dict(zip(plan.labels, plan.parts[0].statistic.target, strict=True))
            assert by_label["a"] == by_label["copy of a"] == by_label["a · copy of a"]


def test_an_equivalent_mutant_is_known_before_sampling():
    (mutant,) = (m for m in planned_for("eq62")[0].mutants if m.equivalent)
    assert " stands for " in mutant.name  # K of the first layer for Theta of the first layer
    (deep,) = (m for m in planned_for("eq36")[0].mutants if m.name == mutant.name)
    assert not deep.equivalent
    zero = Inputs("typed here", np.zeros((1, 2)), ("zero",))
    same = {m.name: m.equivalent for m in plans_for(CLAIMS["eq17"], zero, 0.02)[0].mutants}
    assert same["the constant of the weights is 2 % too large"]
    assert not same["the bias is dropped"]


def test_the_resolution_shrinks_to_the_nearest_mutant_but_not_into_what_is_allowed():
    claim = CLAIMS["eq34"]
    statement = claim.statement()

    def with_error(error):
        mutant = Mutant("off", (1 + error) * statement)
        return plans_for(dataclasses.replace(claim, mutants=lambda: (mutant,)), INPUTS, 0.02)[0]

    near = with_error(MODEL_ERROR)  # the second layer adds to it
    assert MODEL_ERROR < near.resolution == near.mutants[0].largest < 0.02
    inside = with_error(MODEL_ERROR / 100)
    assert inside.resolution == 0.02
    assert not inside.mutants[0].equivalent


def test_the_rate_is_planned_with_its_wrong_exponents():
    rates = [plan for plan in planned_for("finite-width.nngp-variance") if plan.kind == "convergence"]
    assert len(rates) == 2
    for plan in rates:
        assert sorted(m.largest for m in plan.mutants) == [-RATE, -RATE]
        widths = [part.ensemble.widths[0] for part in plan.parts]
        np.testing.assert_allclose(np.array(plan.predicted) * np.sqrt(widths), plan.predicted[0] * np.sqrt(widths[0]))


# Ensembles

ENSEMBLE = Ensemble("a test", "erf", (4,), 2, 1.4, 0.3, 32)


def test_a_block_depends_on_seed_name_and_number_only():
    draws = {
        (seed, name, block): tuple(block_key(seed, name, block).generate_state(4))
        for seed in (0, 1)
        for name in ("a", "b")
        for block in (0, 1)
    }
    assert len(set(draws.values())) == 8
    assert tuple(block_key(1, "b", 0).generate_state(4)) == draws[1, "b", 0]


def statistics():
    kernel = np.array([1.0, 0.5, 2.0])
    ntk = np.concatenate([kernel, np.zeros(3)])
    return (
        Statistic("nngp", np.empty(0), kernel, np.ones(3)),
        Statistic("ntk", np.empty(0), ntk, np.full(6, 2.0)),
        Statistic("squared spread of nngp", kernel, kernel, np.ones(3)),
        Statistic("second moments of units", np.empty(0), ntk, np.ones(6)),
    )


def test_a_statistic_does_not_depend_on_its_neighbours():
    x = INPUTS.x[:2]
    together = sample_block(ENSEMBLE, x, statistics(), 3, 7)
    for alone, moments in zip(statistics(), together, strict=True):
        (single,) = sample_block(ENSEMBLE, x, (alone,), 3, 7)
        np.testing.assert_array_equal(single.sums, moments.sums)


def test_the_scale_divides_the_values():
    x = INPUTS.x[:2]
    one = Statistic("nngp", np.empty(0), np.zeros(3), np.ones(3))
    two = Statistic("nngp", np.empty(0), np.zeros(3), np.full(3, 4.0))
    first, second = sample_block(ENSEMBLE, x, (one, two), 3, 7)
    np.testing.assert_allclose(first.mean, 4 * second.mean)


@pytest.mark.parametrize("steps", [(1, 2, 11), (8, 9, 11), (5, 11)])
def test_the_grouping_of_blocks_changes_no_bit(steps):
    def totals(*ups):
        found = suite._Ensembles(Inputs("typed here", INPUTS.x[:2], ("a", "b")), 3)
        found.statistics[ENSEMBLE] = list(statistics())
        needed = [(ENSEMBLE, n) for n in range(len(statistics()))]
        for start, up in zip((0, *ups), ups, strict=False):
            for future, wanted in found.submit(SerialExecutor(), needed, range(start, up)).items():
                found.add(wanted, future.result())
        return [found.totals[place] for place in needed]

    for whole, grouped in zip(totals(11), totals(*steps), strict=True):
        assert whole.count == grouped.count == 11 * 32
        np.testing.assert_array_equal(whole.sums, grouped.sums)


# Execution


def test_the_number_of_workers_changes_no_bit():
    ids = ("eq17",)
    with executor_of(2) as pool:
        parallel = run(ids, TINY, 3, INPUTS, pool, silent, "")
    serial = run(ids, TINY, 3, INPUTS, SerialExecutor(), silent, "")
    assert parallel["run"]["digest"] == serial["run"]["digest"]
    assert parallel == serial
    assert run(ids, TINY, 4, INPUTS, SerialExecutor(), silent, "")["run"]["digest"] != serial["run"]["digest"]


def test_an_error_in_a_task_reaches_whoever_asks():
    future = SerialExecutor().submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        future.result()
    assert SerialExecutor().submit(max, 3, 5).result() == 5


@pytest.mark.parametrize("workers", [0, -2])
def test_workers_are_counted_from_one(workers):
    with pytest.raises(ValueError, match="workers must be a positive integer"), executor_of(workers):
        pass


def test_one_worker_is_this_process():
    with executor_of(1) as executor:
        assert isinstance(executor, SerialExecutor)


def test_a_wrong_resolution_would_not_be_hidden():
    claim = CLAIMS["eq17"]
    (plan,) = plans_for(dataclasses.replace(claim, statement=lambda: scaled(claim.statement())), INPUTS, 1)
    assert plan.resolution < 0.03  # the nearest mutant decides, whatever the tier asks
