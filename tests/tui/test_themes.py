"""Colours: enough contrast, and states that people without red or green can tell apart."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from pfviz.tui.themes import style_table
from pfviz.views.inks import state_colors
from pfviz.views.palettes import DARK, LIGHT, Palette, palette_named, why_unknown
from pfviz.views.rows import STYLES

Matrix = npt.NDArray[np.float64]

# Machado, Oliveira, Fernandes (2009), severity 1.0, for linear RGB.
VISIONS: dict[str, Matrix] = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
}  # fmt: skip


def linear(color: str) -> Matrix:
    channels = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(color: str) -> float:
    return float(linear(color) @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: Matrix) -> Matrix:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_text_can_be_read_and_states_can_be_seen(palette: Palette) -> None:
    for name in ("text", "strong", "dim", "accent"):
        assert contrast(getattr(palette, name), palette.ground) >= 4.5, name
    for name, color in state_colors(palette).items():
        assert contrast(color, palette.ground) >= 3.0, name
        assert contrast(color, palette.ink) >= 3.0, name


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_the_locks_are_told_apart_by_everybody(palette: Palette, vision: str) -> None:
    seen = {
        name: lab(VISIONS[vision] @ linear(getattr(palette, name)))
        for name in ("vma", "mmap", "lockless", "waiting")
    }
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 14, (one, other)


@pytest.mark.parametrize("colors", [True, False])
def test_every_style_of_the_views_has_a_look(colors: bool) -> None:
    for palette in (DARK, LIGHT):
        assert style_table(palette, colors).keys() >= STYLES.keys()


def test_without_colours_there_are_none() -> None:
    for name, style in style_table(DARK, colors=False).items():
        assert style.color is None, name
        assert style.bgcolor is None, name


def test_an_unknown_theme_is_named_with_those_that_exist() -> None:
    assert why_unknown("dark") == ""
    assert "dark and light" in why_unknown("sunset")
    assert palette_named("light") is LIGHT
    assert palette_named(None) is DARK
