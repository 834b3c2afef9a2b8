"""Section 3: planted errors in theorems, statements and concrete numbers are refuted by the checks."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive import mutations
from derive.lecture import CLAIMS, first_layer, first_layer_exhibits
from derive.lecture.networks import X, Y
from verify.checks.exhibits import exhibited
from verify.checks.symbolic import printed, symbolic
from verify.verdict import Verdict

IDS = [key for key, claim in CLAIMS.items() if (claim.section or "").startswith("3")]
PLANTED = {
    "eq14": lambda: mutations.scaled(CLAIMS["eq14"].statement()),
    "eq15": lambda: first_layer._variance_statement(Y),
    "eq16": lambda: first_layer._variance_statement(X),
    "eq19": lambda: CLAIMS["eq10-iid-k"].statement(),
    "eq11-reparam": lambda: mutations.without_deltas(CLAIMS["eq11-reparam"].statement(), mutations.is_bias),
}


@pytest.mark.parametrize("key", IDS)
def test_both_sides_agree_on_concrete_numbers_and_mutants_do_not(key):
    result = exhibited(CLAIMS[key])
    assert result is None or (result.verdict, all(m.killed for m in result.mutants)) == (Verdict.CONFIRMED, True)


@pytest.mark.parametrize("key", [key for key in IDS if CLAIMS[key].printed])
def test_what_is_printed_wrong_is_refuted_with_numbers(key):
    found = printed(CLAIMS[key], CLAIMS[key].printed)
    assert found.verdict is Verdict.REFUTED
    assert any(digit in found.counterexample for digit in "0123456789")


@pytest.mark.parametrize("key", PLANTED)
def test_a_wrong_statement_is_refuted_by_its_theorem(key):
    check, _ = symbolic(dataclasses.replace(CLAIMS[key], statement=PLANTED[key], mutants=tuple))
    assert check.verdict is Verdict.REFUTED


def test_a_wrong_kernel_of_the_first_layer_is_refuted_on_concrete_numbers(monkeypatch):
    right = first_layer_exhibits._kernel
    monkeypatch.setattr(first_layer_exhibits, "_kernel", lambda *points: sp.Rational(51, 50) * right(*points))
    for key in ("eq14", "eq15", "eq19"):
        assert exhibited(CLAIMS[key]).verdict is Verdict.REFUTED
