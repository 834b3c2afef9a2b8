"""One layer, and last layers trained alone: exact targets, planted errors that networks refute, differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from derive.claim import Claim, Observable
from derive.examiner import examine
from derive.lecture import CLAIMS, tangent_steps
from derive.lecture.finite_width import kernel_variance
from derive.lecture.moments import moments_of
from derive.lecture.nngp import empirical_statement
from numeric.finite_width import law
from verify.checks.monte_carlo import judge
from verify.ensembles import OWN, Statistic, sample_block
from verify.inputs import Inputs
from verify.layer_plans import PLANNERS as ON_A_LAYER
from verify.planning import one_hidden
from verify.plans import plans_for
from verify.readouts import PLANNERS as OF_LAST_LAYERS
from verify.trained_ensembles import block_of
from verify.verdict import Verdict

INPUTS = Inputs(
    "typed here",
    np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.2, 0.9, 0.7], [0.6, -0.8, 1.1]]),
    ("a", "b", "c", "copy of a"),
)
PLANNERS = {**ON_A_LAYER, **OF_LAST_LAYERS}
SEEN: dict[Observable, Claim] = {}
"""The first claim of each observable."""
for each in CLAIMS.values():
    for seen_as in each.as_observed():
        if seen_as.observable in PLANNERS:
            SEEN.setdefault(seen_as.observable, seen_as)
BLOCKS = 6


def plans(claim):
    return plans_for(dataclasses.replace(claim, observed=tuple), INPUTS, 0.02)


def test_every_planner_is_used():
    assert set(SEEN) == set(PLANNERS)


@pytest.mark.parametrize("observable", PLANNERS)
def test_networks_refute_what_is_planted(observable):
    claim = SEEN[observable]
    refuted = 0
    for plan in plans(claim):
        if not (planted := [m for m in plan.mutants if m.largest > 0.2]):
            continue
        worst = max(planted, key=lambda m: m.largest)
        statement = next(m.statement for m in claim.mutants() if m.name == worst.name)
        changed = dataclasses.replace(claim, statement=lambda statement=statement: statement, mutants=tuple)
        wrong = next(other for other in plans(changed) if other.check == plan.check)
        # the networks are the same: a target is only where power sums are centred
        both = [(right.statistic, false.statistic) for right, false in zip(plan.parts, wrong.parts, strict=True)]
        found = [
            [block_of(part.ensemble, INPUTS.x, pair, 5, block) for block in range(BLOCKS)]
            for part, pair in zip(plan.parts, both, strict=True)
        ]
        for which, (each, expected) in enumerate(((plan, None), (wrong, Verdict.REFUTED))):
            moments = tuple(
                dataclasses.replace(
                    blocks[0][which],
                    count=sum(b[which].count for b in blocks),
                    sums=np.sum([b[which].sums for b in blocks], axis=0),
                )
                for blocks in found
            )
            verdict = judge(each, moments, 1e-3, 0).verdict
            assert verdict is expected if expected else verdict is not Verdict.REFUTED, (plan.check, worst.name)
        refuted += 1
    assert refuted, observable


@pytest.mark.parametrize("side", [empirical_statement(), tangent_steps.inherited(), tangent_steps.average_statement()])
def test_moments_of_random_sides_are_re_examined(side):
    for theorem in moments_of(side):
        assert examine(theorem).total > 0


def test_the_spread_of_the_own_part_is_the_exact_variance_of_the_kernel():
    claim = next(seen for seen in CLAIMS["eq61"].as_observed() if seen.observable is Observable.OWN_PART)
    for plan in plans(claim):
        if plan.check.startswith("spread"):
            (part,) = plan.parts
            same = law(part.ensemble.limit, INPUTS.x, part.ensemble.widths[0], kernel_variance().rhs, True)
            known = np.concatenate([same[INPUTS.pairs], np.zeros(len(INPUTS.pair_labels))])
            np.testing.assert_allclose(part.statistic.target, known, atol=1e-12)


def test_differences_of_outputs_give_the_own_part():
    pairs = len(INPUTS.pair_labels)
    ensemble = dataclasses.replace(one_hidden("relu"), block_size=5)
    own = Statistic(OWN, np.empty(0), np.zeros(2 * pairs), np.ones(2 * pairs))
    kernel = Statistic("nngp", np.empty(0), np.zeros(pairs), np.ones(pairs))
    measured, known = sample_block(ensemble, INPUTS.x, (own, kernel), 3, 0)
    np.testing.assert_allclose(measured.mean[:pairs], known.mean, rtol=1e-12)
    assert not measured.mean[pairs:].any()  # rounding here would pass for a spread


def test_a_mutant_is_looked_for_where_it_shows():
    (own,) = (seen for seen in CLAIMS["eq61"].as_observed() if seen.observable is Observable.OWN_PART)
    mean, spread, *_ = plans(own)
    assert "it is Kˡ at finite width already" in {m.name for m in spread.mutants}
    assert "1/√N_l stands for 1/N_l" in {m.name for m in mean.mutants}
    assert all(m.largest >= plan.resolution for plan in (mean, spread) for m in plan.mutants)
