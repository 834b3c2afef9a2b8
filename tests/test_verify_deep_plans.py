"""Plans for deep networks: targets from the cited laws, wide blocks without weights, predicted curves."""

from __future__ import annotations

import dataclasses
from functools import cache, reduce

import numpy as np
import pytest

import verify.ensembles
from derive.lecture import CLAIMS
from numeric.exact_chains import bounded_chain, relu_chain
from numeric.leading_order import leading_order
from verify.checks.monte_carlo import judge
from verify.deep_plans import CHAIN_WIDTHS, coefficients, deep_ensemble
from verify.ensembles import KERNELS, Statistic, error_name, moment_name, sample_block
from verify.inputs import Inputs
from verify.planning import network
from verify.plans import plans_for
from verify.rates import widths_up_to
from verify.suite import _Ensembles
from verify.verdict import Verdict

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1]]), ("a", "b", "copy of a"))
DEEP = [key for key, claim in CLAIMS.items() if claim.cited and key.startswith("finite-width.")]
FOLLOWED = (
    "finite-width.output-dependence",
    "finite-width.output-law",
    "finite-width.order-cross-variance",
    "finite-width.order-nngp-bias",
)
"""What is followed along widths."""


@cache
def planned(key):
    """The plans of a claim, made when a test asks for them."""
    return plans_for(CLAIMS[key], INPUTS, 0.02, 512)


def means(key):
    return [plan for plan in planned(key) if plan.kind == "monte_carlo"]


def rates(key):
    return [plan for plan in planned(key) if plan.kind == "convergence"]


def moments(part, blocks, start=0):
    found = [sample_block(part.ensemble, INPUTS.x, (part.statistic,), 3, start + n)[0] for n in range(blocks)]
    return reduce(lambda one, other: one + other, found)


@pytest.mark.parametrize("key", DEEP)
def test_every_cited_claim_is_sampled_and_tells_its_mutants_apart(key):
    assert means(key)
    for plan in means(key):
        assert all(mutant.largest >= plan.resolution for mutant in plan.mutants)
        assert plan.allowed < plan.resolution


@pytest.mark.parametrize("name", ["nngp_mean", "nngp_variance", "tangent_mean"])
def test_the_targets_at_one_input_are_exact_laws(name):
    relu, erf = means(f"finite-width.one-input-{name.replace('_', '-')}")
    for plan, chain, activation in ((relu, relu_chain, "relu"), (erf, bounded_chain, "erf")):
        law = chain(network(activation, 3), INPUTS.x, CHAIN_WIDTHS[activation])
        np.testing.assert_array_equal(plan.parts[0].statistic.target, getattr(law, name))


def test_the_targets_of_coefficients_are_those_of_the_expansion():
    (plan, _) = means("finite-width.order-cross-variance")
    small, large = plan.parts
    expected = leading_order(network("relu", 2), INPUTS.x).cross_variance[INPUTS.pairs]
    np.testing.assert_allclose(small.statistic.target * 16, expected, rtol=1e-13)
    np.testing.assert_allclose(large.statistic.target * 64, expected, rtol=1e-13)
    assert coefficients(network("relu", 2), INPUTS) is coefficients(network("relu", 2), INPUTS)


@pytest.mark.parametrize("key", DEEP)
def test_a_few_networks_do_not_contradict_a_cited_claim(key):
    for plan in means(key):
        found = judge(plan, tuple(moments(part, 4) for part in plan.parts), 1e-4, 0)
        assert found.verdict is not Verdict.REFUTED


@pytest.mark.parametrize("key", ["finite-width.one-input-nngp-mean", "finite-width.order-nngp-bias"])
def test_a_wrong_law_is_refuted_by_networks(key):
    claim = CLAIMS[key]
    wrong = dataclasses.replace(claim, statement=lambda: claim.mutants()[1].statement, mutants=tuple)
    for plan in plans_for(wrong, INPUTS, 0.02):
        if plan.kind == "monte_carlo":
            found = judge(plan, tuple(moments(part, 6) for part in plan.parts), 1e-4, 0)
            assert found.verdict is Verdict.REFUTED


# Wide networks


def test_wide_blocks_have_the_law_of_networks_with_weights(monkeypatch):
    ensemble = dataclasses.replace(deep_ensemble("erf", 256), block_size=150)
    laws = [
        Statistic(moment_name(kernel, power, False), np.zeros(6), np.zeros(6), np.ones(6))
        for kernel in KERNELS
        for power in (1, 2)
    ]
    without = [
        reduce(lambda one, other: one + other, blocks)
        for blocks in zip(*(sample_block(ensemble, INPUTS.x, tuple(laws), 1, n) for n in range(2)), strict=True)
    ]
    monkeypatch.setattr(verify.ensembles, "_WIDE", 1000)
    with_weights = [
        reduce(lambda one, other: one + other, blocks)
        for blocks in zip(*(sample_block(ensemble, INPUTS.x, tuple(laws), 2, n) for n in range(2)), strict=True)
    ]
    for one, other in zip(without, with_weights, strict=True):
        error = np.sqrt(one.variance / one.count + other.variance / other.count)
        assert np.all(np.abs(one.mean - other.mean) < 4.5 * error)
        assert not np.any(one.mean == other.mean)


def test_wide_blocks_give_a_copy_the_values_of_its_original():
    kernel = Statistic(moment_name("ntk", 1, True), np.zeros(3), np.zeros(3), np.ones(3))
    (found,) = sample_block(dataclasses.replace(deep_ensemble("relu", 512), block_size=3), INPUTS.x, (kernel,), 1, 0)
    assert found.mean[0] == found.mean[2] != found.mean[1]


# Curves


def test_widths_are_those_of_every_run_and_then_four_times_each():
    assert widths_up_to(128) == widths_up_to(255) == (16, 32, 64, 128)
    assert widths_up_to(2**20)[-3:] == (2**16, 2**18, 2**20)


@pytest.mark.parametrize("key", DEEP)
def test_these_are_followed_along_widths(key):
    assert len(rates(key)) == (2 if key in FOLLOWED else 0)


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("key", FOLLOWED)
def test_what_networks_show_follows_the_predicted_curve(key, activation):
    plan = rates(key)[activation]
    assert [part.ensemble.widths[0] for part in plan.parts] == [16, 32, 64, 128, 256]
    found = tuple(moments(part, 4 if part.ensemble.widths[0] < 256 else 1) for part in plan.parts)
    result = judge(plan, found, 0.5, 0)
    (series,) = result.series
    measured, predicted = (np.array(curve.y) for curve in series.curves)
    at_128 = measured[3] / predicted[3] - 1
    assert abs(at_128) < 0.25
    assert series.curves[1].label == plan.prediction


def test_a_bias_that_is_not_seen_leaves_the_exponent_open():
    plan = rates("finite-width.order-nngp-bias")[0]
    nothing = Statistic(error_name("nngp"), np.stack([np.zeros(6), np.full(6, 1e9)]), np.ones(1), np.ones(1))
    parts = tuple(dataclasses.replace(part, statistic=nothing) for part in plan.parts[:4])
    zero = dataclasses.replace(plan, parts=parts, predicted=plan.predicted[:4])
    found = tuple(dataclasses.replace(m, sums=m.sums - m.sums) for m in (moments(part, 1) for part in parts))
    assert judge(zero, found, 0.5, 0).verdict is Verdict.INCONCLUSIVE


def test_plans_of_two_claims_share_the_statistics_that_are_the_same():
    plans = [
        planned("finite-width.order-cross-variance")[0],
        plans_for(CLAIMS["finite-width.order-cross-variance"], INPUTS, 0.02)[0],
    ]
    assert plans[0].parts[0].statistic is not plans[1].parts[0].statistic
    ensembles = _Ensembles(INPUTS, 1)
    assert ensembles.places(plans[0].parts) == ensembles.places(plans[1].parts)
    other = planned("finite-width.order-nngp-variance")[0]
    assert ensembles.places(other.parts) != ensembles.places(plans[0].parts)
