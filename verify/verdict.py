"""The three answers a check can give, and how the answers of several checks become one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says about a statement; unknown is an answer of its own and never counts as passed."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict on a statement that holds only if every part holds.

    One refuted part refutes it. Otherwise one inconclusive part, or no part at all, leaves it inconclusive.

    Raises:
        ValueError: if an item is not a verdict.
    """
    found = {Verdict(verdict) for verdict in verdicts}
    if Verdict.REFUTED in found:
        return Verdict.REFUTED
    if found == {Verdict.CONFIRMED}:
        return Verdict.CONFIRMED
    return Verdict.INCONCLUSIVE
