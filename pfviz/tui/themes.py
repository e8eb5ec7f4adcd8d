"""Colours: a dark and a light palette, and the table from every style name of the views to a style.

Hues are told apart by people who see no red or green too; a state never depends on them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich.style import Style
from textual.theme import Theme

from pfviz.views.rows import STYLES, clean


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


def textual_theme(palette: Palette) -> Theme:
    """What Textual's own widgets (inputs, lists, palette) take their colours from."""
    return Theme(
        name=palette.name,
        dark=palette.dark,
        primary=palette.accent,
        secondary=palette.user,
        accent=palette.accent,
        warning=palette.mmap,
        error=palette.waiting,
        success=palette.vma,
        foreground=palette.text,
        background=palette.ground,
        surface=palette.ground,
        panel=palette.raised,
        variables={
            "border": palette.accent,
            "border-blurred": palette.line,
            "dim": palette.dim,
            "faint": palette.faint,
            "line": palette.line,
            "strong": palette.strong,
            "selected": palette.selected,
            "vma": palette.vma,
            "mmap": palette.mmap,
            "lockless": palette.lockless,
            "waiting": palette.waiting,
            "block-cursor-background": palette.selected,
            "block-cursor-foreground": palette.strong,
            "block-cursor-text-style": "bold",
            "input-selection-background": palette.selected,
            "footer-key-foreground": palette.accent,
            "scrollbar": palette.line,
            "scrollbar-hover": palette.faint,
            "scrollbar-active": palette.accent,
            "scrollbar-background": palette.ground,
            "scrollbar-background-hover": palette.ground,
            "scrollbar-background-active": palette.ground,
            "scrollbar-corner-color": palette.ground,
        },
    )


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


def style_table(palette: Palette, colors: bool = True) -> Mapping[str, Style]:
    """A style for every name in `views.rows.STYLES`; without colours, weight and reverse only."""
    table = _colored(palette) if colors else _plain()
    missing = STYLES.keys() - table.keys()
    assert not missing, f"styles without a look: {sorted(missing)}"
    return table


def _colored(palette: Palette) -> dict[str, Style]:
    p = palette
    table = {
        "text": Style(color=p.text),
        "strong": Style(color=p.strong, bold=True),
        "dim": Style(color=p.dim),
        "faint": Style(color=p.faint),
        "accent": Style(color=p.accent),
        "good": Style(color=p.vma),
        "warn": Style(color=p.mmap),
        "bad": Style(color=p.waiting, bold=True),
        "selected": Style(color=p.strong, bgcolor=p.selected, bold=True),
        "now": Style(color=p.dim),
        "task": Style(color=p.strong, bold=True),
        "lock": Style(color=p.strong, bold=True),
        "address": Style(color=p.dim),
        "number": Style(color=p.text),
        "vma": Style(color=p.strong),
        "vma-detached": Style(color=p.faint, strike=True),
        "page-anon": Style(color=p.vma),
        "page-zero": Style(color=p.dim),
        "page-file": Style(color=p.io),
        "page-cow": Style(color=p.mmap),
        "page-none": Style(color=p.line),
        "mark": Style(color=p.lockless, bold=True),
        "node": Style(color=p.text),
        "node-walked": Style(color=p.lockless, bold=True),
        "node-dead": Style(color=p.faint, strike=True),
        "slot": Style(color=p.accent),
        "slot-free": Style(color=p.line),
        "gap": Style(color=p.faint),
        "step-done": Style(color=p.dim),
        "step-now": Style(color=p.ink, bgcolor=p.lockless, bold=True),
        "step-next": Style(color=p.faint),
        "source": Style(color=p.faint),
        "story": Style(color=p.text, italic=True),
        "fallback": Style(color=p.waiting_write),
    }
    for name, color in state_colors(palette).items():
        bold = name in ("hold-write", "off-cpu-holding", "wait-write")
        table[name] = Style(color=color, bold=bold)
        table[f"{name}-on"] = Style(color=p.ink, bgcolor=color, bold=True)
    table.update(_own(palette))
    return table


MODE_STYLES: Final = ("mode-mmap_lock", "mode-per-vma", "mode-lockless")


def _own(p: Palette) -> dict[str, Style]:
    """Styles of the app's own rows: header, seek bar, hint line, gallery."""
    return {
        "frame": Style(color=p.line),
        "frame-focus": Style(color=p.accent),
        "title": Style(color=p.dim, bold=True),
        "title-focus": Style(color=p.accent, bold=True),
        "foot": Style(color=p.dim),
        "brand": Style(color=p.ink, bgcolor=p.accent, bold=True),
        "key": Style(color=p.ink if p.dark else p.strong, bgcolor=p.dim if p.dark else p.line),
        "past": Style(color=p.ink, bgcolor=p.io, bold=True),
        "seek": Style(color=p.accent),
        "seek-ahead": Style(color=p.line),
        "seek-parted": Style(color=p.waiting_write, bold=True),
        "seek-cue": Style(color=p.strong, bold=True),
        "seek-break": Style(color=p.waiting, bold=True),
        "seek-mark": Style(color=p.lockless, bold=True),
        "seek-hit": Style(color=p.rcu, bold=True),
        "mode-mmap_lock": Style(color=p.ink, bgcolor=p.mmap, bold=True),
        "mode-per-vma": Style(color=p.ink, bgcolor=p.vma, bold=True),
        "mode-lockless": Style(color=p.ink, bgcolor=p.lockless, bold=True),
        "say": Style(color=p.ink, bgcolor=p.rcu, bold=True),
        "say-text": Style(color=p.rcu, bold=True),
    }


def _plain() -> dict[str, Style]:
    """Looks for terminals without colour: glyph and letter say the state, weight helps."""
    table = {name: Style() for name in STYLES}
    bold = Style(bold=True)
    for name in ("strong", "task", "lock", "vma", "accent", "mark", "node-walked", "bad", "warn"):
        table[name] = bold
    for name in ("dim", "faint", "page-none", "slot-free", "step-done", "source", "gap"):
        table[name] = Style(dim=True)
    for name in ("selected", "step-now"):
        table[name] = Style(reverse=True, bold=True)
    for name in ("vma-detached", "node-dead"):
        table[name] = Style(strike=True)
    for name in table:
        if name.endswith("-on"):
            table[name] = Style(reverse=True)
    for name in _own(DARK):
        table[name] = bold
    table["frame"] = table["foot"] = Style()
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
        table[name] = Style(reverse=True, bold=True)
    return table
