"""How well colours can be told from their ground: WCAG's contrast, and what falls short of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .inks import state_colors
from .palettes import Palette

TEXT_MIN: Final = 4.5
"""WCAG AA for text."""
STATE_MIN: Final = 3.0
"""WCAG for marks that are no text; each state has a letter and a mark besides."""


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`: 0 is black, 1 is white."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def weak_spots(palette: Palette) -> Iterator[tuple[str, float, float]]:
    """(name of a colour, its contrast, what it should have) where a palette is hard to read."""
    wanted = dict.fromkeys(("text", "strong", "dim", "accent"), TEXT_MIN)
    states = set(state_colors(palette).values())
    for name in palette.color_names():
        color = getattr(palette, name)
        least = wanted.get(name, STATE_MIN if color in states else 0.0)
        ratio = contrast(color, palette.ground)
        if name != "ground" and ratio < least:
            yield name, ratio, least
    ratio = contrast(palette.strong, palette.selected)
    if ratio < TEXT_MIN:
        yield "selected", ratio, TEXT_MIN


def _linear(channel: float) -> float:
    if channel <= 0.04045:
        return channel / 12.92
    return float(((channel + 0.055) / 1.055) ** 2.4)
