"""The records a run consists of, and their JSON: schema 1 of ``results.json``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from derive.typeset import plain
from verify.verdict import Verdict, combine

SCHEMA = 1
UNCHECKED = "unchecked"
"""What stands in place of a verdict where nothing can check a statement."""


@dataclass(frozen=True, slots=True)
class MutantResult:
    """What became of a planted error.

    Attributes:
        name: what was wrong.
        killed: whether the check refuted it.
        distance: how far it is from the statement in the check's unit, if that is a number.
        equivalent: whether it is the statement itself in this setting, decided before any sampling.
        reason: how it was told apart, in words.
    """

    name: str
    killed: bool
    distance: float | None = None
    equivalent: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One comparison of a check."""

    label: str
    target: float | None
    estimate: float
    interval: tuple[float, float]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a plot; style is measured, predicted or guide."""

    label: str
    y: tuple[float, ...]
    style: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A log-log plot."""

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Digits:
    """How precise a function is in float64.

    Attributes:
        route: how it is evaluated.
        pairs: at how many pairs of inputs it was measured; 0 where the error is a bound instead.
        absolute: largest error relative to ``sqrt(k(a, a) k(b, b))``.
        ulps: largest error in units in the last place where the value does not cancel; None if not measured.
    """

    route: str
    pairs: int
    absolute: float
    ulps: float | None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of one claim found; see the schema for the meaning of the fields."""

    name: str
    kind: str
    verdict: Verdict
    estimate: float | None
    interval: tuple[float, float] | None
    allowed: float
    resolution: float
    alpha: float
    samples: int
    unit: str
    note: str
    mutants: tuple[MutantResult, ...]
    entries: tuple[Entry, ...] = ()
    series: tuple[Series, ...] = ()
    digits: Digits | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record with infinities as null, since JSON has none."""
        record: dict[str, Any] = _plain(
            {
                "name": self.name,
                "kind": self.kind,
                "verdict": str(self.verdict),
                "estimate": self.estimate,
                "interval": self.interval,
                "allowed": self.allowed,
                "resolution": self.resolution,
                "alpha": self.alpha,
                "samples": self.samples,
                "unit": self.unit,
                "note": self.note,
                "mutants": [
                    {
                        "name": m.name,
                        "reason": m.reason,
                        "distance": m.distance,
                        "killed": m.killed,
                        "equivalent": m.equivalent,
                    }
                    for m in self.mutants
                ],
                "entries": [
                    {
                        "label": e.label,
                        "target": e.target,
                        "estimate": e.estimate,
                        "interval": e.interval,
                        "verdict": str(e.verdict),
                    }
                    for e in self.entries
                ],
                "digits": self.digits and asdict(self.digits),
                "series": [
                    {
                        "title": s.title,
                        "x_label": s.x_label,
                        "y_label": s.y_label,
                        "x": s.x,
                        "curves": [
                            {"label": c.label, "y": c.y, "low": c.low, "high": c.high, "style": c.style}
                            for c in s.curves
                        ],
                    }
                    for s in self.series
                ],
            }
        )
        return record


@dataclass(frozen=True, slots=True)
class PrintedResult:
    """What became of a statement as the lecture prints it."""

    verdict: Verdict
    latex: str
    counterexample: str
    correction: str
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "verdict": str(self.verdict),
            "statement": {"latex": self.latex, "text": plain(self.latex)},
            "counterexample": self.counterexample,
            "correction": self.correction,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a run found about a claim.

    Attributes:
        resting: what it rests on, directly or not, and is not confirmed.
        assuming: assumptions of the lecture that it rests on, directly or not.
        not_derived: why there is nothing to derive, if there is not.
        unchecked: why nothing can check it, if nothing can.
        unsampled: why no networks are sampled, if none are and it says so.
    """

    id: str
    title: str
    section: str | None
    equation: str | None
    kind: str
    statement: dict[str, str]
    status_as_printed: str | None
    rests_on: tuple[str, ...]
    assumptions: tuple[str, ...]
    limits: tuple[str, ...]
    derivation: dict[str, Any] | None
    checks: tuple[CheckResult, ...]
    printed: PrintedResult | None
    source: str | None = None
    not_derived: str | None = None
    unchecked: str | None = None
    unsampled: str | None = None
    resting: tuple[str, ...] = field(default=())
    assuming: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict over all checks; a wrong statement that was not refuted as printed leaves it open.

        None for a statement that nothing can check; ``unchecked`` says why.
        """
        if self.unchecked:
            return None
        verdicts = [check.verdict for check in self.checks]
        if self.printed is not None and self.printed.verdict is not Verdict.REFUTED:
            verdicts.append(Verdict.INCONCLUSIVE)
        return combine(verdicts)

    def to_json(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "id": self.id,
            "title": self.title,
            "section": self.section,
            "equation": self.equation,
            "kind": self.kind,
            "statement": self.statement,
            "status_as_printed": self.status_as_printed,
            "verdict": UNCHECKED if self.verdict is None else str(self.verdict),
            "unchecked": self.unchecked,
            "unsampled": self.unsampled,
            "rests_on": list(self.rests_on),
            "resting": list(self.resting),
            "assuming": list(self.assuming),
            "assumptions": list(self.assumptions),
            "limits": list(self.limits),
            "derivation": self.derivation,
            "source": self.source,
            "not_derived": self.not_derived,
            "checks": [check.to_json() for check in self.checks],
            "printed": None if self.printed is None else self.printed.to_json(),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
