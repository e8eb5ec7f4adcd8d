"""What a dead maple node still waits for, and how far it has faded.

Only what the log has told up to the moment shown: not when the grace period will end.
"""

from __future__ import annotations

from .frame import Frame
from .memory_state import NodeState

FRESH, FADING, FADED = range(3)
"""Shades: all readers of its time are inside; some have left; only its grace period is to end."""


def readers_left(frame: Frame, node: NodeState) -> list[int]:
    """The tasks still inside the RCU section in which they were when a node died."""
    return [task for task, section in node.readers if frame.rcu_sections.get(task) == section]


def shade(frame: Frame, node: NodeState) -> int:
    """How far a dead node has faded: FRESH, FADING or FADED; it never goes back."""
    readers = readers_left(frame, node)
    if readers and len(readers) == len(node.readers):
        return FRESH
    return FADING if readers or _is_queued(frame, node) else FADED


def waits_for(frame: Frame, node: NodeState) -> str:
    """In words: `waits for 2 readers`, `waits for reader-3`, `waits for its grace period`."""
    readers = readers_left(frame, node)
    if len(readers) == 1:
        return f"waits for {frame.label(readers[0])}"
    if readers:
        return f"waits for {len(readers)} readers"
    if node.freed_after <= frame.rcu_grace_periods:
        return "its grace period is over"
    # An older grace period has to end before its own can begin.
    return f"waits for {'2 grace periods' if _is_queued(frame, node) else 'its grace period'}"


def _is_queued(frame: Frame, node: NodeState) -> bool:
    return node.freed_after - frame.rcu_grace_periods > 1
