"""What a thread can be seen doing: number, letter, glyph, style and meaning of each state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEW: Final = 0
USER: Final = 1
KERNEL: Final = 2
ENTRY: Final = 3
FAULT_VMA: Final = 4
FAULT_MMAP: Final = 5
FAULT_LOCKLESS: Final = 6
HOLD_READ: Final = 7
HOLD_WRITE: Final = 8
SPIN: Final = 9
WAIT_READ: Final = 10
WAIT_WRITE: Final = 11
IO: Final = 12
RCU: Final = 13
OFF_CPU: Final = 14
OFF_CPU_HOLDING: Final = 15
SLEEP: Final = 16
ENDED: Final = 17
ASK: Final = 18


@dataclass(frozen=True, slots=True)
class State:
    """How one state is shown: never by colour alone."""

    letter: str
    glyph: str
    ascii: str
    style: str
    label: str
    """Two words at most, for the legend."""
    console: str
    """What the fonts of a Linux console have for it."""


STATES: Final = (
    State(" ", " ", " ", "faint", "not yet", " "),
    State("u", "━", "-", "user", "user", "─"),
    State("k", "═", "=", "kernel", "syscall", "═"),
    State("f", "▄", "f", "entry", "fault entry", "f"),
    State("V", "█", "V", "fault-vma", "VMA lock", "█"),
    State("M", "▓", "M", "fault-mmap", "mmap_lock", "╬"),
    State("L", "▆", "L", "fault-lockless", "lockless", "■"),
    State("R", "▌", "R", "hold-read", "holds read", "║"),
    State("W", "▊", "W", "hold-write", "holds write", "╫"),
    State("s", "▚", "s", "spin", "spins", "%"),
    State("r", "░", "r", "wait-read", "waits read", "░"),
    State("w", "▒", "w", "wait-write", "waits write", "▒"),
    State("i", "≈", "~", "io", "I/O", "≈"),
    State("c", "≡", "c", "rcu", "RCU", "≡"),
    State("q", "·", ".", "off-cpu", "off CPU", "·"),
    State("h", "•", "h", "off-cpu-holding", "off CPU, holds", "•"),
    State("z", "┄", "z", "sleep", "sleeps", "-"),
    State("e", " ", " ", "ended", "ended", " "),
    State("a", "╍", "a", "io", "asks monitor", "÷"),
)
"""Indexed by the numbers above."""

FAULTING: Final = frozenset((ENTRY, FAULT_VMA, FAULT_MMAP, FAULT_LOCKLESS))
WAITING: Final = frozenset((WAIT_READ, WAIT_WRITE))

REGIME_STATES: Final = (FAULT_MMAP, FAULT_VMA, FAULT_LOCKLESS)
"""By `FAULT_PATH.regime`."""
REGIME_NAMES: Final = ("mmap_lock", "VMA lock", "lockless")
REGIME_STYLES: Final = ("fault-mmap", "fault-vma", "fault-lockless")
