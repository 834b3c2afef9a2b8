"""Claims and what they rest on, as inline SVG: colours say the verdict, boxes link to the sections.

Hundreds of boxes in one drawing are a tangle, so a drawing is of one group of claims; what they rest on elsewhere
stands above them as outlines.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from verify.report.layers import Placed, layered, without_shortcuts
from verify.report.words import clipped

# Distances are SVG user units; the page shows one unit as one CSS pixel at most. Five boxes fill its width.
_BOX = (168.0, 58.0)
_GAP = (18.0, 36.0)
_PER_ROW = 5
_MARKS = {"confirmed": "✓", "refuted": "✗", "inconclusive": "?", "unchecked": "–", "absent": "·"}
_ABSENT: Mapping[str, Any] = {
    "equation": None,
    "title": "not in this run",
    "verdict": None,
    "rests_on": [],
    "resting": [],
}


def _way(placed: Placed, way: Sequence[str], height: float) -> str:
    """The path of one edge: vertical where it leaves, enters and passes a row, smooth between."""
    first, last = way[0], way[-1]
    x, y = placed.centre[first], placed.row[first] * height + _BOX[1]
    path = f"M{x:.1f} {y:.1f}"
    for level, node in enumerate(way[1:], placed.row[first] + 1):
        to, top = placed.centre[node], level * height - (5 if node == last else 0)
        middle = (y + top) / 2
        path += f"C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {top:.1f}"
        x, y = to, top
        if node != last:
            y += _BOX[1]
            path += f"V{y:.1f}"
    return path


def _box(claim: Mapping[str, Any], x: float, y: float, outside: bool, target: str) -> str:
    """One claim as a box that links to its section."""
    name = f"eq. {claim['equation']}" if claim["equation"] else claim["id"]
    lines = textwrap.wrap(claim["title"], 27) or [""]
    if len(lines) > 2:
        lines = [lines[0], clipped(" ".join(lines[1:]), 26)]
    state = claim["verdict"] or "absent"
    marks = f"{' resting' if claim['resting'] else ''}{' outside' if outside else ''}"
    hint = f"{claim['id']}: {claim['title']} ({claim['verdict'] or 'not in this run'})"
    if claim["resting"]:
        hint += f", resting on {', '.join(claim['resting'])}, not confirmed"
    inside = (
        f'<g class="node {state}{marks}"><title>{escape(hint)}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_BOX[0]:g}" height="{_BOX[1]:g}" rx="7"/>'
        f'<text x="{x + _BOX[0] / 2:.1f}" y="{y + 19:.1f}" class="name">'
        f"{_MARKS[state]} {escape(clipped(name, 18))}</text>"
    )
    for index, line in enumerate(lines):
        inside += f'<text x="{x + _BOX[0] / 2:.1f}" y="{y + 34 + 13 * index:.1f}">{escape(line)}</text>'
    inside += "</g>"
    return f'<a href="{escape(target)}">{inside}</a>' if claim["verdict"] else inside


def claim_graph(
    claims: Sequence[Mapping[str, Any]],
    known: Mapping[str, Mapping[str, Any]],
    name: str,
    target: Callable[[str], str] = "#claim-{}".format,
) -> Markup | None:
    """An ``<svg>`` of some claims and what they rest on; colours say the verdict, boxes link to sections.

    What they rest on elsewhere appears as outlines, a parent that is not in the run as an empty box. Claims without
    any edge stand in rows below. None if there is no edge at all.

    Args:
        claims: the group to draw.
        known: all claims of the run, by id.
        name: of the drawing, different for each one of a page.
        target: the address of the section of a claim, by id.

    Raises:
        ValueError: if claims rest on each other in a circle.
    """
    direct = {claim["id"]: claim["rests_on"] for claim in claims}
    outside = dict.fromkeys(parent for parents in direct.values() for parent in parents if parent not in direct)
    drawn = {key: known.get(key, {**_ABSENT, "id": key}) for key in (*outside, *direct)}
    parents = without_shortcuts({**dict.fromkeys(outside, ()), **direct})
    leading = {parent for above in parents.values() for parent in above}
    if not leading:
        return None
    placed = layered(
        {key: above for key, above in parents.items() if above or key in leading}, _PER_ROW, _BOX[0], _GAP[0]
    )
    alone = [key for key in direct if key not in placed.row]
    height = _BOX[1] + _GAP[1]
    across = max(placed.width, min(len(alone), _PER_ROW) * (_BOX[0] + _GAP[0]) - _GAP[0])
    margin = (across - placed.width) / 2
    bottom = (max(placed.row.values(), default=-1) + 1) * height
    arrow = f"arrow-{escape(name)}"
    parts = [
        f'<path class="edge" marker-end="url(#{arrow})" '
        f'data-edge="{escape(parent)} {escape(child)}" d="{_way(placed, way, height)}"/>'
        for (parent, child), way in placed.ways.items()
    ]
    boxes = [
        _box(drawn[key], placed.centre[key] - _BOX[0] / 2 + margin, row * height, key in outside, target(key))
        for key, row in placed.row.items()
    ]
    for index, key in enumerate(alone):
        down, right = divmod(index, _PER_ROW)
        y = bottom + down * (_BOX[1] + _GAP[0])
        boxes.append(_box(drawn[key], right * (_BOX[0] + _GAP[0]), y, False, target(key)))
    if alone:
        bottom += ((len(alone) - 1) // _PER_ROW + 1) * (_BOX[1] + _GAP[0])
    bottom -= _GAP[0] if alone else _GAP[1]
    # Safe: every text of a claim is escaped where it is put in.
    return Markup(  # noqa: S704
        f'<svg class="graph" viewBox="-2 -2 {across + 4:.1f} {bottom + 4:.1f}" '
        f'style="--across: {across + 4:.0f}px" role="img">'
        "<title>Claims and what they rest on</title>"
        f'<defs><marker id="{arrow}" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0.5L8 4L0 7.5z"/></marker></defs>'
        f'<g transform="translate({margin:.1f} 0)">{"".join(parts)}</g>{"".join(boxes)}</svg>'
    )
