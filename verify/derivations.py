"""Derivations with their examination, claim by claim over an executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from typing import Any

from derive.examiner import examine
from derive.lecture import CLAIMS
from derive.record import theorem_record
from derive.theorem import StepRefuted


def examined_records(
    ids: Sequence[str], executor: Executor, progress: Callable[[str, float], None]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the records of the derivations in order, and for each that failed its examination the reason.

    Args:
        ids: ids of claims; cited ones have no derivation.
        executor: where theorems are derived and examined.
        progress: told the id of each claim that is done, and the fraction of all that is done.
    """
    proven = [key for key in ids if CLAIMS[key].theorem]
    waiting = {executor.submit(_records, group): group for group in _groups(proven)}
    found: dict[str, dict[str, Any] | str] = {}
    for done in as_completed(waiting):
        for key, record in zip(waiting[done], done.result(), strict=True):
            found[key] = record
            progress(key, len(found) / len(proven))
    refuted = {key: reason for key in proven if isinstance(reason := found[key], str)}
    return [record for key in proven if isinstance(record := found[key], dict)], refuted


def _groups(ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the claims in groups whose derivations share steps, so that one process examines what they share once.

    The claims of the lecture share their lemmas. Groups of later claims come first, so that the two long ones start at
    once.
    """
    groups: dict[str, list[str]] = {}
    for key in ids:
        topic = key.split(".")[0] if key.startswith(("dual.", "finite-width.")) else "lecture"
        groups.setdefault(topic, []).append(key)
    return [tuple(group) for group in reversed(groups.values())]


def _records(ids: Sequence[str]) -> list[dict[str, Any] | str]:
    return [_record(key) for key in ids]


def _record(key: str) -> dict[str, Any] | str:
    claim = CLAIMS[key]
    theorem = claim.proven()
    try:
        return theorem_record(theorem, key, claim.title, examine(theorem))
    except StepRefuted as error:
        return str(error)
