"""The errata of the lecture: what is printed wrong, refuted on the spot, beside what is right, confirmed likewise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, as_completed
from typing import Any

from derive.claim import Claim, Status
from derive.lecture import CLAIMS
from derive.lecture.contents import STATEMENTS
from derive.record import claim_record
from verify.checks.exhibits import exhibited
from verify.checks.symbolic import printed, symbolic
from verify.verdict import Verdict

_WORST_FIRST = (Status.WRONG, Status.TYPO)


def misprinted(claims: Mapping[str, Claim] = CLAIMS) -> tuple[str, ...]:
    """Return the ids of claims that the lecture prints wrong: wrong ones, then typos, each in the lecture's order."""
    order = {key: place for place, key in enumerate(STATEMENTS)}
    found = [key for key in claims if claims[key].status in _WORST_FIRST or claims[key].printed]
    return tuple(sorted(found, key=lambda key: (_badness(claims[key]), order.get(key, len(order)))))


def uncovered(claims: Mapping[str, Claim] = CLAIMS) -> tuple[str, ...]:
    """Return the ids of statements of the lecture that no claim covers: nobody knows whether they are printed right."""
    known = set(claims)
    return tuple(key for key in STATEMENTS if key not in known)


def _badness(claim: Claim) -> int:
    return _WORST_FIRST.index(claim.status) if claim.status in _WORST_FIRST else len(_WORST_FIRST)


def errata(
    ids: tuple[str, ...], executor: Executor, progress: Callable[[str, float], None]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the entries of the sheet in the order of the ids, and for each that cannot go on it the reason.

    Nothing is sampled: the printed form is evaluated and must be refuted, and the derivation of the corrected form, or
    its concrete numbers, must confirm it.

    Args:
        ids: as :func:`misprinted` gives them.
        executor: where statements are evaluated.
        progress: told the id of each entry that is done, and the fraction of all that is done.
    """
    chapters: dict[str, list[str]] = {}  # one task each, since derivations of a chapter share lemmas
    for key in ids:
        chapters.setdefault((CLAIMS[key].section or "").partition(".")[0], []).append(key)
    waiting = {executor.submit(_entries, chapter): chapter for chapter in chapters.values()}
    found: dict[str, dict[str, Any] | str] = {}
    for done in as_completed(waiting):
        for key, entry in zip(waiting[done], done.result(), strict=True):
            found[key] = entry
            progress(key, len(found) / len(ids))
    failed = {key: reason for key in ids if isinstance(reason := found[key], str)}
    return [entry for key in ids if isinstance(entry := found[key], dict)], failed


def _entries(ids: list[str]) -> list[dict[str, Any] | str]:
    return [entry_of(CLAIMS[key]) for key in ids]


def entry_of(claim: Claim) -> dict[str, Any] | str:
    """Return the entry of a claim as a JSON-able record, or why there is none."""
    if claim.printed is None:
        return f"its status is {claim.status}, but nothing says what is printed"
    as_printed = printed(claim, claim.printed)
    if as_printed.verdict is not Verdict.REFUTED:
        return f"as printed it is {as_printed.verdict}, not refuted: {as_printed.counterexample}"
    check, examination = symbolic(claim) if claim.theorem else (None, None)
    checks = [c for c in (check, exhibited(claim)) if c is not None]
    failed = next((c for c in checks if c.verdict is not Verdict.CONFIRMED), None)
    if failed:
        return f"as corrected it is {failed.verdict}, not confirmed: {failed.note}"
    if not checks:
        return "nothing confirms it as corrected"
    told = as_printed.to_json()
    return {
        "id": claim.id,
        "title": claim.title,
        "section": claim.section,
        "equation": claim.equation,
        "status": str(claim.status),
        "printed": told["statement"],
        "instead": claim_record(claim, examination)["statement"],
        "correction": told["correction"],
        "counterexample": told["counterexample"],
        "why": told["why"],
        "confirmed_by": [{"check": c.name, "note": c.note} for c in checks],
    }
