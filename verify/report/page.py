"""The report page of a run: every claim with its verdict, and what the verdict is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verify.report.environment import html_environment
from verify.report.files import write_whole
from verify.report.graph import claim_graph
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


def _count(results: Mapping[str, Any]) -> dict[str, int]:
    """How often each outcome occurs in the run."""
    claims = results["claims"]
    mutants = [mutant for claim in claims for check in claim["checks"] for mutant in check["mutants"]]
    real = [mutant for mutant in mutants if not mutant["equivalent"]]
    verdicts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}
    return {
        **verdicts,
        "claims": len(claims),
        "mutants": len(real),
        "killed": sum(mutant["killed"] for mutant in real),
        "equivalent": len(mutants) - len(real),
        "checks": sum(len(claim["checks"]) for claim in claims),
        "printed_refuted": sum(
            claim["printed"] is not None and claim["printed"]["verdict"] == "refuted" for claim in claims
        ),
    }


def _attention(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a reader should look at first: claims not confirmed, with what rests on them, and surviving mutants."""
    found = []
    for claim in results["claims"]:
        survived = [
            mutant["name"]
            for check in claim["checks"]
            for mutant in check["mutants"]
            if not mutant["killed"] and not mutant["equivalent"]
        ]
        if claim["verdict"] not in ("confirmed", "unchecked") or survived:
            resting = [other["id"] for other in results["claims"] if claim["id"] in other["resting"]]
            found.append({"claim": claim, "survived": survived, "resting": resting})
    return found


def _digits(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is known of the precision of float64 functions, by claim."""
    found = [(claim["id"], check.get("digits")) for claim in results["claims"] for check in claim["checks"]]
    return [{"id": name, **digits} for name, digits in found if digits]


def write_report(results: Mapping[str, Any], directory: Path) -> Path:
    """The path of ``report.html`` in ``directory``, the page of one run record.

    The page is one file that opens without a network, written whole or not at all; it links to ``results.json`` beside
    it. The same record gives the same bytes.

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
    ids = [claim["id"] for claim in results["claims"]]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise ValueError(f"claims need distinct ids, got {', '.join(repeated)} more than once: drop one")
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
                for claim in results["claims"]
            ],
            known=set(ids),
            count=_count(results),
            attention=_attention(results),
            digits=_digits(results),
            rates=rate_table(results["claims"]),
            real_data=real_data_views(results),
            graph=claim_graph(results["claims"]) if results["claims"] else None,
        )
    )
    return write_whole(directory / "report.html", text)
