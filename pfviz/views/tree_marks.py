"""What every drawing of a tree marks: who walks where, who writes, which VMA a slot is."""

from __future__ import annotations

from .frame import Frame, TaskState
from .look import Look
from .memory_state import MmState
from .rows import Cell


def walkers(frame: Frame, number: int, mm: MmState) -> dict[int, list[TaskState]]:
    """Node -> the tasks whose last step looked at it."""
    found: dict[int, list[TaskState]] = {}
    for task in frame.people():
        walks = task.walk_ns >= 0 and (task.walk_ns >= task.step_ns or task.rcu_depth > 0)
        if walks and task.mm in (number, -1) and task.walk_node in mm.nodes:
            found.setdefault(task.walk_node, []).append(task)
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
    verb = "walks" if len(here) == 1 else "walk"
    return [(f"{look.glyphs.arrow_left} {names} {verb} ", "mark")]


def vma_name(frame: Frame, vma: int) -> str:
    """A VMA's name, or its number when it is not known."""
    known = frame.vmas.get(vma)
    return known.label if known is not None else f"#{vma}"
