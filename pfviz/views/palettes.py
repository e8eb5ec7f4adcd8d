"""Palettes: the colours of each theme, named by what they mean. No terminal, no library.

Hues are told apart by people who see no red or green too; a state never depends on them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .rows import clean


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme, named by what they mean."""

    name: str
    dark: bool
    ground: str
    raised: str
    line: str
    text: str
    strong: str
    dim: str
    faint: str
    accent: str
    vma: str
    """The VMA lock: green-teal."""
    mmap: str
    """mmap_lock: amber."""
    lockless: str
    waiting: str
    waiting_write: str
    spin: str
    io: str
    rcu: str
    user: str
    kernel: str
    entry: str
    selected: str
    """Background of the selected row."""
    ink: str
    """Letters on a coloured ground."""


DARK: Final = Palette(
    name="pfviz-dark", dark=True, ground="#0f1118", raised="#181b25", line="#3b4152",
    text="#ccd2e3", strong="#ffffff", dim="#8f97ad", faint="#5b6379", accent="#82aaff",
    vma="#1fb592", mmap="#f09a2a", lockless="#fff2a8", waiting="#dd4733", waiting_write="#ff8573",
    spin="#ffa0ee", io="#a48cf5", rcu="#67c7e8", user="#5b8def", kernel="#9fb1d8",
    entry="#c6d0ee", selected="#262c3d", ink="#0b0d12",
)  # fmt: skip

LIGHT: Final = Palette(
    name="pfviz-light", dark=False, ground="#fbfaf6", raised="#efeee8", line="#b9b8ae",
    text="#2b2e38", strong="#000000", dim="#62656f", faint="#8d8f96", accent="#1d5fd1",
    vma="#00806f", mmap="#984200", lockless="#9c8c12", waiting="#8f0a22", waiting_write="#c2185b",
    spin="#b23ac0", io="#7a68d8", rcu="#007fa8", user="#2b5fc0", kernel="#55607d",
    entry="#3f4657", selected="#e2e6f2", ink="#ffffff",
)  # fmt: skip

PALETTES: Final = {palette.name: palette for palette in (DARK, LIGHT)}
SHORT_NAMES: Final = {"dark": DARK.name, "light": LIGHT.name}


def palette_named(name: str | None) -> Palette:
    """The palette called `dark`, `light` or by its full name; the dark one for anything else."""
    return PALETTES.get(SHORT_NAMES.get(name or "dark", name or ""), DARK)


def why_unknown(name: str | None) -> str:
    """What is wrong with a theme's name; empty when nothing is."""
    if not name or name in SHORT_NAMES or name in PALETTES:
        return ""
    return f"theme {clean(name)!r} is not known here: there are {' and '.join(SHORT_NAMES)}"
