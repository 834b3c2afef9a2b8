"""Checks: right claims pass, planted errors are refuted, by sampling, by derivation and by high precision."""

from __future__ import annotations

import dataclasses
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

from derive.activations import activation
from derive.duals import ClosedForm
from derive.lecture import CLAIMS, nngp
from derive.theorem import Rewriting, reflexivity, rule
from numeric.lower_duals import lowered_dual
from verify.checks import precision as module
from verify.checks.monte_carlo import judge
from verify.checks.precision import precision
from verify.checks.symbolic import comparable, printed, right_side, symbolic, with_equals
from verify.ensembles import sample_block
from verify.error_budget import ErrorBudget
from verify.execution import SerialExecutor
from verify.inputs import Inputs
from verify.plans import plans_for
from verify.statistics import Moments
from verify.suite import Tier, _sampled
from verify.verdict import Verdict

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.9, 1.2, -1.65]]), ("a", "b", "-1.5 a"))
CONFIRMED, REFUTED, INCONCLUSIVE = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.INCONCLUSIVE


def replaced(key, name):
    """The claim with its statement replaced by the mutant whose name contains ``name``."""
    claim = CLAIMS[key]
    (mutant,) = (m for m in claim.mutants() if name in m.name)
    return dataclasses.replace(claim, statement=lambda: mutant.statement)


def sampled(claim, activation="", looks=5, first_blocks=4, kind="monte_carlo"):
    plans = [p for p in plans_for(claim, INPUTS, 0.02) if p.kind == kind and activation in p.check]
    budget = ErrorBudget.share(1e-3, [plan.name for plan in plans])
    tier = Tier("test", 0.02, first_blocks, looks)
    return [r for _, r in _sampled(plans, budget, tier, 7, INPUTS, SerialExecutor(), lambda what, done: None)]


# Monte Carlo


@pytest.mark.parametrize(
    ("key", "activation"), [("eq17", ""), ("eq40", ""), ("nngp.kernel-limit", "erf"), ("eq62", "erf")]
)
def test_right_claims_are_confirmed_and_kill_their_mutants(key, activation):
    (result,) = sampled(CLAIMS[key], activation)
    assert result.verdict is CONFIRMED
    assert all(m.killed != m.equivalent for m in result.mutants)
    assert len(result.entries) == len({entry.label for entry in result.entries})
    low, high = result.interval
    assert low <= result.estimate <= high
    assert -result.resolution < low
    assert high < result.resolution


@pytest.mark.parametrize(
    ("key", "activation", "name"),
    [
        ("eq17", "", "2 % too large"),
        ("eq17", "", "the whole is 2 % too small"),
        ("eq17", "", "the bias is dropped"),
        ("eq17", "", "swapped"),
        ("eq17", "", "all units share one bias"),
        ("eq18", "", "the bias is dropped"),
        ("nngp.unit-covariance", "relu", "the layer is off by one"),
        ("nngp.kernel-limit", "erf", "2 % too large"),
        ("nngp.kernel-limit", "relu", "swapped"),
        ("nngp.kernel-limit", "erf", "the layer is off by one"),
        ("eq62", "erf", "the whole is 2 % too large"),
        ("eq62", "relu", "Kˡ is dropped"),
        ("eq62", "erf", "the inherited term is dropped"),
        ("eq62", "relu", "the layer is off by one"),
        ("finite-width.nngp-variance", "relu", "falls like N"),
        ("finite-width.nngp-variance", "relu", " stands for "),
        ("finite-width.ntk-variance", "erf", "the inherited term is dropped"),
    ],
)
def test_a_wrong_statement_is_refuted_by_sampled_networks(key, activation, name):
    (result,) = sampled(replaced(key, name), activation, looks=6, first_blocks=2)
    assert result.verdict is REFUTED
    assert any(entry.verdict is REFUTED for entry in result.entries)


@pytest.mark.parametrize(("key", "name"), [("eq34", "2 % too large"), ("eq36", "the layer is off by one")])
def test_a_wrong_limit_of_deep_networks_is_refuted(key, name):
    (result,) = sampled(replaced(key, name), "two hidden layers, erf", looks=3)
    assert result.verdict is REFUTED


def test_a_kernel_that_is_not_random_is_compared_exactly():
    (right,) = sampled(CLAIMS["eq40"], looks=1)
    assert right.verdict is CONFIRMED
    assert right.interval[1] - right.interval[0] < 1e-10
    claim = CLAIMS["eq40"]
    tiny = dataclasses.replace(
        claim, statement=lambda: (1 + sp.Rational(1, 10**8)) * claim.statement(), mutants=lambda: ()
    )
    (wrong,) = sampled(tiny, looks=1)
    assert wrong.verdict is REFUTED  # zero spread is no z-score of 0


def test_an_equivalent_mutant_does_not_hold_up_the_verdict():
    (result,) = sampled(CLAIMS["eq62"], "erf")
    (mutant,) = (m for m in result.mutants if m.equivalent)
    assert " stands for " in mutant.name  # K of the first layer for Theta of the first layer
    assert not mutant.killed
    assert "before sampling" in mutant.reason
    assert result.verdict is CONFIRMED


def test_a_surviving_mutant_leaves_the_check_inconclusive():
    claim = CLAIMS["eq17"]
    (plan,) = plans_for(claim, INPUTS, 0.02)
    part = plan.parts[0]
    moments = sample_block(part.ensemble, INPUTS.x, (part.statistic,), 7, 0)
    for block in range(1, 16):
        more = sample_block(part.ensemble, INPUTS.x, (part.statistic,), 7, block)
        moments = tuple(a + b for a, b in zip(moments, more, strict=True))
    near = dataclasses.replace(plan.mutants[0], distance=1e-3 * plan.mutants[0].distance)
    right = judge(plan, moments, 1e-3, 0)
    assert right.verdict is CONFIRMED
    survived = judge(dataclasses.replace(plan, mutants=(*plan.mutants[1:], near)), moments, 1e-3, 0)
    assert survived.verdict is INCONCLUSIVE
    assert [m.name for m in survived.mutants if not m.killed] == [near.name]


def test_too_few_networks_are_inconclusive():
    (result,) = sampled(CLAIMS["nngp.kernel-limit"], "relu", looks=1, first_blocks=1)
    assert result.verdict is INCONCLUSIVE
    assert result.samples == 1024


def power_law(plan, exponent, count=10_000):
    """Moments of squared errors that fall like N^(2 exponent), with 50 % spread."""
    moments = []
    for part in plan.parts:
        mean = float(part.ensemble.widths[0]) ** (2 * exponent)
        values = mean * (1 + 0.5 * np.tile([1.0, -1.0], count // 2))
        moments.append(Moments.of(values[:, None], np.ones(1)))
    return tuple(moments)


@pytest.mark.parametrize(("exponent", "verdict"), [(-0.5, CONFIRMED), (0.0, REFUTED), (-1.0, REFUTED), (-0.7, REFUTED)])
def test_the_exponent_of_the_fluctuations_is_told_from_wrong_ones(exponent, verdict):
    plan = next(p for p in plans_for(CLAIMS["finite-width.nngp-variance"], INPUTS, 0.02) if p.kind == "convergence")
    result = judge(plan, power_law(plan, exponent), 1e-3, 0)
    assert result.verdict is verdict
    assert result.estimate == pytest.approx(exponent + 0.5, abs=0.02)
    assert [curve.style for curve in result.series[0].curves] == ["measured", "predicted"]


def test_sampled_fluctuations_follow_the_exact_prediction():
    planned = plans_for(CLAIMS["finite-width.nngp-variance"], INPUTS, 0.02)
    (plan,) = (p for p in planned if p.check == "rate of the root mean square error, one hidden layer, erf")
    for part, expected in zip(plan.parts[:2], plan.predicted, strict=False):
        (moments,) = sample_block(part.ensemble, INPUTS.x, (part.statistic,), 7, 0)
        score = (moments.mean[0] - expected**2) / np.sqrt(moments.variance[0] / moments.count)
        assert abs(score) < 5


# Symbolic


@pytest.mark.parametrize("key", ["dual.relu", "eq17", "eq40", "eq71", "eq74"])
def test_derivations_confirm_their_claims(key):
    result, examination = symbolic(CLAIMS[key])
    assert result.verdict is CONFIRMED
    assert examination.total > 0
    assert result.mutants
    assert all(m.killed and m.reason for m in result.mutants)


def test_claims_with_the_same_right_side_are_named_and_others_are_not():
    others = comparable("eq17", CLAIMS)
    assert {"eq17", "eq18"} <= set(others)
    assert "dual.relu" not in others
    sides = {key: key for key in others} | {"eq17": right_side(CLAIMS["eq17"])}
    check, _ = symbolic(CLAIMS["eq17"])
    assert with_equals(check, "eq17", sides) == check
    same = with_equals(check, "eq17", sides | {"eq18": sides["eq17"]})
    assert same.note == f"{check.note}; it is found to be the right side of eq18 too"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *(("eq17", m.name) for m in CLAIMS["eq17"].mutants()),
        ("eq18", "the bias is dropped"),
        ("eq62", "the inherited term is 5 % too large"),
        ("eq36", "the layer is off by one"),
        *(("eq71", m.name) for m in CLAIMS["eq71"].mutants()),
        ("dual.relu", "the constant is 2 % too large"),
    ],
)
def test_a_wrong_statement_is_refuted_by_the_derivation(key, name):
    result, _ = symbolic(replaced(key, name))
    assert result.verdict is REFUTED
    assert "the derivation gives another right side" in result.note


@pytest.mark.parametrize("key", ["eq17", "eq71", "dual.relu"])
def test_a_tampered_derivation_is_refuted_even_if_it_ends_in_the_statement(key):
    claim = CLAIMS[key]
    mutant = claim.mutants()[0].statement
    right = claim.proven()
    start = reflexivity(right.lhs, right.model) if key.startswith("dual") else right

    @rule("a planted step")
    def planted(term, model):
        return Rewriting(mutant)

    tampered = dataclasses.replace(claim, theorem=lambda: start.by(planted), statement=lambda: mutant)
    result, examination = symbolic(tampered)
    assert result.verdict is REFUTED
    assert examination is None
    assert result.note.startswith("a step is wrong")


def test_what_the_lecture_prints_wrong_is_refuted():
    for key in ("eq17", "eq71"):
        found = printed(CLAIMS[key], CLAIMS[key].printed)
        assert found.verdict is REFUTED
        assert found.counterexample
    right = dataclasses.replace(CLAIMS["eq17"].printed, evaluate=nngp.first_kernel_statement)
    assert printed(CLAIMS["eq17"], right).verdict is INCONCLUSIVE


# High precision

rough = cache(module._reference_kernels.__wrapped__)
"""The reference kernels again, so that those of few digits are kept for these tests only."""


@cache
def precise(key):
    return precision(CLAIMS[key])


@pytest.mark.parametrize(
    "key", ["dual.identity", "dual.relu", "dual.elu", "dual.tanh", "dual.step-derivative", "eq17", "eq71", "eq74"]
)
def test_high_precision_confirms(key):
    result = precise(key)
    assert result.verdict is CONFIRMED
    assert all(m.killed or m.equivalent for m in result.mutants)
    assert any(m.killed for m in result.mutants)


def test_the_reference_integral_of_erf_has_the_digits_that_its_check_allows():
    with mpmath.workdps(module.DIGITS):
        a, b, c = map(mpmath.mpf, ("0.75", "2.5", "0.9"))
        arcsine = 2 / mpmath.pi * mpmath.asin(2 * c / mpmath.sqrt((1 + 2 * a) * (1 + 2 * b)))
        found = module._gaussian_mean(mpmath.erf, a, b, c)
        assert abs(found / arcsine - 1) < module.FLOAT_ALLOWED / 10


def test_a_wrong_float64_dual_is_refuted(monkeypatch):
    """What is lowered from a right theorem is held against integrals of the activation, not against the theorem."""
    right = lowered_dual(activation("gelu"))
    wrong = dataclasses.replace(right.value, function=lambda *pair: right.value(*pair) * (1 + 1e-2))
    monkeypatch.setattr(module, "lowered_dual", lambda _: dataclasses.replace(right, value=wrong))
    assert precision(CLAIMS["dual.gelu"]).verdict is REFUTED
    assert precision(CLAIMS["dual.gelu-derivative"]).verdict is CONFIRMED


@pytest.mark.parametrize("key", ["eq17", "eq40", "eq71", "eq73", "eq74"])
def test_high_precision_refutes_every_wrong_statement(key):
    for mutant in CLAIMS[key].mutants():
        if mutant.name == "all units share one bias":  # the same for one unit, which is all this check sees
            continue
        result = precision(dataclasses.replace(CLAIMS[key], statement=lambda m=mutant: m.statement, mutants=lambda: ()))
        assert result.verdict is REFUTED, mutant.name


@pytest.mark.parametrize("name", ["2 % too large", "the bias is dropped", "swapped", "the layer is off by one"])
def test_high_precision_refutes_a_wrong_recursion(name, monkeypatch):
    monkeypatch.setattr(module, "DIGITS", 6)  # enough to refute, and fast
    monkeypatch.setattr(module, "_reference_kernels", rough)
    claim = dataclasses.replace(replaced("nngp.kernel-limit", name), mutants=lambda: ())
    assert precision(claim).verdict is REFUTED


def test_high_precision_refutes_a_wrong_dual():
    claim = CLAIMS["dual.relu-derivative"]
    right = claim.statement()
    wrong = ClosedForm(right.expression + sp.Rational(1, 500))
    result = precision(dataclasses.replace(claim, statement=lambda: wrong))
    assert result.verdict is REFUTED
    small = ClosedForm(right.expression * (1 + sp.Rational(1, 10**10)))
    assert precision(dataclasses.replace(claim, statement=lambda: small)).verdict is INCONCLUSIVE


@pytest.mark.parametrize("key", ["eq18", "finite-width.nngp-variance"])
def test_what_is_no_number_has_no_high_precision_check(key):
    assert precision(CLAIMS[key]) is None


def test_results_are_json():
    record = precise("eq17").to_json()
    assert record["verdict"] == "confirmed"
    (result,) = sampled(CLAIMS["nngp.kernel-limit"], "relu", looks=1, first_blocks=1)
    infinite = dataclasses.replace(result, interval=(-np.inf, np.inf))
    assert infinite.to_json()["interval"] == [None, None]
