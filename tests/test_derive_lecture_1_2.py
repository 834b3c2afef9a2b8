"""Sections 1 and 2: planted errors in theorems, statements and concrete numbers are refuted by the checks."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.examiner import examine
from derive.lecture import CLAIMS, gaussian_process_exhibits, kernel_method_exhibits, kernel_methods
from derive.lecture.gaussian_processes import covariance_of_data
from derive.operators import JACOBIAN_T, word
from derive.rules.spectral import gram
from derive.theorem import StepRefuted, reflexivity, rule
from verify.checks.exhibits import exhibited
from verify.checks.symbolic import printed, symbolic
from verify.verdict import Verdict

IDS = [key for key, claim in CLAIMS.items() if (claim.section or "").startswith(("1", "2", "all"))]
PLANTED = {
    "eq7": lambda: kernel_methods._gradient_statement(factor=2),
    "eq8": lambda: kernel_methods._prediction_statement(2 * kernel_methods.PENALTY),
    "eq8-push-through": lambda: 2 * word(JACOBIAN_T),
    "sec1.2-joint": lambda: covariance_of_data(noisy=False).rhs,
    "sec1.3-joint": lambda: 2 * CLAIMS["sec1.3-joint"].statement(),
}


@pytest.mark.parametrize("key", IDS)
def test_both_sides_agree_on_concrete_numbers_and_mutants_do_not(key):
    result = exhibited(CLAIMS[key])
    assert result is None or (result.verdict, all(m.killed for m in result.mutants)) == (Verdict.CONFIRMED, True)


@pytest.mark.parametrize("key", [key for key in IDS if CLAIMS[key].printed])
def test_what_is_printed_wrong_is_refuted_with_numbers(key):
    found = printed(CLAIMS[key], CLAIMS[key].printed)
    assert found.verdict is Verdict.REFUTED
    assert "on the left, but" in found.counterexample
    assert found.why


@pytest.mark.parametrize("key", PLANTED)
def test_a_wrong_statement_is_refuted_by_its_theorem(key):
    check, _ = symbolic(dataclasses.replace(CLAIMS[key], statement=PLANTED[key], mutants=tuple))
    assert check.verdict is Verdict.REFUTED


def test_a_wrong_push_through_is_refuted_by_explicit_matrices():
    @rule("planted: the inverse forgets the noise")
    def planted(operator, model):
        return word(JACOBIAN_T) @ word(kernel_methods.JACOBIAN) @ word(JACOBIAN_T)

    left = kernel_methods._regularized() @ word(JACOBIAN_T)
    assert examine(reflexivity(left, kernel_methods.RIDGE).by(gram)).total
    with pytest.raises(StepRefuted, match="planted is wrong"):
        examine(reflexivity(left, kernel_methods.RIDGE).by(planted))


@pytest.mark.parametrize(
    ("module", "name", "key"),
    [
        (gaussian_process_exhibits, "_gram", "sec1.2-noise-model"),
        (gaussian_process_exhibits, "_gram", "sec1.3-joint"),
        (kernel_method_exhibits, "_kernel", "sec2.1-dodge"),
    ],
)
def test_a_wrong_kernel_is_refuted_on_concrete_numbers(module, name, key, monkeypatch):
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *points: sp.Rational(51, 50) * right(*points))
    assert exhibited(CLAIMS[key]).verdict is Verdict.REFUTED
