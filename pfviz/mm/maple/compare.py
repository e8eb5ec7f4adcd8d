"""Where two dumped maple trees differ: a text per node, by the slot path that leads there."""

from __future__ import annotations

from typing import Any

from pfviz.mm.maple.draw import Path, format_entry, format_index
from pfviz.mm.maple.dump import Dump

NODES_MAX = 12
"""Differences named at most; one wrong pivot high up can make every node below another."""


def differences(recorded: Dump, ours: Dump) -> dict[Path, str]:
    """Return what is different at which node, nearest to the root first; empty if equal.

    Below a slot whose bounds differ nothing more is named.
    """
    found: dict[Path, str] = {}
    if recorded[0] != ours[0]:
        found[()] = f"height {recorded[0]} recorded, {ours[0]} here"
    if not recorded[0] or not ours[0]:
        if not found and recorded[1] != ours[1]:
            found[()] = f"{format_entry(recorded[1])} recorded, {format_entry(ours[1])} here"
        return found
    pending: list[tuple[Path, Dump, Dump]] = [((), recorded[1], ours[1])]
    while pending and len(found) < NODES_MAX:
        path, theirs, mine = pending.pop(0)
        texts = _node_differences(theirs, mine)
        if texts:
            text = ", ".join(texts)
            found[path] = f"{found[path]}, {text}" if path in found else text
        if "L" in (theirs[0], mine[0]):
            continue
        for offset, (left, right) in enumerate(zip(theirs[4], mine[4], strict=False)):
            if left != right and (
                left[1:3] == right[1:3] or _bounds(theirs, offset) == _bounds(mine, offset)
            ):
                pending.append(((*path, offset), left, right))
    return found


def _bounds(parent: Dump, offset: int) -> tuple[int, int]:
    """The bounds of a child as its parent has them: where they differ, so do the children's."""
    pivots = parent[3]
    return (pivots[offset - 1] + 1 if offset else parent[1]), pivots[offset]


def _node_differences(theirs: Dump, mine: Dump) -> list[str]:
    if theirs[0] != mine[0]:
        return [f"type {theirs[0]} recorded, {mine[0]} here"]
    texts = []
    if theirs[1:3] != mine[1:3]:
        texts.append(f"bounds {_range(theirs)} recorded, {_range(mine)} here")
    if len(theirs[4]) != len(mine[4]):
        texts.append(f"{len(theirs[4])} slots recorded, {len(mine[4])} here")
    texts.extend(_first_difference("pivot", theirs[3], mine[3], format_index))
    if len(theirs[3]) != len(mine[3]) != len(mine[4]):
        texts.append(f"{len(theirs[3])} pivots recorded, {len(mine[3])} here")
    if theirs[0] == "L":
        texts.extend(_first_difference("slot", theirs[4], mine[4], format_entry))
    if theirs[0] == "A":
        texts.extend(_first_difference("gap", theirs[5], mine[5], format_index))
        if len(theirs[5]) != len(mine[5]):
            texts.append(f"{len(theirs[5])} gaps recorded, {len(mine[5])} here")
        if theirs[6] != mine[6]:
            texts.append(f"gap slot {theirs[6]} recorded, {mine[6]} here")
    return texts


def _first_difference(what: str, theirs: list[Any], mine: list[Any], write: Any) -> list[str]:
    for offset, (left, right) in enumerate(zip(theirs, mine, strict=False)):
        if left != right:
            return [f"{what} {offset} {write(left)} recorded, {write(right)} here"]
    return []


def _range(node: Dump) -> str:
    return f"{format_index(node[1])}–{format_index(node[2])}"
