"""The errata sheet as files: an HTML page, a LaTeX document and JSON, worst first."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.report.environment import html_environment, tex_environment
from verify.report.files import write_whole

ERRATA = ("errata.html", "errata.tex", "errata.json")


def write_errata(entries: Sequence[Mapping[str, Any]], uncovered: Sequence[str], directory: Path) -> tuple[Path, ...]:
    """The paths of ``errata.html``, ``errata.tex`` and ``errata.json`` in ``directory``.

    The LaTeX document needs amsmath and amssymb only; the page opens without a network. The same entries give the same
    bytes.

    Args:
        entries: what is printed wrong, in the order of the sheet, as ``verify.errata`` gives them.
        uncovered: ids of statements that nobody looked at; the sheet says so.
        directory: made if it does not exist.

    Raises:
        ValueError: if a formula cannot be typeset.
    """
    given = {"entries": entries, "uncovered": uncovered, "count": _count(entries)}
    texts = (  # everything is rendered before anything is written
        html_environment().get_template("errata.html.j2").render(given),
        tex_environment().get_template("errata.tex.j2").render(given),
        json.dumps(
            {"schema": 1, "errata": list(entries), "uncovered": list(uncovered)},
            ensure_ascii=False,
            indent=1,
            allow_nan=False,
        )
        + "\n",
    )
    return tuple(write_whole(directory / name, text) for name, text in zip(ERRATA, texts, strict=True))


def _count(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many entries there are of each status, worst first."""
    return {
        status: sum(e["status"] == status for e in entries) for status in dict.fromkeys(e["status"] for e in entries)
    }
