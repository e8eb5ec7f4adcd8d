"""What every drawing of a tree marks: who walks where, who writes, which VMA a slot is."""

from __future__ import annotations

from .frame import Frame, TaskState
from .look import Look
from .memory_state import MmState
from .numbers import size
from .rows import Cell


def walkers(frame: Frame, number: int, mm: MmState) -> dict[int, list[TaskState]]:
    """Node -> the tasks that stand on it: their walk goes on, or was their last step."""
    found: dict[int, list[TaskState]] = {}
    for task in frame.people():
        goes_on = task.walk_at != task.walk_node and task.rcu_depth > 0
        walks = task.walk_ns >= 0 and (task.walk_ns >= task.step_ns or goes_on)
        if walks and task.mm in (number, -1):
            node = task.walk_at if task.walk_at in mm.nodes else task.walk_node
            if node in mm.nodes:
                found.setdefault(node, []).append(task)
    return found


def is_writing(frame: Frame, mm: MmState) -> bool:
    """Whether the task of the last write still stands on the step that wrote."""
    writer = frame.tasks.get(mm.write_task)
    return writer is not None and writer.step_ns <= mm.write_ns


def walk_marks(frame: Frame, here: list[TaskState], look: Look) -> list[Cell]:
    """The names of those who walk at a node."""
    if not here:
        return []
    names = ", ".join(frame.label(task.id) for task in here[:3])
    if len(here) > 3:
        names += f" and {len(here) - 3} more"
    verb = "walks" if len(here) == 1 else "walk"
    return [(f"{look.glyphs.arrow_left} {names} {verb} ", "mark")]


def vma_name(frame: Frame, vma: int) -> str:
    """A VMA's name, or its number when it is not known."""
    known = frame.vmas.get(vma)
    return known.label if known is not None else f"#{vma}"


def gap_text(gap_bytes: int) -> str:
    """The length of a run of NULL: as a size, in EiB where it reaches beyond user space."""
    if gap_bytes >= 1 << 60:
        return f"{gap_bytes / (1 << 60):.0f} EiB"
    return size(gap_bytes >> 12)
