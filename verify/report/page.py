"""The report page of a run: every claim with its verdict, and what the verdict is made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.report.companion import COMPANION, companion_page
from verify.report.coverage import claims_of, coverage, fates, groups
from verify.report.environment import html_environment
from verify.report.files import write_whole
from verify.report.graph import claim_graph
from verify.report.layers import ancestors
from verify.report.plots import convergence_plot, forest_plot, legend_keys
from verify.report.training import rate_table, real_data_views
from verify.report.words import VERDICTS

_SCHEMA = 1


def _check_view(claim: str, place: int, check: Mapping[str, Any]) -> dict[str, Any]:
    """A check with its drawings."""
    name = f"{claim}/{place}"
    series = [
        {**one, "svg": convergence_plot(one, f"{name}/{index}"), "keys": legend_keys(one)}
        for index, one in enumerate(check["series"])
    ]
    return {**check, "forest": forest_plot(check, name), "series": series}


def _count(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How often each outcome occurs in the run."""
    planted = fates(claims)
    verdicts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}
    return {
        **verdicts,
        "claims": len(claims),
        "mutants": planted["killed"] + planted["survived"],
        "killed": planted["killed"],
        "equivalent": planted["equivalent"],
        "checks": sum(len(claim["checks"]) for claim in claims),
        "printed_refuted": sum(
            claim["printed"] is not None and claim["printed"]["verdict"] == "refuted" for claim in claims
        ),
    }


def _attention(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a reader should look at first: claims not confirmed, with what rests on them, and surviving mutants."""
    found = []
    for claim in claims:
        survived = [
            mutant["name"]
            for check in claim["checks"]
            for mutant in check["mutants"]
            if not mutant["killed"] and not mutant["equivalent"]
        ]
        if claim["verdict"] not in ("confirmed", "unchecked") or survived:
            resting = [other["id"] for other in claims if claim["id"] in other["resting"]]
            found.append({"claim": claim, "survived": survived, "resting": resting})
    return found


def _digits(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is known of the precision of float64 functions, by claim."""
    found = [(claim["id"], check.get("digits")) for claim in claims for check in claim["checks"]]
    return [{"id": name, **digits} for name, digits in found if digits]


def _check_ids(claims: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError if two claims have one id, or claims rest on each other in a circle."""
    ids = [claim["id"] for claim in claims]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise ValueError(f"claims need distinct ids, got {', '.join(repeated)} more than once: drop one")
    parents = {claim["id"]: claim["rests_on"] for claim in claims}
    ancestors({**parents, **{absent: () for above in parents.values() for absent in above if absent not in parents}})


def write_report(results: Mapping[str, Any], directory: Path) -> Path:
    """The path of ``report.html`` in ``directory``, the page of one run record.

    The page is one file that opens without a network, written whole or not at all; it links to ``results.json`` beside
    it, and to ``companion.html``, which is written too if the record has the contents of the lecture. The same record
    gives the same bytes.

    Args:
        results: a run record, schema 1.
        directory: made if it does not exist.

    Raises:
        ValueError: if the record has another schema, two claims have one id, claims rest on each other in a circle, or
            a formula cannot be typeset.
    """
    if results.get("schema") != _SCHEMA:
        raise ValueError(
            f"expected a run record of schema {_SCHEMA}, got {results.get('schema')!r}: run the suite again"
        )
    claims = claims_of(results)
    _check_ids(claims)
    known = {claim["id"]: claim for claim in claims}
    cover = coverage(results)
    text = (
        html_environment()
        .get_template("report.html.j2")
        .render(
            run=results["run"],
            budget=results["budget"],
            claims=[
                {
                    **claim,
                    "checks": [_check_view(claim["id"], place, check) for place, check in enumerate(claim["checks"])],
                }
                for claim in claims
            ],
            known=known,
            count=_count(claims),
            cover=cover,
            companion=COMPANION if cover else "",
            groups=[
                {**group, "graph": claim_graph(group["claims"], known, group["anchor"])}
                for group in groups(results)
                if group["claims"]
            ],
            attention=_attention(claims),
            digits=_digits(claims),
            rates=rate_table(claims),
            real_data=real_data_views(results),
        )
    )
    beside = companion_page(results) if cover else None  # everything is rendered before anything is written
    if beside is not None:
        write_whole(directory / COMPANION, beside)
    return write_whole(directory / "report.html", text)
