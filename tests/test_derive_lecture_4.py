"""Section 4 of the lecture: planted errors in statements, exhibits and what is printed, and their verdicts."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.claim import Status
from derive.compare import counterexample
from derive.lecture import (
    CLAIMS,
    tangent_averages,
    tangent_definition,
    tangent_first_layer,
    tangent_parts,
    tangent_steps,
)
from derive.lecture import tangent_assembly as assembly
from derive.lecture import three_layers as net
from derive.lecture.contents import STATEMENTS
from verify.checks.exhibits import exhibited, printed_in
from verify.suite import _task_groups
from verify.verdict import Verdict

SECTION = [key for key in STATEMENTS if (CLAIMS.get(key) and (CLAIMS[key].section or "").startswith("4"))]
OURS = [
    claim
    for claims in (
        tangent_definition.LIMIT,
        tangent_definition.DEFINITIONS,
        tangent_first_layer.CLAIMS,
        tangent_parts.CLAIMS,
        tangent_averages.CLAIMS,
        assembly.CLAIMS,
    )
    for claim in claims
]


def test_every_statement_of_the_section_is_a_claim():
    first, last = STATEMENTS.index("eq35"), STATEMENTS.index("sec4-width-order")
    assert STATEMENTS[first : last + 1] == tuple(SECTION)


def test_what_is_printed_wrong_says_why_and_how_to_correct_it():
    wrong = [key for key in SECTION if CLAIMS[key].status in (Status.TYPO, Status.WRONG)]
    assert len(wrong) == 18
    for key in wrong:
        assert CLAIMS[key].printed.why
        assert CLAIMS[key].printed.correction


PLANTED = [
    ("eq50", tangent_steps.chain_rule, lambda: tangent_steps.chain_statement("phi")),
    ("eq52-exact", tangent_steps.inherited_term_exact, lambda: tangent_steps.double_sum(tangent_steps.below())),
    ("eq52", tangent_steps.diagonal_below, tangent_steps.average_statement),
    ("eq59", assembly.own_part, lambda: assembly.ntk.own_term_exact().rhs - assembly.ntk.own_statement()),
    ("eq44", tangent_first_layer.gradient, lambda: sp.Integer(2) * tangent_first_layer.gradient().rhs),
    ("eq45", tangent_first_layer.kernel, lambda: tangent_first_layer.kernel().lhs * tangent_first_layer.kernel().rhs),
]


@pytest.mark.parametrize(("key", "theorem", "wrong"), PLANTED, ids=[row[0] for row in PLANTED])
def test_a_wrong_statement_is_not_what_the_rules_derive(key, theorem, wrong):
    assert CLAIMS[key].statement().key == theorem().rhs.key
    assert wrong().key != theorem().rhs.key
    assert counterexample(theorem().rhs, wrong(), theorem().model) is not None


def test_theorems_of_other_statements_do_not_pass_for_each_other():
    rights = {tangent_steps.chain_rule().rhs.key, tangent_steps.product_of_sums().rhs.key, tangent_steps.unit().rhs.key}
    rights |= {tangent_steps.average_limit().rhs.key, tangent_steps.averaged_over_weights().rhs.key}
    assert len(rights) == 5


@pytest.mark.parametrize("key", ["eq37", "eq46", "eq48", "eq49", "eq57", "sec4.6.2-scalar", "eq61", "sec4-width-order"])
def test_an_exhibit_whose_side_is_wrong_is_refuted(key):
    claim = CLAIMS[key]
    first, *rest = claim.exhibits()
    planted = dataclasses.replace(first, right=first.right * sp.Rational(51, 50))
    result = exhibited(dataclasses.replace(claim, exhibits=lambda: (planted, *rest)))
    assert result.verdict is Verdict.REFUTED


@pytest.mark.parametrize("key", ["eq43", "sec4.5-outer", "eq48", "eq53", "sec4.6.3-title", "sec4.6.5-kdot-zero"])
def test_what_is_printed_right_would_not_be_refuted(key):
    claim = CLAIMS[key]
    right = tuple(
        dataclasses.replace(exhibit, printed=(lambda e=exhibit: e.left) if exhibit.printed else None)
        for exhibit in claim.exhibits()
    )
    assert printed_in(claim.exhibits(), claim.printed).verdict is Verdict.REFUTED
    assert printed_in(right, claim.printed).verdict is Verdict.INCONCLUSIVE


def test_a_wrong_variant_that_is_right_survives():
    claim = CLAIMS["eq55"]
    (exhibit,) = claim.exhibits()
    planted = dataclasses.replace(exhibit, wrong={**exhibit.wrong, "no error": lambda: exhibit.right})
    result = exhibited(dataclasses.replace(claim, exhibits=lambda: (planted,)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [m.name for m in result.mutants if not m.killed] == ["no error"]


def test_every_claim_of_the_section_has_two_wrong_variants_at_least():
    assert all(len(claim.planted()) >= 2 for claim in OURS)
    assert sum(len(claim.planted()) for claim in OURS) >= 140


# The network the section is held against


def test_derivatives_of_the_network_are_those_of_its_formula():
    w, b, x = net.weights(1), net.biases(1), sp.Matrix(net.X)
    t = sp.Symbol("t")
    moved = sp.Matrix(w)
    moved[3, 2] += t
    hidden = net.SIGMA_W / 2 * moved * x + net.SIGMA_B * b
    second = net.SIGMA_W / 3 * net.weights(2) * hidden.applyfunc(lambda u: u + u**2 / 2) + net.SIGMA_B * net.biases(2)
    column = next(n for n, p in enumerate(net.parameters(1)) if p == ("W", 1, 3, 2))
    assert second.diff(t).subs(t, 0) == net.jacobian(2, net.X, (1,))[:, column]


def test_draws_of_the_network_differ_and_its_numbers_do_not_repeat():
    assert net.weights(1) != net.weights(1, seed=1)
    assert len(set(net.weights(2))) > 6
    assert sp.Matrix(net.X).norm() != sp.Matrix(net.Y).norm()
    assert all(net.weights(layer).rank() == min(net.weights(layer).shape) for layer in (1, 2, 3))


def test_claims_of_one_theorem_are_examined_in_one_process():
    groups = [set(group) for group in _task_groups(SECTION)]
    (recursion,) = (group for group in groups if "eq36" in group)
    assert {"eq35", "eq42", "eq63"} <= recursion
    assert sum(map(len, groups)) == len(SECTION)
