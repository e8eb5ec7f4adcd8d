"""The address space: each VMA as a strip of its pages, who faults where, who has its lock."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from . import states
from .frame import Frame, TaskState
from .look import DEFAULT, Look, absent, message, selected_task, shown_mm, window
from .memory_state import (
    PRESENT,
    PTE_COW,
    PTE_FILE,
    PTE_ZERO,
    MmState,
    VmaState,
)
from .numbers import address, count, counted, size
from .rows import Cell, Row, Rows, cell_width, fit_rows, pad, pad_left

Marks = dict[int, list[int]]
"""Strip cell -> tasks that fault there."""


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """One row per VMA of one address space, in address order."""
    if why := absent(frame, "address"):
        return message(why, width, height, look)
    number = shown_mm(frame, look)
    if number not in frame.mms or not frame.mms[number].vmas:
        return message("no VMA is known yet", width, height, look)
    mm = frame.mms[number]
    vmas = sorted(_worth_a_row(mm, height), key=lambda vma: (vma.start, vma.detached_ns, vma.id))
    faulting = _faulting(frame, number)
    chosen = _chosen(frame, vmas, faulting, height, look)
    plan = _Plan(chosen, width)
    rows = [_row(frame, mm, vma, faulting.get(vma.id, []), plan, look) for vma in chosen]
    if len(rows) + 2 <= height:
        rows.extend([()] * (height - len(rows) - 1))
        rows.append(_legend(width, look, bool(mm.elsewhere), bool(mm.huge)))
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def _legend(width: int, look: Look, has_elsewhere: bool, has_huge: bool) -> Row:
    """What the textures of a strip mean, as many as fit."""
    glyphs = look.glyphs
    elsewhere = ((glyphs.page_elsewhere, "page-none", "in swap or elsewhere"),)
    huge = ((glyphs.page_huge, "page-anon", "huge page"),)
    kinds = (
        (glyphs.mark, "mark", "faults"),
        (glyphs.shares[4], "page-anon", "anonymous"),
        *(elsewhere if has_elsewhere else ()),
        *(huge if has_huge else ()),
        (glyphs.page_file, "page-file", "page cache"),
        (glyphs.page_cow, "page-cow", "copy on write"),
        (glyphs.page_zero, "page-zero", "zero page"),
        (glyphs.no_page, "page-none", "no page"),
    )
    row: list[Cell] = []
    used = 0
    for glyph, style, words in kinds:
        used += len(words) + 4
        if used - 2 <= width:
            row.extend(((f"{glyph} ", style), (f"{words}  ", "dim")))
    return tuple(row)


def summary(frame: Frame, height: int = 0, look: Look = DEFAULT) -> str:
    """The pane's foot: `41 VMAs · 6 shown · 1,204 pages`."""
    number = shown_mm(frame, look)
    if number not in frame.mms:
        return ""
    mm = frame.mms[number]
    attached = sum(1 for vma in mm.vmas.values() if vma.detached_ns < 0)
    text = counted(attached, "VMA")
    if 0 < height < attached:
        text += f" · {height} shown"
    if attached < len(mm.vmas):
        text += f" · {count(len(mm.vmas) - attached)} detached"
    text += f" · {counted(mm.pages_present, 'page')}"
    return f"{mm.name} · {text}" if len(frame.mms) > 1 else text


def _worth_a_row(mm: MmState, height: int) -> list[VmaState]:
    """The attached VMAs; where rows are left, those that left the tree last too."""
    gone = [vma for vma in mm.vmas.values() if vma.detached_ns >= 0]
    gone.sort(key=lambda vma: (-vma.detached_ns, vma.id))
    attached = [vma for vma in mm.vmas.values() if vma.detached_ns < 0]
    return [*attached, *gone[: min(max(height - len(attached), 0), _DETACHED_MAX)]]


def _faulting(frame: Frame, mm: int) -> dict[int, list[TaskState]]:
    """VMA -> the tasks with a fault in flight inside it."""
    tasks = [
        (task.fault.address, task)
        for task in frame.people()
        if task.fault is not None and task.in_fault and task.fault.mm == mm
    ]
    found: dict[int, list[TaskState]] = {}
    if not tasks:
        return found
    vmas = [vma for vma in frame.mms[mm].vmas.values() if vma.detached_ns < 0]
    vmas.sort(key=lambda vma: vma.start)
    starts = [vma.start for vma in vmas]
    for address_, task in tasks:
        position = bisect_right(starts, address_) - 1
        if position >= 0 and address_ < vmas[position].end:
            found.setdefault(vmas[position].id, []).append(task)
    return found


def _chosen(
    frame: Frame, vmas: list[VmaState], faulting: dict[int, list[TaskState]], height: int,
    look: Look,
) -> list[VmaState]:  # fmt: skip
    if len(vmas) <= height:
        return vmas
    if look.top >= 0:
        first, last = window(len(vmas), height, look.top)
        return vmas[first:last]
    selected = selected_task(frame, look)

    def heat(vma: VmaState) -> tuple[bool, bool, bool, int, int]:
        tasks = faulting.get(vma.id, [])
        mine = any(task.id == selected for task in tasks)
        lock = frame.locks.get(vma.lock)
        touched = lock.touched_ns if lock is not None else -1
        busy = lock is not None and lock.busy
        return (mine, bool(tasks), busy, max(touched, vma.changed_ns), -vma.id)

    hot = sorted(vmas, key=heat, reverse=True)[:height]
    keep = {vma.id for vma in hot}
    return [vma for vma in vmas if vma.id in keep]


class _Plan:
    """Where the columns are, for one width."""

    def __init__(self, vmas: list[VmaState], width: int) -> None:
        longest = max((cell_width(vma.label) for vma in vmas), default=4)
        self.address = 13 if width >= 58 else 0
        self.name = min(max(longest, 4), 8 if width < 50 else 12 if width < 100 else 20) + 1
        self.perms = 5 if width >= 44 else 0
        self.size = 9 if width >= 96 else 0
        rest = max(width - self.address - self.name - self.perms - self.size, 0)
        self.info = max(min(rest * 2 // 5, 44), min(rest, 8)) if rest >= 16 else 0
        self.strip = max(rest - self.info - (1 if self.info else 0), 0)


def _row(
    frame: Frame, mm: MmState, vma: VmaState, tasks: list[TaskState], plan: _Plan, look: Look
) -> Row:
    gone = vma.detached_ns >= 0
    row: list[Cell] = []
    if plan.address:
        row.append((pad(address(vma.start), plan.address), "vma-detached" if gone else "address"))
    style = "vma-detached" if gone else "vma"
    row.append((pad(vma.label, plan.name - 1) + " ", style))
    if plan.perms:
        row.append((pad(vma.perms, plan.perms), "dim"))
    if plan.size:
        row.append((pad_left(size(vma.pages), plan.size - 1) + " ", "dim"))
    row.extend(_strip(mm, vma, tasks, plan.strip, look))
    if plan.info:
        row.append((" ", "text"))
        row.extend(_info(frame, vma, tasks, plan.info, look))
    return tuple(row)


def _strip(
    mm: MmState, vma: VmaState, tasks: list[TaskState], width: int, look: Look
) -> list[Cell]:
    """The pages of a VMA over at most `width` cells; marks where threads fault."""
    pages = max(vma.pages, 1)
    cells = min(pages, width)
    if cells <= 0:
        return []
    marks: Marks = {}
    for task in tasks:
        assert task.fault is not None
        page = (task.fault.address - vma.start) >> 12
        marks.setdefault(page * cells // pages, []).append(task.id)
    if vma.detached_ns >= 0:
        return [(look.glyphs.no_page * cells + " " * (width - cells), "vma-detached")]
    row: list[Cell] = []
    for cell in range(cells):
        if cell in marks:
            crowd = len(marks[cell])
            glyph = look.glyphs.mark if crowd == 1 else str(min(crowd, 9))
            _append(row, (glyph, "mark"))
            continue
        first, last = pages * cell // cells, pages * (cell + 1) // cells
        _append(row, _pages(mm, vma.start + (first << 12), vma.start + (last << 12), look))
    if cells < width:
        row.append((" " * (width - cells), "text"))
    return row


def _append(row: list[Cell], cell: Cell) -> None:
    if row and row[-1][1] == cell[1]:
        row[-1] = (row[-1][0] + cell[0], cell[1])
    else:
        row.append(cell)


_DETACHED_MAX: Final = 2
_RECENT_NS: Final = 2_000
_SAMPLE_PAGES: Final = 512


def _pages(mm: MmState, start: int, end: int, look: Look) -> Cell:
    """The cell for the pages of [start, end): kind by glyph and colour, many by their share."""
    glyphs = look.glyphs
    pages = (end - start) >> 12
    if pages == 1 and start >> 12 not in mm.elsewhere:
        return _page(mm.page(start), look, start >> 21 in mm.huge)
    present = mm.present_between(start, end)
    if not present:
        away = mm.elsewhere and not mm.elsewhere.isdisjoint(range(start >> 12, end >> 12))
        return (glyphs.page_elsewhere if away else glyphs.no_page, "page-none")
    sample = mm.bytes_between(start, min(end, start + (_SAMPLE_PAGES << 12)))
    kind = next((byte for byte in sample if byte & PRESENT), PRESENT)
    is_huge = bool(mm.huge) and mm.huge.issuperset(range(start >> 21, ((end - 1) >> 21) + 1))
    full = _page(kind, look, is_huge)
    if present == pages:
        return full
    return (glyphs.shares[1 + present * 3 // pages], full[1])


def _page(byte: int, look: Look, is_huge: bool) -> Cell:
    glyphs = look.glyphs
    if not byte & PRESENT:
        return (glyphs.no_page, "page-none")
    if byte & PTE_ZERO:
        return (glyphs.page_zero, "page-zero")
    if byte & PTE_COW:
        return (glyphs.page_huge if is_huge else glyphs.page_cow, "page-cow")
    if byte & PTE_FILE:
        return (glyphs.page_huge if is_huge else glyphs.page_file, "page-file")
    return (glyphs.page_huge if is_huge else glyphs.shares[4], "page-anon")


def _info(
    frame: Frame, vma: VmaState, tasks: list[TaskState], width: int, look: Look
) -> list[Cell]:
    """Who has the VMA's lock, who faults in it, what was just done to it."""
    if vma.detached_ns >= 0:
        words = "detached, waits to be freed"
        return [(words if width >= cell_width(words) else "detached", "vma-detached")]
    cells = _lock_info(frame, vma, width >= 30)
    if tasks:
        names = ", ".join(frame.label(task.id) for task in tasks[:3])
        names += f" +{len(tasks) - 3}" if len(tasks) > 3 else ""
        verb, style = _verb(tasks)
        who = f"{look.glyphs.mark} {names}"
        taken = sum(cell_width(text) for text, _ in cells)
        # The mark and its colour say most of the verb.
        has_room = taken + cell_width(f"{who} {verb}") <= width
        cells.append((f"{who} {verb}" if has_room else who, style))
    elif vma.changed_why and 0 <= frame.now_ns - vma.changed_ns < _RECENT_NS:
        cells.append((vma.changed_why, "accent"))
    if not cells:
        mm = frame.mms[vma.mm]
        present = mm.present_between(vma.start, vma.end)
        huge = sum(vma.start <= index << 21 < vma.end for index in mm.huge)
        text = f"{count(present)}/{count(vma.pages)}"
        said = [f"{text} pages", text, f"{100 * present // max(vma.pages, 1)}%"]
        said = [f"{huge} huge · {one}" for one in said] + said if huge else said
        cells.append((next((one for one in said if cell_width(one) <= width), said[-1]), "faint"))
    return cells


def _lock_info(frame: Frame, vma: VmaState, wordy: bool) -> list[Cell]:
    """Whether the VMA is written or read, and by whom."""
    lock = frame.locks.get(vma.lock)
    if frame.is_written(vma):
        writer = _writer(frame, vma)
        by = frame.label(writer) if writer >= 0 else ""
        if wordy:
            return [(f"W written{f' by {by}' if by else ''}  ", "hold-write")]
        return [(f"W {by} ", "hold-write")]
    if lock is not None and lock.holders:
        readers = len(lock.holders)
        plural = "s" if readers != 1 else ""
        return [(f"R {readers} reader{plural}  " if wordy else f"R{readers} ", "fault-vma")]
    return []


def _writer(frame: Frame, vma: VmaState) -> int:
    """Who has write-locked a VMA; -1 when unknown."""
    if frame.splits_mmap_lock(vma.mm):
        return vma.writer
    mmap_lock = frame.locks.get(frame.mms[vma.mm].mmap_lock) if vma.mm in frame.mms else None
    return -1 if mmap_lock is None else mmap_lock.writer


def _verb(tasks: list[TaskState]) -> Cell:
    one = len(tasks) == 1
    if all(task.state == states.IO for task in tasks):
        return ("waits for I/O" if one else "wait for I/O", "io")
    if all(task.state == states.ASK for task in tasks):
        return ("waits for its monitor" if one else "wait for their monitor", "io")
    waiting = [task for task in tasks if task.state in states.WAITING]
    if len(waiting) == len(tasks):
        return ("waits" if one else "wait", "wait-read")
    return ("faults" if one else "fault", "wait-read" if waiting else "mark")
