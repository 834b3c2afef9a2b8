"""Symbolic check: the theorem was re-examined step by step, and its right side is the statement.

A mutant is killed by a concrete instance on which it differs from the statement; a mutant without one survives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from derive.claim import Claim, Observable, Printed
from derive.compare import counterexample
from derive.examiner import Examination, examine, examine_step
from derive.operators import IllTyped
from derive.terms import Term
from derive.theorem import StepRefuted, Theorem
from verify.checks.exhibits import printed_in
from verify.record import CheckResult, MutantResult, PrintedResult
from verify.verdict import Verdict

UNIT = "exact"


def symbolic(claim: Claim) -> tuple[CheckResult, Examination | None]:
    """Return the symbolic check of a claim, with the record of the examination if it passed."""
    theorem = claim.proven()
    try:
        examination = examine(theorem)
    except StepRefuted as error:
        return _result(Verdict.REFUTED, 0, f"a step is wrong: {error}", ()), None
    derived = claim.derived(theorem)
    statement = claim.statement()
    if derived.key != statement.key:
        where = counterexample(derived, statement, theorem.model)
        if where is not None:
            return _result(Verdict.REFUTED, 0, f"the derivation gives another right side: {where}", ()), examination
        note = "the derivation's right side and the statement have different normal forms but agree on all instances"
        return _result(Verdict.INCONCLUSIVE, 0, note, ()), examination
    mutants = tuple(_mutant(claim, theorem, m.name, m.statement) for m in claim.mutants())
    survived = any(not m.killed for m in mutants)
    count = examination.total
    steps = f"{len(theorem.steps)} step" + ("s" if len(theorem.steps) != 1 else "")
    lemmas = f" and those of its lemmas at {examination.lemmas}" if examination.lemmas else ""
    note = f"{steps} re-checked at {count} exact instances{lemmas}; the right side is the statement"
    return _result(Verdict.INCONCLUSIVE if survived else Verdict.CONFIRMED, count, note, mutants), examination


def right_side(claim: Claim) -> str:
    """Return the normal form of the term that the derivation of a claim ends in; equal texts are equal terms."""
    return claim.derived(claim.proven()).key


def comparable(key: str, claims: Mapping[str, Claim]) -> tuple[str, ...]:
    """Return the ids of the claims of a registry whose derivations could end in the same term as that of one.

    Duals end in terms of their own kinds, and to derive them all takes seconds.
    """
    is_dual = claims[key].observable is Observable.DUAL
    return tuple(
        other for other, claim in claims.items() if claim.theorem and (claim.observable is Observable.DUAL) == is_dual
    )


def with_equals(check: CheckResult, key: str, right_sides: Mapping[str, str]) -> CheckResult:
    """Return the symbolic check of a claim, its note with the other claims that the machine finds to be equal.

    Args:
        check: of the claim.
        key: id of the claim.
        right_sides: of it and of others, by id, see :func:`right_side`.
    """
    same = [other for other, side in right_sides.items() if other != key and side == right_sides[key]]
    if check.verdict is Verdict.REFUTED or not same:
        return check
    return replace(check, note=f"{check.note}; it is found to be the right side of {' and '.join(same)} too")


def _mutant(claim: Claim, theorem: Theorem, name: str, wrong: Term) -> MutantResult:
    if claim.observable is Observable.DUAL:  # its statement is the theorem's own: the examiner must refute the mutant
        step = theorem.steps[-1]
        planted = replace(step, after=wrong, used=replace(step.used, after=wrong))
        try:
            examine_step(planted, theorem)
        except StepRefuted as error:
            return MutantResult(name, True, reason=str(error))
        return MutantResult(name, False, reason="the examiner accepts it")
    where = counterexample(claim.statement(), wrong, theorem.model)
    return MutantResult(name, where is not None, reason=where or "it agrees with the statement on all instances")


def _result(verdict: Verdict, instances: int, note: str, mutants: tuple[MutantResult, ...]) -> CheckResult:
    return CheckResult(
        name="derivation",
        kind="symbolic",
        verdict=verdict,
        estimate=None,
        interval=None,
        allowed=0.0,
        resolution=0.0,
        alpha=0.0,
        samples=0,
        unit=UNIT,
        note=note,
        mutants=mutants,
    )


def printed(claim: Claim, as_printed: Printed) -> PrintedResult:
    """Return what becomes of a statement as the lecture prints it: refuted by an instance, or as ill-typed."""
    if as_printed.evaluate is None:
        return printed_in(claim.exhibits(), as_printed)
    theorem = claim.proven()
    try:
        wrong = as_printed.evaluate()
        found = counterexample(claim.statement(), wrong, theorem.model)
    except IllTyped as error:
        shown = next((where for exhibit in claim.exhibits() if (where := exhibit.as_printed())), None)
        found = "; ".join(filter(None, (f"ill-typed: {error}", shown)))
    verdict = Verdict.INCONCLUSIVE if found is None else Verdict.REFUTED
    return PrintedResult(
        verdict, as_printed.latex, found or "no instance tells it apart", as_printed.correction, as_printed.why
    )
