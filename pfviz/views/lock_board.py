"""The lock board: who holds each lock, who waits behind whom and how long, what its word says."""

from __future__ import annotations

from typing import Final

from pfviz.sim.event import WRITE

from . import states
from .fold_locks import RWSEM_KINDS
from .frame import Frame, Hold, LockState
from .lock_words import TREE_LOCK, is_of_mm, title, words
from .look import DEFAULT, Look, absent, message, shown_mm
from .numbers import counted, duration
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, pad_name, row_width

HANDOFF_NS: Final = 4_000_000
"""RWSEM_WAIT_TIMEOUT: then the first waiter asks for the hand-off (kernel/locking/rwsem.c)."""
_KIND_ORDER: Final = ("vma_lock", "anon_vma", "i_mmap", "folio", "ptl", "zone")
_CROWD: Final = 3

Block = list[Row]


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """Locks, the most contended first: a line each, more lines where there is room."""
    if why := absent(frame, "locks"):
        return message(why, width, height, look)
    locks = ordered(frame, shown_mm(frame, look))
    if not locks:
        return message("no lock was touched yet", width, height, look)
    top = min(max(look.top, 0), len(locks) - 1)
    locks = locks[top:]
    contended = [index for index, lock in enumerate(locks) if lock.waiters or lock.spinners]
    order = contended + [index for index in range(len(locks)) if index not in set(contended)]
    blocks: dict[int, Block] = {}
    room = height
    idle = [lock for lock in locks[:height] if not lock.waiters and not lock.spinners]
    names = min(max((cell_width(title(frame, one)) for one in idle), default=0), width // 2)
    for group in (order[: len(contended)], order[len(contended) :]):
        shown = group[:room]
        for index in shown:
            padded = 0 if index in contended else names
            blocks[index] = [_compact(frame, locks[index], width, look, padded)]
        room -= len(shown)
        for index in shown:
            # A crowd may take what room is left, but no more than half of it before the others.
            for rows_max in (max(room // 2, 2), 2, 1):
                full = _full(frame, locks[index], width, look, rows_max)
                if 1 < len(full) <= room + 1:
                    blocks[index] = full
                    room -= len(full) - 1
                    break
    rows = _spaced([blocks[index] for index in sorted(blocks)], room)
    if len(rows) + 2 <= height and len(blocks) == len(locks) and not top:
        rows.extend([(), *_others(frame, locks, width)])
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def summary(frame: Frame) -> str:
    """The pane's foot: locks known, and how many threads wait."""
    waiting = sum(len(lock.waiters) for lock in frame.locks.values())
    spinning = sum(len(lock.spinners) for lock in frame.locks.values())
    text = counted(len(frame.locks), "lock")
    if waiting:
        text += f" · {waiting} waiting"
    if spinning:
        text += f" · {spinning} spinning"
    return text


def ordered(frame: Frame, mm: int = -1) -> list[LockState]:
    """The locks worth a line: those of all of `mm`, those in use, then those used last.

    In `beyond` the former are the locks on ranges and on the tree, elsewhere it is mmap_lock. A
    page-table, zone or folio lock that one thread has to itself is not worth a line.
    """
    shown = [lock for lock in frame.locks.values() if _is_worth_a_line(frame, lock, mm)]
    return sorted(shown, key=lambda lock: _rank(lock, mm))


def _is_worth_a_line(frame: Frame, lock: LockState, mm: int) -> bool:
    if lock.waiters or lock.spinners:
        return True
    if is_of_mm(lock):
        owner = frame.mms.get(lock.owner)
        return bool(lock.holders) or lock.owner == mm or owner is None or bool(owner.vmas)
    if lock.kind == "vma_lock":
        vma = frame.vmas.get(lock.owner)
        if lock.holders or vma is None:
            return bool(lock.holders)
        # A writer at work keeps readers out of what it has taken out of the tree already, too.
        return vma.detached_ns < 0 or (frame.is_written(vma) and not frame.splits_mmap_lock(vma.mm))
    return bool(lock.holders) and lock.kind in RWSEM_KINDS


def _rank(lock: LockState, mm: int) -> tuple[int, ...]:
    kind = _KIND_ORDER.index(lock.kind) if lock.kind in _KIND_ORDER else len(_KIND_ORDER)
    first = 0 if is_of_mm(lock) and (lock.owner == mm or lock.busy) else 1
    queue = len(lock.waiters) + len(lock.spinners)
    return (
        first,
        lock.kind == TREE_LOCK if first == 0 and lock.owner == mm else 0,
        -queue,
        0 if lock.holders else 1,
        kind if lock.busy else len(_KIND_ORDER),  # Idle ones keep their places.
        lock.id,
    )


def _spaced(blocks: list[Block], room: int) -> list[Row]:
    """The blocks one under the other; a tall one is set off by a blank line where there is room."""
    rows: list[Row] = []
    for index, block in enumerate(blocks):
        tall = len(block) > 1 or (index and len(blocks[index - 1]) > 1)
        if index and tall and room > 0:
            rows.append(())
            room -= 1
        rows.extend(block)
    return rows


# One lock in one line


def _others(frame: Frame, shown: list[LockState], width: int) -> list[Row]:
    """Which locks have no line, and why."""
    kinds: dict[str, int] = {}
    for lock in frame.locks.values():
        kinds[lock.kind] = kinds.get(lock.kind, 0) + 1
    for lock in shown:
        kinds[lock.kind] -= 1
    listed = [f"{number} {kind}" for kind, number in sorted(kinds.items()) if number > 0]
    if not listed:
        return []
    text = f"not listed, nobody waits for them: {', '.join(listed)}"
    if cell_width(text) > width:
        text = f"and {counted(sum(kinds.values()), 'lock')} that nobody waits for"
    return [((clip(text, width), "faint"),)]


def _compact(frame: Frame, lock: LockState, width: int, look: Look, names: int = 0) -> Row:
    """One line; the name takes `names` cells where lines stand below one another."""
    name = pad_name(title(frame, lock), names) if names else title(frame, lock)
    style = "lock" if lock.busy else "dim"
    row: list[Cell] = [(name, style), ("  ", "text")]
    row.extend(_people(frame, lock, width - cell_width(name) - 2, look))
    if not lock.busy:
        row.append((words(frame, lock), "faint"))
    return tuple(row)


def _people(frame: Frame, lock: LockState, width: int, look: Look) -> list[Cell]:
    """Holders, then the queue, on one line; what does not fit is counted."""
    entries: list[list[Cell]] = []
    for task, hold in lock.holders.items():
        entries.append(_holder(frame, task, hold, look, brief=True))
    for task, hold in lock.spinners.items():
        entries.append(_spinner(frame, task, hold, look))
    for task, hold in lock.waiters.items():
        arrow: Cell = (f"{look.glyphs.arrow_left} ", "dim")
        entries.append([arrow, *_waiter(frame, task, hold, look)])
    return _line(entries, width)


def _line(entries: list[list[Cell]], width: int) -> list[Cell]:
    out: list[Cell] = []
    used = 0
    for index, entry in enumerate(entries):
        wide = sum(cell_width(text) for text, _ in entry) + 1
        left = len(entries) - index
        reserve = len(f"+{left - 1}") + 1 if left > 1 else 0
        if used + wide + reserve > width + 1 and out:
            out.append((f"+{left}", "dim"))
            return out
        out.extend(entry)
        out.append((" ", "text"))
        used += wide
    return out


# One lock in several lines


def _full(frame: Frame, lock: LockState, width: int, look: Look, rows_max: int) -> Block:
    if not lock.busy:
        return [_compact(frame, lock, width, look)]
    rows: Block = [_head(frame, lock, width)]
    lead = 7 if width >= 40 else 2
    if lock.holders:
        holders = [
            _holder(frame, task, hold, look, brief=width < 40)
            for task, hold in lock.holders.items()
        ]
        if len(holders) > _CROWD:  # Of a crowd the first one's time is enough: it is the longest.
            holders[1:] = [cells[:-1] if len(cells) == 4 else cells for cells in holders[1:]]
        rows.extend(_wrapped("holds", holders, lead, width, rows_max, look))
    if lock.spinners:
        spinners = [_spinner(frame, task, hold, look) for task, hold in lock.spinners.items()]
        rows.extend(_wrapped("spins", spinners, lead, width, rows_max, look))
    if lock.waiters:
        waiters = [_waiter(frame, task, hold, look) for task, hold in lock.waiters.items()]
        rows.extend(_wrapped("queue", waiters, lead, width, rows_max + 1, look, arrows=True))
    return rows


def _head(frame: Frame, lock: LockState, width: int) -> Row:
    """Name, words and hand-off; the raw word goes first where there is no room for all."""
    row: Row = ()
    all_said, said = (words(frame, lock, wide=width >= 88, raw=raw) for raw in (True, False))
    first = said.partition(" · ")[0]
    for shown, has_handoff in ((all_said, True), (said, True), (first, True), (first, False)):
        handoff = _handoff(frame, lock, " · " if shown else "") if has_handoff else []
        row = ((title(frame, lock), "lock"), ("  ", "text"), (shown, "dim"), *handoff)
        if row_width(row) <= width:
            break
    return row


def _wrapped(
    word: str, entries: list[list[Cell]], lead: int, width: int, rows_max: int, look: Look,
    arrows: bool = False,
) -> Block:  # fmt: skip
    """Entries over at most `rows_max` rows under a word; the rest is counted."""
    rows: list[list[Cell]] = [[(f" {word:<{lead - 1}}" if lead > 2 else "  ", "dim")]]
    used = lead
    for index, entry in enumerate(entries):
        joint: Cell = (f" {look.glyphs.arrow_left} " if arrows else "  ", "dim")
        wide = sum(cell_width(text) for text, _ in entry) + cell_width(joint[0])
        last_row = len(rows) == rows_max
        left = len(entries) - index
        reserve = len(f" +{left} more") if last_row and left > 1 else 0
        if used + wide + reserve > width and used > lead:
            if last_row:
                rows[-1].append((f" +{left} more", "dim"))
                break
            rows.append([(" " * lead, "text")])
            used = lead
        if index and used > lead:
            rows[-1].append(joint)
        elif index and arrows:
            rows[-1].append((f"{look.glyphs.arrow_left} ", "dim"))
        rows[-1].extend(entry)
        used += wide
    return [tuple(row) for row in rows]


# Who holds, who waits


def _handoff(frame: Frame, lock: LockState, joint: str) -> list[Cell]:
    """When the first waiter may ask for the hand-off, or that it did."""
    if lock.kind not in RWSEM_KINDS or not lock.waiters:
        return []
    task, (_, since) = next(iter(lock.waiters.items()))
    if lock.handoff:
        return [(f"{joint}hand-off to {frame.label(task)}", "warn")]
    left = HANDOFF_NS - (frame.now_ns - since)
    if left > 0:
        return [(f"{joint}handoff in {duration(left)}", "dim")]
    return [(f"{joint}handoff due", "warn")]


def _holder(frame: Frame, task: int, hold: Hold, look: Look, brief: bool) -> list[Cell]:
    mode, since = hold
    glyph = look.glyphs.writer if mode == WRITE else look.glyphs.reader
    style = "hold-write" if mode == WRITE else "hold-read"
    letter = "W" if mode == WRITE else "R" if mode == 0 else ""
    cells: list[Cell] = [
        (f"{glyph} ", style),
        (f"{letter} " if letter else "", style),
        (frame.label(task), "task"),
        (f" {duration(frame.now_ns - since)}", "number"),
    ]
    seen = frame.tasks.get(task)
    if seen is not None and seen.state in (states.OFF_CPU, states.OFF_CPU_HOLDING):
        off = duration(frame.now_ns - seen.off_cpu_since_ns)
        cells.append((" off CPU" if brief else f", off CPU {off}", "off-cpu-holding"))
    elif seen is not None and seen.state in (states.IO, states.ASK, states.SLEEP, *states.WAITING):
        why = f" ({seen.asleep_why})" if seen.asleep_why else ""
        cells.append((" asleep" if brief else f", asleep{why}", "dim"))
    return cells


def _waiter(frame: Frame, task: int, hold: Hold, look: Look) -> list[Cell]:
    mode, since = hold
    glyph = look.glyphs.waits_write if mode == WRITE else look.glyphs.waits_read
    style = "wait-write" if mode == WRITE else "wait-read"
    return [
        (f"{glyph} {'W' if mode == WRITE else 'R'} ", style),
        (frame.label(task), "task"),
        (f" {duration(frame.now_ns - since)}", "number"),
    ]


def _spinner(frame: Frame, task: int, hold: Hold, look: Look) -> list[Cell]:
    return [
        (f"{look.glyphs.spinner} s ", "spin"),
        (frame.label(task), "task"),
        (f" {duration(frame.now_ns - hold[1])}", "number"),
    ]
