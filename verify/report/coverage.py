"""What a run covers: the statements of the lecture section by section, then claims beyond it, and counts of both."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from verify.report.words import VERDICTS

Claim = Mapping[str, Any]

_ADDED: Mapping[str, Any] = {"source": None, "not_derived": None, "unchecked": None, "unsampled": None, "assuming": []}
"""Fields that the first records of the schema do not have."""
THROUGHOUT = "throughout"
"""The chapter of what the lecture uses everywhere."""
_UNNAMED = "Other claims"


def claims_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The claims of a run record, each with all fields."""
    return [
        {**_ADDED, **claim, "printed": claim["printed"] and {"why": "", **claim["printed"]}}
        for claim in results["claims"]
    ]


def fates(claims: Iterable[Claim]) -> Counter[str]:
    """How many planted errors were killed, survived or turned out to say the same as the claim.

    An error counts once for its claim, and as a survivor if any of the claim's checks did not tell it apart.
    """
    found: Counter[str] = Counter()
    for claim in claims:
        by_name: dict[str, set[str]] = {}
        for check in claim["checks"]:
            for mutant in check["mutants"]:
                fate = "equivalent" if mutant["equivalent"] else "killed" if mutant["killed"] else "survived"
                by_name.setdefault(mutant["name"], set()).add(fate)
        found.update(
            next(fate for fate in ("survived", "killed", "equivalent") if fate in of) for of in by_name.values()
        )
    return found


def groups(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The claims of a run in groups: one for each section of the lecture, in its order, then one for each topic.

    Every statement of the lecture is in its section, with ``claim`` None where the run did not look at it. A section
    of which the run has nothing is there too.
    """
    claims = {claim["id"]: claim for claim in claims_of(results)}
    found: list[dict[str, Any]] = []
    for section in results.get("lecture", ()):
        entries = [{**statement, "claim": claims.get(statement["id"])} for statement in section["statements"]]
        number = section["section"]
        chapter = number.partition(".")[0] or THROUGHOUT
        found.append(_group(f"section-{number or 'all'}", number, section["title"], chapter, entries))
    placed = {entry["id"] for group in found for entry in group["entries"]}
    topics: dict[str, list[dict[str, Any]]] = {}
    for name, claim in claims.items():
        if name not in placed:
            topic, dot, _ = name.partition(".")
            topics.setdefault(f"{topic}.*" if dot else _UNNAMED, []).append({**claim, "claim": claim})
    for place, (topic, entries) in enumerate(topics.items()):
        found.append(_group(f"topic-{place}", topic, "", None, entries))
    return found


def _group(
    anchor: str, number: str, title: str, chapter: str | None, entries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    claims = [entry["claim"] for entry in entries if entry["claim"]]
    verdicts = Counter(claim["verdict"] for claim in claims)
    return {
        "anchor": anchor,
        "name": " ".join(filter(None, (number, title))),
        "chapter": chapter,
        "entries": list(entries),
        "claims": claims,
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
        "absent": len(entries) - len(claims),
        "settled": bool(claims) and all(claim["verdict"] in ("confirmed", "unchecked") for claim in claims),
        "fates": fates(claims),
    }


def _checked(*kinds: str) -> Callable[[Claim], bool]:
    return lambda claim: any(check["kind"] in kinds for check in claim["checks"])


def conditional(claim: Claim) -> bool:
    """Whether a claim is confirmed under assumptions only: its own, or those that the lecture makes before it."""
    return bool(claim["verdict"] == "confirmed" and (claim["assumptions"] or claim["assuming"]))


_PRINTED_WRONG, _REFUTED_AS_PRINTED = "printed wrong", "refuted as printed"
_SAMPLED = _checked("monte_carlo", "convergence")
_COUNTED: tuple[tuple[str, Callable[[Claim], bool]], ...] = (
    ("in this run", lambda claim: True),
    ("derived by rules", lambda claim: bool(claim["derivation"])),
    ("nothing to derive", lambda claim: bool(claim["not_derived"])),
    ("cited", lambda claim: bool(claim["source"])),
    ("precision-checked", _checked("precision")),
    ("on concrete numbers", _checked("exhibit")),
    ("sampled", _SAMPLED),
    ("nothing to sample", lambda claim: bool(claim["unsampled"]) and not _SAMPLED(claim)),
    ("confirmed", lambda claim: claim["verdict"] == "confirmed"),
    ("confirmed, under assumptions", conditional),
    ("refuted", lambda claim: claim["verdict"] == "refuted"),
    ("inconclusive", lambda claim: claim["verdict"] == "inconclusive"),
    ("unchecked", lambda claim: claim["verdict"] == "unchecked"),
    (_PRINTED_WRONG, lambda claim: claim["status_as_printed"] in ("typo", "wrong")),
    (_REFUTED_AS_PRINTED, lambda claim: bool(claim["printed"]) and claim["printed"]["verdict"] == "refuted"),
)
_FATES = (("mutants killed", "killed"), ("mutants equivalent", "equivalent"), ("mutants that survived", "survived"))
_BAD = ("refuted", "inconclusive", "mutants that survived")


def coverage(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Counts of what a run covers of the lecture, chapter by chapter, and beyond it; None without its contents.

    Returns:
        ``total`` and ``covered`` statements; ``columns``, the first for the whole lecture; ``rows`` of counts; the
        statements that cannot be checked, and those that are not sampled, with reasons; those that are not in the run.
    """
    parts = groups(results)
    lecture = [group for group in parts if group["chapter"]]
    if not lecture:
        return None
    chapters = sorted({group["chapter"] for group in lecture}, key=lambda chapter: (chapter == THROUGHOUT, chapter))
    columns = [("the lecture", lecture)]
    columns += [
        (chapter if chapter == THROUGHOUT else f"§ {chapter}", [g for g in lecture if g["chapter"] == chapter])
        for chapter in chapters
    ]
    columns.append(("beyond", [group for group in parts if not group["chapter"]]))
    within = [[claim for group in of for claim in group["claims"]] for _, of in columns]
    rows: list[dict[str, Any]] = [
        {"label": "statements", "values": [sum(len(g["entries"]) for g in of) for _, of in columns]}
    ]
    rows += [{"label": label, "values": [sum(map(counted, some)) for some in within]} for label, counted in _COUNTED]
    rows += [{"label": label, "values": [fates(some)[fate] for some in within]} for label, fate in _FATES]
    entries = [entry for group in lecture for entry in group["entries"]]
    return {
        "total": len(entries),
        "covered": len(within[0]),
        "columns": [name for name, _ in columns],
        "rows": [{**row, "bad": _bad(row, rows)} for row in rows],
        "unchecked": [claim for claim in claims_of(results) if claim["verdict"] == "unchecked"],
        "unsampled": _by_reason(within[0]),
        "absent": [entry for entry in entries if not entry["claim"]],
    }


def _by_reason(claims: Iterable[Claim]) -> list[tuple[str, list[Claim]]]:
    """The claims that are not sampled, by the reason they give; the most frequent first."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        if not _SAMPLED(claim):
            found.setdefault(claim["unsampled"] or "", []).append(claim)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def _bad(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the counts of a row are not as they should be."""
    if row["label"] == _REFUTED_AS_PRINTED:
        return any(
            few < many
            for other in rows
            if other["label"] == _PRINTED_WRONG
            for few, many in zip(row["values"], other["values"], strict=True)
        )
    return row["label"] in _BAD and any(row["values"])
