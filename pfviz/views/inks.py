"""Inks: what every style name of the views looks like in a palette, or without any colour.

Data for whoever draws: the screen makes terminal styles of them, exports escape sequences or CSS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from .palettes import DARK, Palette
from .rows import STYLES


@dataclass(frozen=True, slots=True)
class Ink:
    """How a cell is drawn; an empty colour is that of the ground or of the text."""

    color: str = ""
    """`#rrggbb`."""
    ground: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    strike: bool = False
    reverse: bool = False


def ink_table(palette: Palette, colors: bool = True) -> Mapping[str, Ink]:
    """An ink for every name in `views.rows.STYLES` and for the app's own rows."""
    table = _colored(palette) if colors else _plain()
    missing = STYLES.keys() - table.keys()
    assert not missing, f"styles without a look: {sorted(missing)}"
    return table


def state_colors(palette: Palette) -> dict[str, str]:
    """The colour of each state of a thread, by style name."""
    return {
        "user": palette.user,
        "kernel": palette.kernel,
        "entry": palette.entry,
        "fault-vma": palette.vma,
        "fault-mmap": palette.mmap,
        "fault-lockless": palette.lockless,
        "hold-read": palette.mmap,
        "hold-write": palette.mmap,
        "spin": palette.spin,
        "wait-read": palette.waiting,
        "wait-write": palette.waiting_write,
        "io": palette.io,
        "rcu": palette.rcu,
        "off-cpu": palette.faint,
        "off-cpu-holding": palette.mmap,
        "sleep": palette.faint,
        "ended": palette.faint,
    }


def _colored(palette: Palette) -> dict[str, Ink]:
    p = palette
    table = {
        "text": Ink(color=p.text),
        "strong": Ink(color=p.strong, bold=True),
        "dim": Ink(color=p.dim),
        "faint": Ink(color=p.faint),
        "accent": Ink(color=p.accent),
        "good": Ink(color=p.vma),
        "warn": Ink(color=p.mmap),
        "bad": Ink(color=p.waiting, bold=True),
        "selected": Ink(color=p.strong, ground=p.selected, bold=True),
        "now": Ink(color=p.dim),
        "task": Ink(color=p.strong, bold=True),
        "lock": Ink(color=p.strong, bold=True),
        "address": Ink(color=p.dim),
        "number": Ink(color=p.text),
        "vma": Ink(color=p.strong),
        "vma-detached": Ink(color=p.faint, strike=True),
        "page-anon": Ink(color=p.vma),
        "page-zero": Ink(color=p.dim),
        "page-file": Ink(color=p.io),
        "page-cow": Ink(color=p.mmap),
        "page-none": Ink(color=p.line),
        "mark": Ink(color=p.lockless, bold=True),
        "node": Ink(color=p.text),
        "node-walked": Ink(color=p.lockless, bold=True),
        "node-dead": Ink(color=p.faint, strike=True),
        "slot": Ink(color=p.accent),
        "slot-free": Ink(color=p.line),
        "gap": Ink(color=p.faint),
        "step-done": Ink(color=p.dim),
        "step-now": Ink(color=p.ink, ground=p.lockless, bold=True),
        "step-next": Ink(color=p.faint),
        "source": Ink(color=p.faint),
        "story": Ink(color=p.text, italic=True),
        "fallback": Ink(color=p.waiting_write),
    }
    for name, color in state_colors(palette).items():
        bold = name in ("hold-write", "off-cpu-holding", "wait-write")
        table[name] = Ink(color=color, bold=bold)
        table[f"{name}-on"] = Ink(color=p.ink, ground=color, bold=True)
    table.update(_own(palette))
    table.update(_stage(palette))
    if p.weight == "heavy":
        return {name: replace(ink, bold=True) for name, ink in table.items()}
    if p.weight == "sixteen":
        return {name: _of_sixteen(name, ink, p) for name, ink in table.items()}
    return table


def _of_sixteen(name: str, ink: Ink, p: Palette) -> Ink:
    """The ink where bold means bright and grounds are the eight dark colours.

    Bold black is dark grey there, bold brown is yellow, and a bright ground turns dark on a Linux
    console. So letters are bold where they are bright anyway, a letter of a state is the colour
    itself, and everything else on a colour is black on grey.
    """
    if name == "selected":
        return ink
    if ink.ground == p.raised:
        ink = replace(ink, ground="")
    elif ink.ground:
        on_state = name.endswith("-on")
        ink = Ink(color=ink.ground) if on_state else Ink(color=p.ink, ground=p.text)
    return replace(ink, bold=ink.color in BRIGHT)


BRIGHT: Final = frozenset(
    ("#ff5555", "#55ff55", "#ffff55", "#5555ff", "#ff55ff", "#55ffff", "#ffffff")
)
"""The bright seven of sixteen colours that can be read on black."""


def _own(p: Palette) -> dict[str, Ink]:
    """Styles of the app's own rows: header, seek bar, hint line, gallery."""
    return {
        "frame": Ink(color=p.line),
        "frame-focus": Ink(color=p.accent),
        "title": Ink(color=p.dim, bold=True),
        "title-focus": Ink(color=p.accent, bold=True),
        "foot": Ink(color=p.dim),
        "brand": Ink(color=p.ink, ground=p.accent, bold=True),
        "key": Ink(color=p.ink, ground=p.dim),
        "past": Ink(color=p.ink, ground=p.io, bold=True),
        "seek": Ink(color=p.accent),
        "seek-ahead": Ink(color=p.line),
        "seek-parted": Ink(color=p.waiting_write, bold=True),
        "seek-cue": Ink(color=p.strong, bold=True),
        "seek-break": Ink(color=p.waiting, bold=True),
        "seek-mark": Ink(color=p.lockless, bold=True),
        "seek-hit": Ink(color=p.rcu, bold=True),
        "mode-mmap_lock": Ink(color=p.ink, ground=p.mmap, bold=True),
        "mode-per-vma": Ink(color=p.ink, ground=p.vma, bold=True),
        "mode-lockless": Ink(color=p.ink, ground=p.lockless, bold=True),
        "say": Ink(color=p.ink, ground=p.rcu, bold=True),
        "say-text": Ink(color=p.rcu, bold=True),
    }


def _stage(p: Palette) -> dict[str, Ink]:
    """Styles of the stage, which is read from the back row."""
    return {
        "stage-title": Ink(color=p.text, bold=True),
        "stage-done": Ink(color=p.dim),
        "stage-here": Ink(color=p.accent),
        "stage-ahead": Ink(color=p.line),
        "stage-pane": Ink(color=p.dim, bold=True),
        "stage-focus": Ink(color=p.accent, bold=True),
        "stage-card": Ink(color=p.strong, bold=True),
        "stage-caption": Ink(color=p.strong, ground=p.raised, bold=True),
        "stage-edge": Ink(color=p.accent, ground=p.raised),
        "stage-aside": Ink(color=p.dim, ground=p.raised),
        "stage-verdict": Ink(color=p.strong, bold=True),
        "stage-ask": Ink(color=p.strong, bold=True),
        "stage-number": Ink(color=p.ink, ground=p.accent, bold=True),
        "stage-answer": Ink(color=p.text),
        "stage-right": Ink(color=p.ink, ground=p.vma, bold=True),
        "stage-wrong": Ink(color=p.ink, ground=p.waiting, bold=True),
        "stage-faded": Ink(color=p.dim),
    }


def _plain() -> dict[str, Ink]:
    """Looks for terminals without colour: glyph and letter say the state, weight helps."""
    table = {name: Ink() for name in STYLES}
    bold = Ink(bold=True)
    for name in ("strong", "task", "lock", "vma", "accent", "mark", "node-walked", "bad", "warn"):
        table[name] = bold
    for name in ("dim", "faint", "page-none", "slot-free", "step-done", "source", "gap"):
        table[name] = Ink(dim=True)
    for name in ("selected", "step-now"):
        table[name] = Ink(reverse=True, bold=True)
    for name in ("vma-detached", "node-dead"):
        table[name] = Ink(strike=True)
    for name in table:
        if name.endswith("-on"):
            table[name] = Ink(reverse=True)
    for name in _own(DARK):
        table[name] = bold
    table["frame"] = table["foot"] = Ink()
    for name, ink in _stage(DARK).items():
        table[name] = Ink(bold=ink.bold)
    table["stage-right"] = table["stage-number"] = Ink(reverse=True, bold=True)
    table["stage-wrong"] = Ink(strike=True)
    for name in (
        "title-focus",
        "brand",
        "past",
        "say",
        "mode-mmap_lock",
        "mode-per-vma",
        "mode-lockless",
        "key",
    ):
        table[name] = Ink(reverse=True, bold=True)
    return table
