"""A layered layout of a directed acyclic graph, for drawings that grow down a page.

Every node stands below everything it rests on, at most a few in a row. Rows are filled like a list schedule, longest
chains first; the order within rows comes from barycentres (Sugiyama's method), and positions from least squares under
the constraint that neighbours keep their distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# The width that an edge takes in the rows it passes, in the unit of the nodes' width.
_BEND = 10.0
# Sweeps down and up; the last few keep the order and only move nodes.
_SWEEPS = 12
_LAST = 4


@dataclass(frozen=True, slots=True)
class Placed:
    """A layered drawing: the row and the centre of every node, and the way of every edge through the rows."""

    row: dict[str, int]
    centre: dict[str, float]
    ways: dict[tuple[str, str], tuple[str, ...]]
    width: float


def ancestors(parents: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Everything each node rests on, directly or not.

    Raises:
        ValueError: if a node rests on itself, naming it.
    """
    found: dict[str, frozenset[str]] = {}

    def visit(node: str, path: tuple[str, ...]) -> frozenset[str]:
        if node in path:
            raise ValueError(f"claims must not rest on themselves, got the cycle {' → '.join((*path, node))}")
        if node not in found:
            above: set[str] = set(parents[node])
            for parent in parents[node]:
                above |= visit(parent, (*path, node))
            found[node] = frozenset(above)
        return found[node]

    for node in parents:
        visit(node, ())
    return found


def without_shortcuts(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The same order with as few edges as possible: an edge implied by a chain of others is dropped."""
    above = ancestors(parents)
    return {
        node: tuple(p for p in dict.fromkeys(direct) if not any(p in above[other] for other in direct))
        for node, direct in parents.items()
    }


def rows_of(parents: Mapping[str, Sequence[str]], per_row: int) -> dict[str, int]:
    """The row of each node: below all its parents, no row with more than ``per_row`` nodes."""
    above = ancestors(parents)
    height = {node: 0 for node in parents}
    for node in sorted(parents, key=lambda node: -len(above[node])):
        for parent in parents[node]:
            height[parent] = max(height[parent], height[node] + 1)
    waiting = sorted(parents, key=lambda node: -height[node])
    rows: list[list[str]] = []
    row: dict[str, int] = {}
    while waiting:
        # What most of the graph waits for goes first; parents must be in an earlier row.
        ready = [node for node in waiting if all(parent in row for parent in parents[node])][:per_row]
        row.update(dict.fromkeys(ready, len(rows)))
        rows.append(ready)
        waiting = [node for node in waiting if node not in row]
    for node in parents:
        below = [row[child] for child, direct in parents.items() if node in direct]
        if not parents[node] and below:
            # A claim that rests on nothing moves down to where it is used, which keeps its edges short.
            free = [level for level in range(row[node] + 1, min(below)) if len(rows[level]) < per_row]
            if free:
                rows[row[node]].remove(node)
                row[node] = free[-1]
                rows[free[-1]].append(node)
    return row


def spread(wanted: Sequence[float], distance: Sequence[float]) -> list[float]:
    """Positions nearest to the wanted ones in least squares, with at least ``distance[i]`` between i and i + 1.

    Subtracting the cumulated distances leaves an isotonic regression, solved by pooling adjacent violators.
    """
    offset = [0.0]
    for least in distance:
        offset.append(offset[-1] + least)
    pools: list[tuple[float, int]] = []
    for target, shift in zip(wanted, offset, strict=True):
        mean, size = target - shift, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    flat = [mean for mean, size in pools for _ in range(size)]
    return [value + shift for value, shift in zip(flat, offset, strict=True)]


def layered(parents: Mapping[str, Sequence[str]], per_row: int, node_width: float, gap: float) -> Placed:
    """A layered drawing of the graph; edges across several rows bend around the nodes between.

    Args:
        parents: every node with those it rests on; all of them must be keys.
        per_row: the most nodes in one row.
        node_width: of every node; the result is in the same unit.
        gap: the least distance between neighbours in a row.

    Raises:
        ValueError: if the graph has a cycle.
    """
    row = rows_of(parents, per_row)
    rows: list[list[str]] = [[] for _ in range(max(row.values(), default=-1) + 1)]
    for node in parents:
        rows[row[node]].append(node)
    real = set(parents)
    ways: dict[tuple[str, str], tuple[str, ...]] = {}
    links: dict[str, list[str]] = {node: [] for node in parents}
    for node, direct in parents.items():
        for parent in direct:
            # One invisible node per row that the edge crosses; edges from one parent share them.
            bends = [f"{parent}\n{level}" for level in range(row[parent] + 1, row[node])]
            way = (parent, *bends, node)
            for level, bend in zip(range(row[parent] + 1, row[node]), bends, strict=True):
                if bend not in links:
                    links[bend] = []
                    rows[level].append(bend)
            for upper, lower in pairwise(way):
                if lower not in links[upper]:
                    links[upper].append(lower)
                    links[lower].append(upper)
            ways[parent, node] = way

    def half(node: str) -> float:
        return (node_width if node in real else _BEND) / 2

    centre: dict[str, float] = {}
    for line in rows:
        distances = [half(a) + half(b) + gap for a, b in pairwise(line)]
        start = -sum(distances) / 2
        for index, node in enumerate(line):
            centre[node] = start + sum(distances[:index])
    for sweep in range(_SWEEPS):
        for line in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {
                node: sum(centre[other] for other in links[node]) / len(links[node]) if links[node] else centre[node]
                for node in line
            }
            # The order is settled first, then only positions improve.
            line.sort(key=(wanted if sweep < _SWEEPS - _LAST else centre).__getitem__)
            distances = [half(a) + half(b) + gap for a, b in pairwise(line)]
            centre.update(zip(line, spread([wanted[node] for node in line], distances), strict=True))
    left = min((centre[node] - half(node) for node in centre), default=0.0)
    right = max((centre[node] + half(node) for node in centre), default=0.0)
    return Placed(row, {node: place - left for node, place in centre.items()}, ways, right - left)
