"""What a capture tells of a tree: single reads and writes, on a strip of the VMAs that are known.

The kernel's trace points name a function, a range and sometimes the VMA stored, never the nodes.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from pfviz.sim.event import unsigned

from .frame import Frame
from .look import Look
from .memory_state import READ, WRITE, MmState, TreeEvent, VmaState
from .numbers import address_short, count, duration, size
from .rows import Cell, Row, clip, pad
from .tree_marks import vma_name

FUNCTION_WIDTH: Final = 21
STRIP_MIN: Final = 5
"""From so many rows on the strip of VMAs is drawn."""
RECENT: Final = 12
"""So many of the last reads and writes are marked on the strip."""


def paint_rows(frame: Frame, mm: MmState, width: int, height: int, look: Look) -> list[Row]:
    """The strip of VMAs with the last reads and writes on it, then these, the newest first."""
    vmas = sorted((vma for vma in mm.vmas.values() if vma.detached_ns < 0), key=_start)
    rows: list[Row] = []
    if height >= STRIP_MIN and vmas:
        rows.extend(_strip(mm, vmas, width, look))
    last = mm.tree_events[-max(height - len(rows), 1) :]
    rows.extend(_row(frame, vmas, told, width) for told in reversed(last))
    return rows[: max(height, 0)]


def _start(vma: VmaState) -> int:
    return vma.start


def _row(frame: Frame, vmas: list[VmaState], told: TreeEvent, width: int) -> Row:
    first, last = unsigned(told.first), unsigned(told.last)
    style = "text" if told.what == READ else "hold-write" if told.what == WRITE else "accent"
    row: list[Cell] = [
        (f"{told.what} ", style),
        (pad(told.function, FUNCTION_WIDTH), style),
    ]
    where = address_short(first)
    if last > first:
        where += f"…{address_short(last)}"
    row.append((pad(f"{where} ", 26 if width >= 70 else 13), "address"))
    row.append((f"{frame.label(told.task)} ", "task"))
    if what := _stored(frame, vmas, told, first, last):
        row.append((f"{what} ", "vma"))
    row.append((f"{duration(frame.now_ns - told.now_ns)} ago", "dim"))
    return tuple(row)


def _stored(frame: Frame, vmas: list[VmaState], told: TreeEvent, first: int, last: int) -> str:
    """The VMA that a write stored, or that a read met; how much was stored or cleared."""
    if told.what == WRITE and told.value in frame.vmas:
        return clip(vma_name(frame, told.value), 16)
    at = bisect_right([vma.start for vma in vmas], first) - 1
    if at >= 0 and first < vmas[at].end:
        return clip(vmas[at].label, 16)
    if told.what == READ:
        return "no VMA there"
    return f"{size((last - first + 1) >> 12)}" if last > first else ""


def _strip(mm: MmState, vmas: list[VmaState], width: int, look: Look) -> list[Row]:
    """The VMAs side by side, each as wide as the other, and where the last events hit them."""
    glyphs, shown = look.glyphs, min(len(vmas), max(width, 1))
    starts = [vma.start for vma in vmas]
    hits: dict[int, str] = {}
    for told in mm.tree_events[-RECENT:]:
        at = max(bisect_right(starts, unsigned(told.first)) - 1, 0)
        hits[at * shown // len(vmas) if len(vmas) > shown else at] = told.what
    cells = width // shown if shown else 1
    strip: list[Cell] = []
    marks: list[Cell] = []
    for column in range(shown):
        vma = vmas[column * len(vmas) // shown]
        glyph = glyphs.page_file if vma.file >= 0 else glyphs.slot
        before = vmas[column * len(vmas) // shown - 1] if column else None
        gap = cells > 1 and before is not None and before.end < vma.start
        text = glyph * (cells - gap)
        strip.append((glyphs.dot * gap, "faint"))
        strip.append((text, "page-file" if vma.file >= 0 else "slot"))
        what = hits.get(column, " ")
        style = "hold-write" if what == WRITE else "mark" if what == READ else "accent"
        marks.append((" " * gap, "text"))
        marks.append((pad(what, cells - gap), style))
    row: Row = ((f"{count(len(vmas))} VMAs known; nodes are not traced", "dim"),)
    return [row, tuple(strip), tuple(marks)]
