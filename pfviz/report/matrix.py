"""The matrix of faults and kernels as JSON and as text: one cell for each fault and kernel.

Every cell was found by running the fault (`scenario/matrix.py`); nothing is known about them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import pfviz
from pfviz.mm.releases import RELEASES, Change
from pfviz.scenario import matrix
from pfviz.scenario.fault_code import CODES
from pfviz.scenario.fault_kinds import BY_ID, GROUPS, KINDS, Kind, scenario_of
from pfviz.scenario.matrix import KERNELS, UNKNOWN, Cell
from pfviz.views.rows import beside, cell_width, clip

GAP: Final = "  "
TITLE_ROOM: Final = 14
"""Where there is hardly any room, titles are clipped to leave this much beside them."""


def matrix_object(kinds: Sequence[str] = (), kernels: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON of `pfviz matrix`: codes, and the function whose check sent each fault back."""
    rows, columns = tuple(kinds) or tuple(BY_ID), tuple(kernels) or KERNELS
    cells = {kind: {name: matrix.cell(kind, name) for name in columns} for kind in rows}
    return {
        "schema": "pfviz.matrix/1",
        "pfviz": pfviz.__version__,
        "kernels": list(columns),
        "kinds": list(rows),
        "titles": {kind: f"{BY_ID[kind].group}: {BY_ID[kind].title}" for kind in rows},
        "codes": CODES | {UNKNOWN: "not modelled yet"},
        "cells": {kind: {name: one.code for name, one in row.items()}
                  for kind, row in cells.items()},
        "checks": {kind: {name: one.check for name, one in row.items() if one.check}
                   for kind, row in cells.items()},
        "causes": {kind: {name: one.cause for name, one in row.items() if one.cause}
                   for kind, row in cells.items()},
    }  # fmt: skip


def plain_lines(kinds: Sequence[str] = (), kernels: Sequence[str] = ()) -> list[str]:
    """One line for each cell: kind, kernel, code, function, cause; columns parted by tabs."""
    return [
        "\t".join((one.kind, one.kernel, one.code, one.check or "-", one.cause or "-"))
        for one in matrix.cells(tuple(kinds), tuple(kernels))
    ]


# Many kernels


def table_lines(width: int | None = None, kinds: Sequence[str] = ()) -> list[str]:
    """The matrix as a table of at most `width` columns (None: as wide as it is), and its legend.

    Kernels side by side that do not differ share a column; a table that is too wide is cut into
    blocks one below the other.
    """
    shown = [BY_ID[name] for name in kinds] or list(KINDS)
    spans = _spans(shown)
    titles = max(cell_width(kind.title) for kind in shown) + 2
    if width is not None:
        titles = min(titles, max(width - TITLE_ROOM, TITLE_ROOM))
    lines: list[str] = []
    for block in _blocks(spans, shown, titles, width):
        lines += [*_block(block, shown, titles), ""]
    seen = {matrix.cell(kind.id, kernel).code for kind in shown for kernel in KERNELS}
    return [*lines, *legend(seen, width)]


def _spans(shown: Sequence[Kind]) -> list[tuple[str, ...]]:
    """Kernels next to each other whose cells are the same in every row shown."""
    spans: list[tuple[str, ...]] = []
    for name in KERNELS:
        same = spans and all(
            matrix.cell(kind.id, spans[-1][0]).code == matrix.cell(kind.id, name).code
            for kind in shown
        )
        if same:
            spans[-1] = (*spans[-1], name)
        else:
            spans.append((name,))
    return spans


def _head(span: tuple[str, ...]) -> str:
    return span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}"


def _width(span: tuple[str, ...], shown: Sequence[Kind]) -> int:
    codes = (matrix.cell(kind.id, span[0]).code for kind in shown)
    return max(len(_head(span)), *(len(code) for code in codes))


def _blocks(
    spans: Sequence[tuple[str, ...]], shown: Sequence[Kind], titles: int, width: int | None
) -> list[list[tuple[str, ...]]]:
    blocks: list[list[tuple[str, ...]]] = [[]]
    room = titles
    for span in spans:
        need = _width(span, shown) + len(GAP)
        if width is not None and blocks[-1] and room + need > width:
            blocks.append([])
            room = titles
        blocks[-1].append(span)
        room += need
    return blocks


def _block(block: Sequence[tuple[str, ...]], shown: Sequence[Kind], titles: int) -> list[str]:
    widths = [_width(span, shown) for span in block]
    heads = GAP.join(_head(span).ljust(size) for span, size in zip(block, widths, strict=True))
    lines = [(" " * titles + GAP + heads).rstrip()]
    for group in GROUPS:
        rows = [kind for kind in shown if kind.group == group]
        if rows:
            lines.append(group)
        for kind in rows:
            codes = [matrix.cell(kind.id, span[0]).code for span in block]
            cells = GAP.join(code.ljust(size) for code, size in zip(codes, widths, strict=True))
            lines.append((clip(f"  {kind.title}", titles).ljust(titles) + GAP + cells).rstrip())
    return lines


def legend(codes: set[str], width: int | None = None) -> list[str]:
    """What the codes mean, those that came up first to last."""
    said = CODES | {UNKNOWN: "not modelled yet"}
    used = [code for code in said if _is_used(code, codes)]
    size = max((len(code) for code in used), default=0)
    lines = []
    for code in used:
        lines += beside(code.ljust(size) + GAP, said[code], width)
    return lines


def _is_used(code: str, codes: set[str]) -> bool:
    """Whether it came up, alone, behind L> or as a note such as (write)."""
    parts = {part for one in codes for part in (one, one.removeprefix("L>"))}
    if code.startswith("("):
        return any(part.endswith(code) for part in parts)
    if code == "L":
        return any(one.startswith("L") for one in codes)
    return code in {part.removesuffix("(read)").removesuffix("(write)") for part in parts}


# One kernel, or one kind


def kernel_lines(kernel: str, kinds: Sequence[str] = (), width: int | None = None) -> list[str]:
    """Every fault in one kernel: its code, who sent it back, and what this release changed."""
    release = RELEASES[KERNELS.index(kernel)]
    shown = [BY_ID[name] for name in kinds] or list(KINDS)
    cells = {kind.id: matrix.cell(kind.id, kernel) for kind in shown}
    titles = max(cell_width(kind.title) for kind in shown) + 4
    codes = max(len(one.code) for one in cells.values())
    if width is not None:
        titles = min(titles, max(width - codes - len(GAP), TITLE_ROOM))
    lines = [*beside("", release.title, width), ""]
    for group in GROUPS:
        rows = [kind for kind in shown if kind.group == group]
        lines += [group] if rows else []
        for kind in rows:
            one = cells[kind.id]
            head = clip(f"  {kind.title}", titles - 1).ljust(titles) + one.code.ljust(codes) + GAP
            lines += beside(head, _why(one), width)
    lines += ["", *legend({one.code for one in cells.values()}, width)]
    return [*lines, *_changes(kernel, width)]


def kind_lines(name: str, kernels: Sequence[str] = (), width: int | None = None) -> list[str]:
    """One fault under every kernel: the code, who sent it back, and the commit that changed it."""
    kind = BY_ID[name]
    cells = [matrix.cell(name, kernel) for kernel in kernels or KERNELS]
    size = max(len(one.code) for one in cells)
    lines = beside("", f"{kind.group}: {kind.title}", width)
    if not kind.missing:
        lines += beside("", " ".join(scenario_of(name).story.split()), width)
    lines.append("")
    for one in cells:
        head = f"  {one.kernel:<6}{GAP}{one.code.ljust(size)}{GAP}"
        lines += beside(head, _why(one), width)
        for change in matrix.causes(name, one.kernel):
            lines += beside(" " * len(head), said_change(change), width)
    return [*lines, "", *legend({one.code for one in cells}, width)]


def _why(one: Cell) -> str:
    if one.code == UNKNOWN:
        return f"not modelled yet: {BY_ID[one.kind].missing}"
    cause = f": {one.cause}" if one.cause else ""
    held = "; the lock is held while a device works" if one.holds_over_io else ""
    return f"{one.check}{cause}{held}" if one.check else held.removeprefix("; ")


def said_change(change: Change) -> str:
    """A change in a sentence, with its commit, or with where it is known from."""
    known = change.commit or {
        "source": "read in the source",
        "recorded": "seen on a running kernel",
        "list": "told on the mailing list",
    }.get(change.origin, "commit not known")
    return f"since this release {change.what} ({known})"


def _changes(kernel: str, width: int | None) -> list[str]:
    index = KERNELS.index(kernel)
    if index == 0:
        return []
    before = KERNELS[index - 1]
    lines = ["", f"What it changed against {before}"]
    for change in RELEASES[index].changes:
        lines += beside("  ", f"{change.what} ({change.commit or change.origin})", width)
    changed = matrix.changed_kinds(before, kernel)
    for name in changed:
        was, now = matrix.cell(name, before).code, matrix.cell(name, kernel).code
        whose = "; ".join(one.commit or one.what for one in matrix.causes(name, kernel))
        lines += beside(f"  {BY_ID[name].title}: ", f"{was} to {now} ({whose})", width)
    if not changed:
        lines.append("  no cell of the matrix")
    return lines


def steps_apart(kernels: Sequence[str] = KERNELS) -> dict[tuple[str, str], tuple[str, ...]]:
    """Which kinds each step along the kernels changed."""
    return {pair: matrix.changed_kinds(*pair) for pair in pairwise(kernels)}
