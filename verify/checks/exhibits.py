"""Check on concrete numbers: both sides of a statement, evaluated on paths of their own, and its wrong variants.

A mutant is killed where its value differs from the left side, or has another shape; one that agrees everywhere
survives, and the claim is not confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence

from derive.claim import Claim, Printed
from derive.exhibit import Exhibit, shown
from verify.record import CheckResult, MutantResult, PrintedResult
from verify.verdict import Verdict


def exhibited(claim: Claim) -> CheckResult | None:
    """Return the check of a claim on concrete numbers, or None if it has no exhibits."""
    exhibits = claim.exhibits()
    if not exhibits:
        return None
    wrong = [found for exhibit in exhibits if (found := exhibit.disagreement())]
    names = dict.fromkeys(name for exhibit in exhibits for name in (*exhibit.wrong, *exhibit.same))
    mutants = tuple(_mutant(exhibits, name) for name in names)
    survived = not mutants or not all(m.killed or m.equivalent for m in mutants)
    open_verdict = Verdict.INCONCLUSIVE if survived else Verdict.CONFIRMED
    first = exhibits[0]
    return CheckResult(
        name="on concrete numbers",
        kind="exhibit",
        verdict=Verdict.REFUTED if wrong else open_verdict,
        estimate=None,
        interval=None,
        allowed=0.0,
        resolution=0.0,
        alpha=0.0,
        samples=0,
        unit="exact"
        if all(e.digits is None for e in exhibits)
        else f"to {min(e.digits or 40 for e in exhibits)} digits",
        note=wrong[0] if wrong else f"both sides agree, as at {first.setting}: {shown(first.left)}",
        mutants=mutants,
    )


def _mutant(exhibits: Sequence[Exhibit], name: str) -> MutantResult:
    if any(name in exhibit.same for exhibit in exhibits):
        return MutantResult(name, False, equivalent=True, reason="it says the same, which was declared beforehand")
    reason = next((found for exhibit in exhibits if (found := exhibit.told_apart(name))), None)
    return MutantResult(name, reason is not None, reason=reason or "it agrees with the statement at all these numbers")


def printed_in(exhibits: Sequence[Exhibit], as_printed: Printed) -> PrintedResult:
    """Return what becomes of a statement as the lecture prints it, by the exhibits that evaluate it."""
    found = next((where for exhibit in exhibits if (where := exhibit.as_printed())), None)
    verdict = Verdict.INCONCLUSIVE if found is None else Verdict.REFUTED
    return PrintedResult(
        verdict, as_printed.latex, found or "no exhibit tells it apart", as_printed.correction, as_printed.why
    )
