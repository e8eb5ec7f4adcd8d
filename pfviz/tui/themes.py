"""Themes as Textual and rich want them, made from the palettes and inks of the views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rich.console import Console
from rich.style import Style
from textual.theme import Theme

from pfviz.views.inks import Ink, ink_table
from pfviz.views.palettes import Palette

from .terminal import MANY, MONO, SIXTEEN


def textual_theme(palette: Palette) -> Theme:
    """What Textual's own widgets (inputs, lists, palette) take their colours from."""
    brand = ink_table(palette)["brand"]
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
            "brand-ground": brand.ground,
            "brand-ink": brand.color,
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


def style_table(palette: Palette, colors: bool = True) -> Mapping[str, Style]:
    """A style for every ink of a palette; without colours, weight and reverse only."""
    return {name: _style(ink) for name, ink in ink_table(palette, colors).items()}


def _style(ink: Ink) -> Style:
    return Style(
        color=ink.color or None,
        bgcolor=ink.ground or None,
        bold=ink.bold or None,
        dim=ink.dim or None,
        italic=ink.italic or None,
        strike=ink.strike or None,
        reverse=ink.reverse or None,
    )


def console_of(console: Console, depth: str) -> Console:
    """Textual's console with as many colours as this terminal has."""
    system: Literal["standard", "256", "truecolor"] = "truecolor"
    if depth in (MONO, SIXTEEN):
        system = "standard"
    elif depth == MANY:
        system = "256"
    return Console(
        file=console.file, color_system=system, force_terminal=True, legacy_windows=False,
        markup=True, highlight=False, emoji=False, safe_box=False, soft_wrap=False, _environ={},
    )  # fmt: skip
