"""A maple tree as text, from its dump: marked nodes slot by slot, the rest folded to a line.

Knows dumps only, so a tree recorded elsewhere is drawn like ours.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pfviz.mm.maple.dump import Dump
from pfviz.mm.maple.node import MAX_INDEX

Path = tuple[int, ...]
"""Slot offsets from the root down to a node; the root is ()."""

_CAPACITY = {"L": 16, "R": 16, "A": 10}
_NAMES = {"L": "leaf_64", "R": "range_64", "A": "arange_64"}
NODES_WHOLE = 40
"""Trees up to this many nodes are drawn whole even where nothing is marked."""


def draw_tree(dump: Dump, marks: Mapping[Path, str] | None = None) -> list[str]:
    """Return the lines of a drawing; nodes in `marks` are opened and carry their text.

    A larger tree shows only the way to the marked nodes; runs of other nodes are counted.
    """
    marks = marks or {}
    height, root = dump
    if not height:
        content = "empty" if root is None else f"entry {format_entry(root)} at index 0"
        suffix = f"   ◀ {marks[()]}" if () in marks else ""
        return [f"no node: {content} in the root pointer{suffix}"]
    opened = {path[:depth] for path in marks for depth in range(len(path) + 1)}
    whole = count_nodes(root) <= NODES_WHOLE
    lines = [f"height {height}, {count_nodes(root)} nodes"]
    lines.extend(_draw_node(root, (), "", "", marks, None if whole else opened))
    return lines


def count_nodes(node: Dump) -> int:
    """Count a node and all below it."""
    if node[0] == "L":
        return 1
    return 1 + sum(count_nodes(child) for child in node[4])


def path_to(dump: Dump, index: int) -> Path:
    """Return the way to the leaf that covers an index; () where there is no node."""
    height, node = dump
    path: list[int] = []
    for _ in range(height - 1):
        path.append(bisect_left(node[3], index))
        node = node[4][path[-1]]
    return tuple(path)


def format_index(index: int) -> str:
    """Write an index: small ones in decimal, addresses in hex, the largest as max."""
    if index == MAX_INDEX:
        return "max"
    return str(index) if index < 4096 else f"{index:x}"


def format_entry(entry: Any) -> str:
    """Write an entry; a gap is a middle dot."""
    return "·" if entry is None else ascii(entry)[:24]


def _draw_node(
    node: Dump,
    path: Path,
    branch: str,
    indent: str,
    marks: Mapping[Path, str],
    opened: Collection[Path] | None,
) -> Iterator[str]:
    mark = f"   ◀ {marks[path]}" if path in marks else ""
    yield f"{branch}{_headline(node)}{mark}"
    if path in marks or (opened is None and node[0] == "L" and not marks):
        yield from _slot_lines(node, indent)
    if node[0] == "L":
        return
    folded = 0
    children = node[4]
    for offset, child in enumerate(children):
        below = (*path, offset)
        if opened is not None and below not in opened:
            folded += 1
            continue
        if folded:
            yield f"{indent}├ … {folded} more"
            folded = 0
        is_last = offset == len(children) - 1
        corner, bar = ("└ ", "  ") if is_last else ("├ ", "│ ")
        yield from _draw_node(
            child, below, f"{indent}{corner}{offset} ", indent + bar, marks, opened
        )
    if folded:
        yield f"{indent}└ … {folded} more"


def _headline(node: Dump) -> str:
    kind, low, high, pivots = node[:4]
    text = f"{_NAMES[kind]} {format_index(low)}–{format_index(high)}"
    text += f"  {len(pivots)}/{_CAPACITY[kind]}"
    if kind == "A":
        text += f"  gap {format_index(max(node[5]))} in slot {node[6]}"
    return text


def _slot_lines(node: Dump, indent: str) -> Iterator[str]:
    start = node[1]
    for offset, pivot in enumerate(node[3]):
        text = f"{indent}{'│ ' if node[0] != 'L' else '  '}  {offset:2} "
        text += f"{format_index(start)}–{format_index(pivot)}"
        if node[0] == "L":
            text += f"  {format_entry(node[4][offset])}"
        elif node[0] == "A":
            text += f"  gap {format_index(node[5][offset])}"
            text += "  largest" if offset == node[6] else ""
        yield text
        start = pivot + 1
