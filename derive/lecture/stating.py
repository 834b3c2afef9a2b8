"""Claims in which there is nothing to derive: definitions, assumptions and remarks, held against concrete numbers."""

from __future__ import annotations

from collections.abc import Callable

from derive.claim import Claim, Kind, Printed, Stated, Status
from derive.exhibit import Exhibit, Formula


def stated(
    key: str,
    title: str,
    section: str,
    formula: str,
    exhibits: Callable[[], tuple[Exhibit, ...]],
    kind: Kind,
    why: Stated,
    status: Status = Status.HOLDS,
    printed: Printed | None = None,
) -> Claim:
    """Return a statement without a theorem, of the equation that its id names, if it names one."""
    return Claim(
        id=key,
        title=title,
        section=section,
        equation=key.removeprefix("eq") if key.startswith("eq") else "",
        kind=kind,
        status=status,
        theorem=None,
        stated=why,
        statement=lambda: Formula(formula),
        mutants=tuple,
        exhibits=exhibits,
        printed=printed,
    )
