"""The reading companion: the lecture's statements in its order, each with its verdict and what it rests on."""

from collections.abc import Mapping
from typing import Any

from verify.report.coverage import claims_of, coverage, groups
from verify.report.environment import html_environment
from verify.report.graph import claim_graph

COMPANION = "companion.html"


def companion_page(results: Mapping[str, Any]) -> str:
    """The text of the companion; its links lead to sections of ``report.html`` beside it.

    Args:
        results: a run record, schema 1, with the contents of the lecture.
    """
    known = {claim["id"]: claim for claim in claims_of(results)}
    sections = [group for group in groups(results) if group["chapter"]]
    here = {entry["id"] for group in sections for entry in group["entries"]}

    def target(name: str) -> str:
        return f"#claim-{name}" if name in here else f"report.html#claim-{name}"

    return (
        html_environment()
        .get_template("companion.html.j2")
        .render(
            run=results["run"],
            cover=coverage(results),
            sections=[
                {**group, "graph": claim_graph(group["claims"], known, group["anchor"], target)} for group in sections
            ],
            known=known,
            target=target,
        )
    )
