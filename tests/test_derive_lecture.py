"""The lecture as a whole: nothing is left out, every claim can fail, and planted errors in all sections are refuted."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.claim import Kind, Status
from derive.lecture import CLAIMS, first_layer_exhibits
from derive.lecture.contents import STATEMENTS
from verify.checks.exhibits import exhibited
from verify.checks.symbolic import printed, symbolic
from verify.verdict import Verdict

LECTURE = [CLAIMS[key] for key in STATEMENTS]
SECTIONS = sorted({claim.section for claim in LECTURE if claim.theorem})
EXHIBITED = [claim for claim in LECTURE if claim.exhibits is not tuple]  # what they are takes its time
WRONG = [claim for claim in LECTURE if claim.status in (Status.TYPO, Status.WRONG)]


def test_every_statement_of_the_lecture_is_a_claim():
    assert len(STATEMENTS) == len(set(STATEMENTS)) == 142
    assert all(claim.section is not None and claim.status is not None for claim in LECTURE)


def test_every_statement_can_fail_or_says_why_nothing_can_check_it():
    for claim in LECTURE:
        checked = claim.theorem or claim.observable or claim.exhibits()
        unchecked = claim.stated.unchecked if claim.stated else ""
        assert bool(checked) != bool(unchecked), claim.id
        assert len(claim.planted()) >= (0 if unchecked else 1), claim.id
    assert sum(len(claim.planted()) for claim in LECTURE) >= 400


def test_what_is_assumed_without_saying_so_is_spelled_out():
    for claim in LECTURE:
        if claim.status is Status.ASSUMPTION:
            listed = claim.theorem and (claim.proven().assumptions or claim.proven().hypotheses)
            stated = (claim.stated and claim.stated.assumptions) or (claim.cited and claim.cited.assumptions)
            assert listed or stated or claim.unstated, claim.id


@pytest.mark.parametrize("claim", WRONG, ids=lambda claim: claim.id)
def test_what_is_printed_wrong_is_refuted_with_a_correction_and_a_reason(claim):
    found = printed(claim, claim.printed)
    assert found.verdict is Verdict.REFUTED
    assert found.correction
    assert found.why
    assert found.counterexample.startswith("ill-typed: ") or any(map(str.isdigit, found.counterexample))


@pytest.mark.parametrize("claim", EXHIBITED, ids=lambda claim: claim.id)
def test_both_sides_agree_on_concrete_numbers_and_wrong_variants_do_not(claim):
    result = exhibited(claim)
    assert result.verdict is Verdict.CONFIRMED, result


@pytest.mark.parametrize("section", SECTIONS)
def test_a_wrong_statement_in_any_section_is_refuted_by_its_derivation(section):
    claim = next(c for c in LECTURE if c.section == section and c.theorem and c.mutants())
    wrong = claim.mutants()[0].statement
    check, _ = symbolic(dataclasses.replace(claim, statement=lambda: wrong, mutants=tuple))
    assert check.verdict is Verdict.REFUTED


def test_a_wrong_kernel_of_the_first_layer_is_refuted_on_concrete_numbers(monkeypatch):
    right = first_layer_exhibits._kernel
    monkeypatch.setattr(first_layer_exhibits, "_kernel", lambda *points: sp.Rational(51, 50) * right(*points))
    assert exhibited(CLAIMS["eq15"]).verdict is Verdict.REFUTED


def test_assumptions_of_the_lecture_are_claims_of_their_own_kind():
    assert {claim.id for claim in LECTURE if claim.kind is Kind.ASSUMPTION} >= {"eq1", "sec1.2-noise-model"}
