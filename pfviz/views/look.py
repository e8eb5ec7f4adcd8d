"""How a pane is to be painted: what is selected, where it is scrolled to, which glyphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .frame import Frame
from .glyphs import UNICODE, Glyphs
from .rows import Cell, Row, Rows, fit_rows, wrap
from .states import STATES


@dataclass(frozen=True, slots=True)
class TreeLook:
    """How the maple tree is looked at: what was opened or folded by hand, where the cursor is."""

    opened: frozenset[int] = frozenset()
    folded: frozenset[int] = frozenset()
    cursor: int = -1
    """The node that keys act on; -1 before any was chosen."""
    shows_slots: bool = False
    """Whether the cursor's node is shown slot by slot."""


@dataclass(frozen=True, slots=True)
class Look:
    """Choices of the person at the screen; the defaults let every painter choose for itself."""

    glyphs: Glyphs = UNICODE
    selected: int = -1
    """The selected task; -1 follows the task of the last step."""
    mm: int = -1
    """The address space shown; -1 is that of the selected task, else the largest."""
    top: int = -1
    """The first item shown; -1 lets the painter show what matters most."""
    tree: TreeLook = TreeLook()
    people: tuple[int, ...] = ()
    """The threads that may have a lane, where others are hidden; empty lets the painter choose."""
    span_ns: int = 0
    """How much time the lanes show; 0 is chosen from what goes on."""
    lane_lines: int = 1
    """How high a lane may be where all threads have room for it; higher ones stand apart."""
    lanes_only: bool = False
    """Whether the lanes take the room of the words beside them."""


DEFAULT = Look()


def selected_task(frame: Frame, look: Look) -> int:
    """The task that panes about one task show; -1 when there is none yet."""
    if look.selected in frame.tasks and look.selected >= 0:
        return look.selected
    if frame.step_task >= 0:
        return frame.step_task
    if frame.event_task >= 0:
        return frame.event_task
    return min((task for task in frame.tasks if task >= 0), default=-1)


def shown_mm(frame: Frame, look: Look) -> int:
    """The address space that panes about one show; -1 when there is none yet.

    Without a choice it is the one with most VMAs: what is shown must not jump from process to
    process with every step.
    """
    if look.mm in frame.mms:
        return look.mm
    chosen = frame.tasks.get(look.selected) if look.selected >= 0 else None
    if chosen is not None and chosen.mm in frame.mms and frame.mms[chosen.mm].vmas:
        return chosen.mm
    return max(frame.mms, key=lambda mm: (len(frame.mms[mm].vmas), -mm), default=-1)


def state_cells(state: int, glyphs: Glyphs, count: int = 1) -> Cell:
    """A state as `count` cells of its glyph and colour."""
    shown = STATES[state]
    return (glyphs.of(shown) * count, shown.style)


def letter_cell(state: int) -> Cell:
    """A state's letter on its colour."""
    shown = STATES[state]
    return (shown.letter, f"{shown.style}-on" if shown.letter.strip() else "text")


def message(text: str, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """A pane that has nothing to show says why."""
    rows: list[Row] = [((line, "dim"),) for line in wrap(text, width, max(height, 0))]
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


_REASONS: Final[dict[str, tuple[str, ...]]] = {
    "threads": ("threads",),
    "locks": ("locks", "mmap_lock"),
    "address": ("address", "vmas", "vma_changes"),
    "tree": ("tree",),
    "latency": ("latency", "faults"),
    "steps": ("steps",),
    "counters": ("counters",),
}
"""Pane -> the names under which a log's meta may say why the pane stays empty."""


def absent(frame: Frame, pane: str) -> str:
    """Why a pane that has nothing to show cannot show anything; nothing when it has something.

    The reason is what the log says of itself: `log.meta["absent.<name>"]`.
    """
    if _has_content(frame, pane):
        return ""
    meta = frame.log.meta
    for name in _REASONS.get(pane, (pane,)):
        for key in (f"absent.{name}", f"absent:{name}"):
            if key in meta:
                return meta[key]
    return ""


def _has_content(frame: Frame, pane: str) -> bool:
    match pane:
        case "threads":
            return bool(frame.tasks)
        case "locks":
            return bool(frame.locks)
        case "address":
            return any(mm.vmas for mm in frame.mms.values())
        case "tree":
            return any(mm.nodes or mm.tree_events for mm in frame.mms.values())
        case "latency":
            return any(histogram.n for histogram in frame.fault_latency)
        case "steps":
            return bool(frame.log.steps)
        case "counters":
            return bool(frame.counters or frame.op_latency or frame.switches)
    return False


def window(count: int, height: int, top: int, keep: int = -1) -> tuple[int, int]:
    """Which of `count` items are shown in `height` rows: (first, past the last).

    `top` < 0 scrolls no further than it must to show item `keep`.
    """
    height = max(height, 0)
    last_top = max(count - height, 0)
    if top < 0:
        top = keep - height + 1 if keep >= height else 0
    top = min(max(top, 0), last_top)
    return top, min(top + height, count)
