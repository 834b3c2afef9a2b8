"""Statements on concrete numbers: what counts as the same, how differences read, and the claims held against them."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.claim import Printed, Stated
from derive.exhibit import Exhibit, Formula, shown
from derive.lecture import CLAIMS
from derive.typeset import text
from verify.checks.exhibits import exhibited, printed_in
from verify.verdict import Verdict

ROW = sp.Matrix([[1, 2, 3]])


def exhibit(left, right, **rest):
    return Exhibit(setting="n = 3", left=left, right=right, **rest)


@pytest.mark.parametrize(
    ("left", "right", "digits"),
    [
        (sp.Rational(1, 3), sp.Rational(2, 6), None),
        (sp.sqrt(8), 2 * sp.sqrt(2), None),
        ((1 + sp.sqrt(2)) ** 2, 3 + 2 * sp.sqrt(2), None),
        (sp.sin(sp.pi / 8) ** 2, (1 - sp.sqrt(2) / 2) / 2, None),
        (ROW, ROW.copy(), None),
        (sp.Float("0.333333", 20), sp.Rational(1, 3), 6),
        (sp.Integer(10**9), sp.Integer(10**9) + 1, 8),
    ],
)
def test_the_same_number_in_two_ways_agrees(left, right, digits):
    assert exhibit(left, right, digits=digits).disagreement() is None


@pytest.mark.parametrize(
    ("left", "right", "digits", "told"),
    [
        (sp.Rational(1, 3), sp.Rational(1, 3) + sp.Rational(1, 10**60), None, "1/3 on the left"),
        (sp.pi, sp.Rational(355, 113), None, "pi on the left, but 355/113 on the right"),
        (sp.pi, sp.pi + sp.Rational(1, 10**30), None, "on the right"),
        (sp.Rational(1, 3), sp.Float("0.3333", 20), 6, "1/3 on the left"),
        (ROW, ROW.T, None, "a 1 x 3 matrix, the right side a 3 x 1 matrix"),
        (ROW, sp.Integer(6), None, "the right side a number"),
        (sp.Matrix([[0, 0]]), sp.Matrix([[0, sp.Rational(1, 10**9)]]), None, "on the left"),
    ],
)
def test_what_differs_is_told_with_its_numbers(left, right, digits, told):
    found = exhibit(left, right, digits=digits).disagreement()
    assert found.startswith("n = 3: ")
    assert told in found


def test_shapes_that_do_not_fit_have_no_meaning():
    found = exhibit(ROW, ROW, wrong={"squared": lambda: ROW * ROW}).told_apart("squared")
    assert "it has no meaning, the shapes do not fit" in found


def test_a_symbol_cannot_be_compared():
    with pytest.raises(TypeError, match="expected numbers to compare, got x and 0"):
        exhibit(sp.Symbol("x"), sp.S.Zero).disagreement()


def test_long_values_are_rounded_and_cut():
    assert shown(sp.Rational(1, 3)) == "1/3"
    assert shown(sp.Matrix(2, 2, [sp.Rational(10**12 + n, 7**11) for n in range(4)])).startswith("[[505.")
    assert shown(sp.Matrix(1, 99, range(99))).endswith("…")


def claim(*exhibits, printed=None):
    return dataclasses.replace(CLAIMS["eq5"], exhibits=lambda: exhibits, printed=printed)


RIGHT = exhibit(sp.S.One, sp.S.One, wrong={"half of it": lambda: sp.S.Half})


def test_a_claim_is_confirmed_if_both_sides_agree_and_its_mutants_do_not():
    result = exhibited(claim(RIGHT, exhibit(sp.Integer(2), sp.Integer(2))))
    assert result.verdict is Verdict.CONFIRMED
    assert [m.killed for m in result.mutants] == [True]
    assert result.unit == "exact"
    assert "to 9 digits" in exhibited(claim(RIGHT, dataclasses.replace(RIGHT, digits=9))).unit


@pytest.mark.parametrize(
    ("exhibits", "verdict", "told"),
    [
        ((RIGHT, exhibit(sp.S.One, sp.Integer(2))), Verdict.REFUTED, "1 on the left, but 2 on the right"),
        ((exhibit(sp.S.One, sp.S.One),), Verdict.INCONCLUSIVE, "both sides agree"),
        (
            (exhibit(sp.S.One, sp.S.One, wrong={"the same": lambda: sp.S.One}),),
            Verdict.INCONCLUSIVE,
            "both sides agree",
        ),
    ],
    ids=["a wrong side", "no mutant", "a mutant that survives"],
)
def test_a_check_on_numbers_that_cannot_fail_or_fails_confirms_nothing(exhibits, verdict, told):
    result = exhibited(claim(*exhibits))
    assert result.verdict is verdict
    assert told in result.note


def test_no_exhibits_are_no_check():
    assert exhibited(claim()) is None


def test_a_statement_printed_wrong_is_refuted_where_its_value_differs():
    as_printed = Printed(latex="2", correction="1 instead", why="two is too much")
    wrong = dataclasses.replace(RIGHT, printed=lambda: sp.Integer(2))
    found = printed_in((RIGHT, wrong), as_printed)
    assert (found.verdict, found.counterexample) == (
        Verdict.REFUTED,
        "n = 3: 1 on the left, but 2 on the right",
    )
    assert found.why == "two is too much"
    harmless = dataclasses.replace(RIGHT, printed=lambda: sp.S.One)
    assert printed_in((harmless,), as_printed).verdict is Verdict.INCONCLUSIVE


def test_a_claim_without_theorem_says_why():
    stated = CLAIMS["eq5"]
    assert stated.stated.why
    assert stated.planted() == ("a column for each input",)
    with pytest.raises(TypeError, match="the claim eq5 is stated, it has no theorem"):
        stated.proven()
    with pytest.raises(ValueError, match="expected one of a theorem, a source and a reason to have neither"):
        dataclasses.replace(stated, stated=None)
    with pytest.raises(ValueError, match="expected one of"):
        dataclasses.replace(CLAIMS["eq17"], stated=Stated("a definition"))


def test_formulas_read_as_text():
    assert text(Formula(r"\Phi \in \mathbb{R}^{n \times m},\quad n \ne m")) == "Φ ∈ R^{n × m}, n ≠ m"
