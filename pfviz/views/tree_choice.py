"""Which address space's tree is shown: that of all panes, or the copy that a fork is filling."""

from __future__ import annotations

from .frame import Frame
from .look import Look, shown_mm


def tree_mm(frame: Frame, look: Look) -> int:
    """The address space whose tree is shown; -1 when there is none yet."""
    number = shown_mm(frame, look)
    copy = _copy_of(frame, look, number)
    return number if copy < 0 else copy


def is_copy(frame: Frame, look: Look) -> bool:
    """Whether the tree shown is one that a fork has not finished."""
    return tree_mm(frame, look) != shown_mm(frame, look)


def _copy_of(frame: Frame, look: Look, number: int) -> int:
    """The tree that a fork of this address space copies into now; -1 if there is none.

    Nobody runs in it yet and its parent's tree rests. Who chose an address space, or another
    thread than the one that forks, keeps what was chosen.
    """
    if look.mm in frame.mms:
        return -1
    forks = [
        task for task in frame.people()
        if task.op == "fork" and task.mm == number and look.selected in (-1, task.id)
    ]  # fmt: skip
    if not forks:
        return -1
    lived_in = {task.mm for task in frame.people()}
    copies = [
        mm.id for mm in frame.mms.values()
        if mm.parent == number and mm.nodes and mm.id not in lived_in
    ]  # fmt: skip
    return max(copies, default=-1)
