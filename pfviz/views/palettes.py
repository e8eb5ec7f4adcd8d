"""Palettes: the colours of each theme, named by what they mean. No terminal, no library.

Hues are told apart by people who see no red or green too; a state never depends on them alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


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
    weight: str = "usual"
    """`usual`; `heavy`, where every letter is bold because thin strokes are the first thing that a
    washed-out picture loses; `sixteen`, where bold would be another colour."""

    @classmethod
    def color_names(cls) -> tuple[str, ...]:
        """The names of its colours, as a theme file has them."""
        return tuple(one.name for one in fields(cls) if one.name not in ("name", "dark", "weight"))


DARK: Final = Palette(
    name="pfviz-dark", dark=True, ground="#0f1118", raised="#181b25", line="#3b4152",
    text="#ccd2e3", strong="#ffffff", dim="#8f97ad", faint="#6c748b", accent="#82aaff",
    vma="#1fb592", mmap="#f09a2a", lockless="#fff2a8", waiting="#dd4733", waiting_write="#ff8573",
    spin="#ffa0ee", io="#a48cf5", rcu="#67c7e8", user="#5b8def", kernel="#9fb1d8",
    entry="#c6d0ee", selected="#262c3d", ink="#0b0d12",
)  # fmt: skip

LIGHT: Final = Palette(
    name="pfviz-light", dark=False, ground="#fbfaf6", raised="#efeee8", line="#b9b8ae",
    text="#2b2e38", strong="#000000", dim="#62656f", faint="#7b7d85", accent="#1d5fd1",
    vma="#00806f", mmap="#984200", lockless="#9c8c12", waiting="#8f0a22", waiting_write="#c2185b",
    spin="#b23ac0", io="#7a68d8", rcu="#007fa8", user="#2b5fc0", kernel="#55607d",
    entry="#3f4657", selected="#e2e6f2", ink="#ffffff",
)  # fmt: skip

CONTRAST: Final = Palette(
    name="pfviz-contrast", dark=True, ground="#000000", raised="#141414", line="#9a9a9a",
    text="#ffffff", strong="#ffffff", dim="#d6d6d6", faint="#b4b4b4", accent="#8fc1ff",
    vma="#4af0c8", mmap="#f0a020", lockless="#fff2a0", waiting="#ff4d6a", waiting_write="#ff94a4",
    spin="#ff9cf0", io="#b8a2ff", rcu="#7fdcff", user="#7da7ff", kernel="#c2cfee",
    entry="#e4e9f7", selected="#33415c", ink="#000000",
)  # fmt: skip

CONTRAST_LIGHT: Final = Palette(
    name="pfviz-contrast-light", dark=False, ground="#ffffff", raised="#f2f2f2", line="#6e6e6e",
    text="#000000", strong="#000000", dim="#3a3a3a", faint="#545454", accent="#0a3fa8",
    vma="#006b63", mmap="#783101", lockless="#7b7502", waiting="#8a0327", waiting_write="#b00f52",
    spin="#8a1c99", io="#5a3fc0", rcu="#00627f", user="#1f4aa8", kernel="#44506e",
    entry="#333b4c", selected="#cfdcf7", ink="#ffffff",
)  # fmt: skip

PROJECTOR: Final = Palette(
    name="pfviz-projector", dark=False, ground="#ffffff", raised="#f4f4f4", line="#5e5e5e",
    text="#000000", strong="#000000", dim="#262626", faint="#3d3d3d", accent="#0033b8",
    vma="#00707c", mmap="#843e00", lockless="#8a8200", waiting="#d6004c", waiting_write="#a00040",
    spin="#9600b0", io="#4a24d0", rcu="#005f86", user="#0033b8", kernel="#2e3850",
    entry="#1c2230", selected="#ffe36e", ink="#ffffff", weight="heavy",
)  # fmt: skip

SIXTEEN: Final = Palette(
    name="pfviz-16", dark=True, ground="#000000", raised="#000000", line="#555555",
    text="#aaaaaa", strong="#ffffff", dim="#aaaaaa", faint="#aaaaaa", accent="#5555ff",
    vma="#55ffff", mmap="#aa5500", lockless="#ffff55", waiting="#ff5555", waiting_write="#ff5555",
    spin="#ff55ff", io="#5555ff", rcu="#55ff55", user="#00aaaa", kernel="#aaaaaa",
    entry="#ffffff", selected="#0000aa", ink="#000000", weight="sixteen",
)  # fmt: skip
"""What every theme becomes on a terminal of sixteen colours: exactly those, by their VGA values.

The nearest colours of a rich theme would be black on black, and yellow on a white ground is not
seen, so there is one such table, on black. Which sixteen a terminal really has is its own affair:
bright black, which some make their ground, is for lines only.
"""

PALETTES: Final = {
    palette.name: palette for palette in (DARK, LIGHT, CONTRAST, CONTRAST_LIGHT, PROJECTOR)
}
SHORT_NAMES: Final = {name.removeprefix("pfviz-"): name for name in PALETTES}


def palette_named(name: str | None) -> Palette:
    """The palette called `dark`, `light` or by its full name; the dark one for anything else."""
    return PALETTES.get(SHORT_NAMES.get(name or "dark", name or ""), DARK)
