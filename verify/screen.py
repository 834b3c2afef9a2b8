"""Claims, verdicts and kernels as they read on a terminal: rich renderables, printed by the command line alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from derive.claim import Claim, Observable
from derive.exhibit import shown
from derive.typeset import text
from verify.parts import indented, part
from verify.report.coverage import claims_of, conditional, coverage, fates, groups
from verify.report.words import interval, listed, number, plural

WIDE = 96
"""Columns from which the list of claims has a column for what each rests on."""
COLOURS = {"confirmed": "green", "refuted": "bold red", "inconclusive": "yellow", "unchecked": "dim"}
BEYOND = "beyond the lecture"


_EACH = 24
"""Claims up to which each has its line in the table of a run; more are shown by section, chosen."""
_NAME = 32
"""Columns for the name of a section; the rest of the table then fits into 60, chosen."""
_NAMED = 4
"""Ids that a line of a summary names before it only counts; chosen."""
_ASSUMING, _OPEN_BASIS = "△", "⚠"
MARKS = f"{_ASSUMING} under assumptions, {_OPEN_BASIS} rests on what is not confirmed; widelimit show tells on what"


def claim_table(claims: Iterable[Claim], columns: int, found: Mapping[str, Mapping[str, Any]] | None = None) -> Table:
    """Return the list of claims: id, verdict, equation, status as printed, what each rests on.

    Args:
        claims: what to list.
        columns: of the terminal.
        found: what the latest run found, by id; None if there is no run.
    """
    wide = columns >= WIDE
    table = _table("claim")
    if found is not None and wide:
        table.add_column("verdict", no_wrap=True)
    table.add_column("equation", max_width=None if wide else 8)
    told = "as printed" if wide else "as printed, rests on"
    table.add_column(told if wide or found is None else f"verdict, {told}", overflow="fold")
    if wide:
        table.add_column("rests on", overflow="fold")
    for claim in claims:
        verdict = [] if found is None else [_marked(found.get(claim.id))]
        status = Text(str(claim.status or BEYOND))
        parents = [Text(f"← {parent}") for parent in claim.rests_on]
        cell = Text("\n").join([*verdict, status, *parents])
        rest = [status, Text(", ".join(claim.rests_on))] if wide else [cell]
        table.add_row(Text(claim.id), *(verdict if wide else []), Text(claim.equation or "–"), *rest)
    return table


def found_in(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what a run found, by id of the claim."""
    return {claim["id"]: claim for claim in claims_of(results)}


def _marked(claim: Mapping[str, Any] | None) -> Text:
    """Return the verdict on a claim with marks for what it assumes and rests on; a dash if nobody looked at it."""
    if claim is None:
        return Text("–", "dim")
    marks = (_ASSUMING if conditional(claim) else "") + (_OPEN_BASIS if claim["resting"] else "")
    return _verdict(claim["verdict"], f" {marks}" if marks else "")


def claim_entry(claim: Claim, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a claim of the list as a JSON-able record, with what the latest run found if there is one."""
    return {
        "id": claim.id,
        "title": claim.title,
        "section": claim.section,
        "equation": claim.equation,
        "kind": str(claim.kind),
        "status_as_printed": None if claim.status is None else str(claim.status),
        "rests_on": list(claim.rests_on),
        "verdict": found["verdict"] if found else None,
        "resting": found["resting"] if found else None,
        "assuming": found["assuming"] if found else None,
    }


def claim_page(
    claim: Claim, record: Mapping[str, Any], as_printed: Mapping[str, Any] | None, last: Iterable[RenderableType]
) -> Iterator[RenderableType]:
    """Yield everything about one claim.

    Args:
        claim: the claim.
        record: the record of its theorem.
        as_printed: what becomes of the statement as printed, where that is wrong; otherwise None.
        last: its last verdict, see :func:`last_verdict`.
    """
    yield Text.assemble((claim.id, "bold"), f"  {claim.title}")
    equations = "equations" if "," in (claim.equation or "") else "equation"
    section = f", section {claim.section}" if claim.section else ""
    where = f"{equations} {claim.equation}{section}: {claim.status}" if claim.equation else f"{claim.status or BEYOND}"
    yield Text(f"{where}; {claim.kind}")
    yield from part("Statement", [record["statement"]["text"]])
    yield from part("Where", [item["text"] for item in record.get("where", ())])
    if as_printed is not None:
        yield Text("\nAs the lecture prints it", "bold")
        yield indented(Text(as_printed["statement"]["text"]))
        yield indented(_verdict(as_printed["verdict"], f": {as_printed['counterexample']}"))
        yield indented(Text(f"instead: {as_printed['correction']}"))
        if as_printed["why"]:
            yield indented(Text(f"because {as_printed['why']}"))
    yield from part("Assumptions", record["assumptions"])
    yield from part("Limits", record["limits"])
    yield from part("Rests on", [", ".join(claim.rests_on)] if claim.rests_on else [])
    if claim.cited:
        yield from part("Not derived here", [f"source: {claim.cited.source}"])
    elif claim.stated:
        yield from part("Nothing to derive", [claim.stated.why])
        yield from part("Cannot be checked", filter(None, [claim.stated.unchecked]))
    else:
        yield from _derivation(record)
    yield from part("On concrete numbers", [f"{e.setting}: {shown(e.left)}" for e in claim.exhibits()])
    sampled = [_seen(seen, claim) for seen in claim.as_observed() if seen.observable not in _NOT_OF_NETWORKS]
    yield from part("On sampled networks", sampled)
    yield from part("Not sampled", [claim.why_unsampled] if claim.why_unsampled and not sampled else [])
    yield from part("Planted errors that every check must catch", claim.planted())
    yield Text("\nLast verdict", "bold")
    for line in last:
        yield indented(line)


_NOT_OF_NETWORKS = (None, Observable.DUAL, Observable.FLOW)
"""What is measured on no network."""


def _seen(seen: Claim, claim: Claim) -> str:
    """Return in words what is measured, with what it must be where that is not the statement of the claim itself."""
    return f"{seen.observable}" if seen is claim else f"{seen.observable}: {text(seen.statement())}"


def _derivation(record: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text("\nDerivation", "bold")
    yield indented(Text(record["start"]["text"]))
    for step in record["steps"]:
        yield indented(Text.assemble((step["rule"], "cyan"), (f": {step['why']}", "dim")), 4)
        yield indented(Text(f"{step['relation']} {step['text']}"))


def last_verdict(results: Mapping[str, Any], directory: Path, key: str) -> Iterator[RenderableType]:
    """Yield the verdict on a claim in a run, check by check; one line if the run did not look at it."""
    run = results["run"]
    which = f"{directory}, tier {run['tier']}, seed {run['seed']}"
    found = found_in(results).get(key)
    if found is None:
        yield Text(f"none: the run in {which} was about other claims")
        return
    yield _verdict(found["verdict"], f" ({which})")
    if found["assuming"]:
        yield Text(f"{_ASSUMING} as far as the lecture's assumptions hold: {', '.join(found['assuming'])}")
    if found["resting"]:
        yield Text(f"{_OPEN_BASIS} rests on what is not confirmed: {', '.join(found['resting'])}")
    for check in found["checks"]:
        fate = fates([{"checks": [check]}])
        caught, planted = fate["killed"], fate["killed"] + fate["survived"]
        numbers = f", {interval(check['interval'])} {check['unit']}" if check["interval"] else ""
        samples = f", {plural(check['samples'], 'network')}" if check["samples"] else ""
        errors = f", {caught} of {plural(planted, 'planted error')} caught" if planted else ""
        yield _verdict(check["verdict"], f"  {check['name']}{numbers}{samples}{errors}")


def verdict_table(results: Mapping[str, Any]) -> Table:
    """Return the claims of a run with their verdicts; of many claims the counts, section by section."""
    return _claims_alone(results) if len(results["claims"]) <= _EACH else _claims_by_section(results)


def _claims_alone(results: Mapping[str, Any]) -> Table:
    table = _table("claim")
    table.add_column("verdict")
    table.add_column("checks", justify="right")
    table.add_column("caught", justify="right")
    for claim in claims_of(results):
        table.add_row(Text(claim["id"]), _marked(claim), str(len(claim["checks"])), _share(fates([claim])))
    return table


def _claims_by_section(results: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("section", no_wrap=True, overflow="ellipsis", max_width=_NAME)
    table.add_column("claims", justify="right")
    table.add_column("verdicts")
    table.add_column("caught", justify="right")
    for group in groups(results):
        if group["claims"]:
            told = [_verdict(verdict, before=f"{count} ") for verdict, count in group["verdicts"].items()]
            absent = [Text(f"{group['absent']} not run", "dim")] if group["absent"] else []
            verdicts = Text(", ").join([*told, *absent])
            table.add_row(Text(group["name"]), str(len(group["claims"])), verdicts, _share(group["fates"]))
    return table


def verdict_lines(results: Mapping[str, Any]) -> Iterator[Text]:
    """Yield what stands below the table: the counts, and what did not come out as expected with the reason."""
    claims = claims_of(results)
    planted = fates(claims)
    counts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in COLOURS}
    told = [f"{number(count)} {verdict}" for verdict, count in counts.items() if count]
    yield Text(f"{plural(len(claims), 'claim')}: {', '.join(told)}{_of_these(claims)}")
    equivalent = f", {number(planted['equivalent'])} equivalent" if planted["equivalent"] else ""
    caught, survived = number(planted["killed"]), number(planted["survived"])
    yield Text(f"Planted errors: {caught} caught, {survived} survived{equivalent}")
    if (cover := coverage(results)) and cover["covered"]:
        rows = {row["label"]: row["values"][0] for row in cover["rows"]}
        shown_counts = ", ".join(f"{rows[label]} {label}" for label in _DONE if rows[label])
        yield Text(f"The lecture: {cover['covered']} of {cover['total']} statements; {shown_counts}")
    wrong = [claim for claim in claims if claim["printed"]]
    if wrong:
        refuted = sum(claim["printed"]["verdict"] == "refuted" for claim in wrong)
        yield Text(f"Statements printed wrong: {refuted} of {len(wrong)} refuted as printed")
    for claim in claims:
        if claim["verdict"] == "unchecked":
            yield Text.assemble(f"{claim['id']}: ", _verdict("unchecked"), f", {claim['unchecked']}")
        for check in claim["checks"]:
            if check["verdict"] != "confirmed":
                yield Text.assemble(f"{claim['id']}: {check['name']}: ", _verdict(check["verdict"]), f", {_why(check)}")
        if claim["printed"] and claim["printed"]["verdict"] != "refuted":
            reason = claim["printed"]["counterexample"]
            yield Text.assemble(f"{claim['id']} as printed: ", _verdict(claim["printed"]["verdict"]), f", {reason}")
        if claim["verdict"] not in ("confirmed", "unchecked"):
            above = [other["id"] for other in claims if claim["id"] in other["resting"] and _confirmed(other)]
            if above:
                who = f"{listed(above)} {'rests' if len(above) == 1 else 'rest'}"
                if len(above) > _NAMED:
                    who = f"{', '.join(above[:_NAMED])} and {len(above) - _NAMED} more rest"
                yield Text(f"{claim['id']} is not confirmed, but {who} on it")


_DONE = (
    "derived by rules",
    "nothing to derive",
    "precision-checked",
    "on concrete numbers",
    "sampled",
    "nothing to sample",
)
"""Counts of the lecture that the screen shows."""


def _confirmed(claim: Mapping[str, Any]) -> bool:
    return bool(claim["verdict"] == "confirmed")


def _of_these(claims: Iterable[Mapping[str, Any]]) -> str:
    """Return in words how many claims are confirmed under assumptions only."""
    count = sum(map(conditional, claims))
    return f" ({number(count)} of these under assumptions {_ASSUMING})" if count else ""


def _why(check: Mapping[str, Any]) -> str:
    survived = [m["name"] for m in check["mutants"] if not (m["killed"] or m["equivalent"])]
    if check["interval"]:
        allowed = f"{interval(check['interval'])} {check['unit']} where {number(check['allowed'])} is allowed"
        return f"{allowed}; not caught: {', '.join(survived)}" if survived else allowed
    return f"not caught: {', '.join(survived)}" if survived else str(check["note"])


def _share(planted: Mapping[str, int]) -> str:
    return f"{planted['killed']}/{planted['killed'] + planted['survived']}"


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, no_wrap=True)  # ids are for copying
    return table


def _verdict(verdict: str, after: str = "", before: str = "") -> Text:
    return Text.assemble(before, (verdict, COLOURS[verdict]), after)
