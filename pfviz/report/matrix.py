"""The matrix of faults and kernels as JSON and as text: one cell for each fault and kernel.

Every cell was found by running the fault (`scenario/matrix.py`); nothing is known about them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pfviz
from pfviz.mm.releases import RELEASES, Change
from pfviz.scenario import matrix
from pfviz.scenario.fault_code import CODES
from pfviz.scenario.fault_kinds import BY_ID, GROUPS, KINDS, Kind, scenario_of
from pfviz.scenario.matrix import KERNELS, UNKNOWN, Cell, Policies
from pfviz.sim.told import Told
from pfviz.views.rows import beside, cell_width, clip

GAP: Final = "  "
_IDS: Final = "--kind takes a row's title, or its id: pfviz matrix --plain has them"
TITLE_ROOM: Final = 14
"""Where there is hardly any room, titles are clipped to leave this much beside them."""


NOTES: Final = {
    "stack_growth": {
        "6.1": "6.1 is 6.1.192, which grows the stack as 6.5 does (since 6.1.37)",
        "6.4": "6.4 is 6.4.0, the last that did not (6.4.1 does)",
    },
}
"""By kind and kernel: why a row goes back and forth, where fixes went into older kernels."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the matrix is wanted, and how wide it may be; () is all of it."""

    kinds: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    policy: Policies = ()
    width: int | None = None

    @property
    def rows(self) -> tuple[Kind, ...]:
        """The kinds that are shown."""
        return tuple(BY_ID[name] for name in self.kinds) or KINDS

    @property
    def columns(self) -> tuple[str, ...]:
        """The kernels that are shown."""
        return self.kernels or KERNELS

    def cell(self, kind: str, kernel: str) -> Cell:
        """One cell, its policies turned."""
        return matrix.cell(kind, kernel, self.policy)

    def code(self, kind: Kind, kernel: str) -> str:
        """Its code."""
        return self.cell(kind.id, kernel).code


ALL: Final = Asked()


def find(asked: Asked, told: Told) -> None:
    """Run every fault that is asked for, once; what is said of them afterwards is then known."""
    total = len(asked.rows) * len(asked.columns)
    for number, _ in enumerate(matrix.cells(asked.kinds, asked.kernels, asked.policy)):
        told(number + 1, total)


def matrix_object(asked: Asked = ALL) -> dict[str, Any]:
    """The JSON of `pfviz matrix`: codes, and the function whose check sent each fault back."""
    cells = {kind.id: {name: asked.cell(kind.id, name) for name in asked.columns}
             for kind in asked.rows}  # fmt: skip
    return {
        "schema": "pfviz.matrix/1",
        "pfviz": pfviz.__version__,
        "kernels": list(asked.columns),
        "kinds": [kind.id for kind in asked.rows],
        "policy": dict(asked.policy),
        "titles": {kind.id: f"{kind.group}: {kind.title}" for kind in asked.rows},
        "rows": {kind.id: kind.row for kind in asked.rows},
        "codes": CODES | {UNKNOWN: "not modelled yet"},
        "cells": {kind: {name: one.code for name, one in row.items()}
                  for kind, row in cells.items()},
        "checks": {kind: {name: one.check for name, one in row.items() if one.check}
                   for kind, row in cells.items()},
        "causes": {kind: {name: one.cause for name, one in row.items() if one.cause}
                   for kind, row in cells.items()},
    }  # fmt: skip


def plain_lines(asked: Asked = ALL) -> list[str]:
    """One line for each cell: kind, kernel, code, function, cause; columns parted by tabs."""
    return [
        "\t".join((one.kind, one.kernel, one.code, one.check or "-", one.cause or "-"))
        for one in matrix.cells(asked.kinds, asked.kernels, asked.policy)
    ]


# Many kernels


def table_lines(asked: Asked = ALL) -> list[str]:
    """The matrix as a table of at most its width (None: as wide as it is), and its legend.

    Kernels side by side that do not differ share a column; a table that is too wide is cut into
    blocks one below the other.
    """
    titles = max(cell_width(kind.title) for kind in asked.rows) + 2
    if asked.width is not None:
        titles = min(titles, max(asked.width - TITLE_ROOM, TITLE_ROOM))
    lines = _policies(asked)
    blocks = _blocks(asked, titles)
    names = max(len(kind.id) for kind in asked.rows) + len(GAP)
    room = titles + sum(_width(asked, span) + len(GAP) for span in blocks[0])
    has_ids = len(blocks) == 1 and (asked.width is None or room + names <= asked.width)
    for block in blocks:
        lines += [*_block(asked, block, titles, has_ids), ""]
    seen = {asked.code(kind, kernel) for kind in asked.rows for kernel in asked.columns}
    lines += [*legend(seen, asked.width), *_notes(asked)]
    return lines if has_ids else [*lines, "", *beside("", _IDS, asked.width)]


def _notes(asked: Asked) -> list[str]:
    """What must be known of a kernel to follow a row; "" comes first when there is any."""
    lines = []
    for kind in asked.rows:
        notes = NOTES.get(kind.id, {})
        if said := "; ".join(notes[name] for name in asked.columns if name in notes):
            lines += beside(f"{kind.title}: ", said, asked.width)
    return ["", *lines] if lines else []


def _policies(asked: Asked) -> list[str]:
    """Which policies are turned, and where that changes anything."""
    if not asked.policy:
        return []
    said = ", ".join(f"{name} = {_value(value)}" for name, value in asked.policy)
    kinds = {kind for kernel in asked.columns for kind in matrix.turned_kinds(kernel, asked.policy)}
    rows = [kind.title for kind in asked.rows if kind.id in kinds]
    what = f"changes {len(rows)} of {len(asked.rows)} rows: {'; '.join(rows)}" if rows else (
        "changes no cell"
    )  # fmt: skip
    return [*beside("", f"{said} {what}", asked.width), ""]


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spans(asked: Asked) -> list[tuple[str, ...]]:
    """Kernels next to each other whose cells are the same in every row shown."""
    spans: list[tuple[str, ...]] = []
    for name in asked.columns:
        if spans and all(
            asked.code(kind, spans[-1][0]) == asked.code(kind, name) for kind in asked.rows
        ):
            spans[-1] = (*spans[-1], name)
        else:
            spans.append((name,))
    return spans


def _head(span: tuple[str, ...]) -> str:
    return span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}"


def _width(asked: Asked, span: tuple[str, ...]) -> int:
    return max(len(_head(span)), *(len(asked.code(kind, span[0])) for kind in asked.rows))


def _blocks(asked: Asked, titles: int) -> list[list[tuple[str, ...]]]:
    blocks: list[list[tuple[str, ...]]] = [[]]
    room = titles
    for span in _spans(asked):
        need = _width(asked, span) + len(GAP)
        if asked.width is not None and blocks[-1] and room + need > asked.width:
            blocks.append([])
            room = titles
        blocks[-1].append(span)
        room += need
    return blocks


def _block(asked: Asked, block: Sequence[tuple[str, ...]], titles: int, has_ids: bool) -> list[str]:
    widths = [_width(asked, span) for span in block]
    heads = GAP.join(_head(span).ljust(size) for span, size in zip(block, widths, strict=True))
    heads += f"{GAP}--kind" * has_ids
    lines = [(" " * titles + GAP + heads).rstrip()]
    for group in GROUPS:
        rows = [kind for kind in asked.rows if kind.group == group]
        lines += [group] if rows else []
        for kind in rows:
            codes = [asked.code(kind, span[0]) for span in block]
            cells = GAP.join(code.ljust(size) for code, size in zip(codes, widths, strict=True))
            cells += f"{GAP}{kind.id}" * has_ids
            lines.append((clip(f"  {kind.title}", titles).ljust(titles) + GAP + cells).rstrip())
    return lines


def legend(codes: set[str], width: int | None = None) -> list[str]:
    """What the codes mean, those that came up."""
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


def kernel_lines(kernel: str, asked: Asked = ALL) -> list[str]:
    """Every fault in one kernel: its code, who sent it back, and what this release changed."""
    width = asked.width
    cells = {kind.id: asked.cell(kind.id, kernel) for kind in asked.rows}
    titles = max(cell_width(kind.title) for kind in asked.rows) + 4
    codes = max(len(one.code) for one in cells.values())
    if width is not None:
        titles = min(titles, max(width - codes - len(GAP), TITLE_ROOM))
    lines = [*beside("", RELEASES[KERNELS.index(kernel)].title, width), "", *_policies(asked)]
    for group in GROUPS:
        rows = [kind for kind in asked.rows if kind.group == group]
        lines += [group] if rows else []
        for kind in rows:
            one = cells[kind.id]
            head = clip(f"  {kind.title}", titles - 1).ljust(titles) + one.code.ljust(codes) + GAP
            lines += beside(head, _why(one), width)
    lines += ["", *legend({one.code for one in cells.values()}, width)]
    return [*lines, *_changes(kernel, asked)]


def kind_lines(name: str, asked: Asked = ALL) -> list[str]:
    """One fault under every kernel: the code, who sent it back, and the commit that changed it."""
    kind, width = BY_ID[name], asked.width
    cells = [asked.cell(name, kernel) for kernel in asked.columns]
    size = max(len(one.code) for one in cells)
    lines = beside("", f"{kind.group}: {kind.title}", width) + beside("", kind.row, width)
    if not kind.missing:
        lines += beside("", " ".join(scenario_of(name).story.split()), width)
    lines += ["", *_policies(asked)]
    for one in cells:
        head = f"  {one.kernel:<6}{GAP}{one.code.ljust(size)}{GAP}"
        lines += beside(head, _why(one), width)
        for change in matrix.causes(name, one.kernel, asked.policy):
            lines += beside(" " * len(head), said_change(change), width)
    codes = {one.code for one in cells}
    return [*lines, "", *legend(codes, width), *_notes(replace(asked, kinds=(name,)))]


def _why(one: Cell) -> str:
    if one.code == UNKNOWN:
        return f"not modelled yet: {BY_ID[one.kind].missing}"
    cause = f": {one.cause}" if one.cause else ""
    held = "; the lock is held while a device works" if one.holds_over_io else ""
    return f"{one.check}{cause}{held}" if one.check else held.removeprefix("; ")


def said_change(change: Change) -> str:
    """A change in a sentence, with its commit, or with where it is known from."""
    return f"since this release {change.what} ({known_from(change)})"


def known_from(change: Change) -> str:
    """Its commit, or else where it is known from."""
    return change.commit or {
        "source": "read in the source",
        "recorded": "seen on a running kernel",
        "list": "told on the mailing list",
        "proposal": "a proposal",
    }.get(change.origin, "commit not known")


def _changes(kernel: str, asked: Asked) -> list[str]:
    index, width = KERNELS.index(kernel), asked.width
    if index == 0:
        return []
    before = KERNELS[index - 1]
    lines = ["", f"What it changed against {before}"]
    for change in RELEASES[index].changes:
        lines += beside("  ", f"{change.what} ({change.commit or change.origin})", width)
    shown = {kind.id for kind in asked.rows}
    changed = [one for one in matrix.changed_kinds(before, kernel, asked.policy) if one in shown]
    for name in changed:
        was, now = asked.cell(name, before).code, asked.cell(name, kernel).code
        whose = "; ".join(
            one.commit or one.what for one in matrix.causes(name, kernel, asked.policy)
        )
        lines += beside(f"  {BY_ID[name].title}: ", f"{was} to {now} ({whose})", width)
    if not changed:
        lines.append("  no cell of the matrix")
    return lines
