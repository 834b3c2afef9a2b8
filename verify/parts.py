"""Parts of a page on a terminal: a heading with lines below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text


def part(heading: str, lines: Iterable[str]) -> Iterator[RenderableType]:
    """Yield a heading and lines below it, nothing if there are none."""
    lines = list(lines)
    if lines:
        yield Text(f"\n{heading}", "bold")
        yield from (indented(Text(line)) for line in lines)


def indented(line: RenderableType, by: int = 2) -> Padding:
    """Return a line some columns from the left."""
    return Padding(line, (0, 0, 0, by), expand=False)
