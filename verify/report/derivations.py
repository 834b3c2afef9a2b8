"""Derivations as files: an HTML page, a LaTeX document and JSON, step by step with the rules that were used."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.report.environment import html_environment, tex_environment
from verify.report.files import write_whole


def write_derivations(derivations: Sequence[Mapping[str, Any]], directory: Path) -> tuple[Path, ...]:
    """The paths of ``derivations.html``, ``derivations.tex`` and ``derivations.json`` in ``directory``.

    The LaTeX document needs amsmath and amssymb only; the page opens without a network. All three have the same bytes
    for the same derivations.

    Args:
        derivations: exported theorems, as in the ``derivation`` field of a claim of the run record.
        directory: made if it does not exist.

    Raises:
        ValueError: if two derivations have one name, or a formula cannot be typeset.
    """
    names = [derivation["name"] for derivation in derivations]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"derivations need distinct names, got {', '.join(repeated)} more than once: rename or drop one"
        )
    # Everything is rendered before anything is written, so that a formula that fails leaves the old files alone.
    texts = {
        "derivations.html": html_environment().get_template("derivations.html.j2").render(derivations=derivations),
        "derivations.tex": tex_environment().get_template("derivations.tex.j2").render(derivations=derivations),
        "derivations.json": json.dumps(
            {"schema": 1, "theorems": list(derivations)}, ensure_ascii=False, indent=1, allow_nan=False
        )
        + "\n",
    }
    return tuple(write_whole(directory / name, text) for name, text in texts.items())
