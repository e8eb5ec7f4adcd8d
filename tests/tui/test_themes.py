"""Colours: enough contrast, and states that people without red or green can tell apart."""

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from rich.color import Color, ColorSystem
from rich.style import Style

from pfviz.tui.themes import style_table
from pfviz.views import contrast as measured
from pfviz.views.inks import ink_table, state_colors
from pfviz.views.palettes import (
    CONTRAST,
    CONTRAST_LIGHT,
    DARK,
    LIGHT,
    PALETTES,
    PROJECTOR,
    SIXTEEN,
    Palette,
    palette_named,
)
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
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
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


VGA = (
    "#000000", "#aa0000", "#00aa00", "#aa5500", "#0000aa", "#aa00aa", "#00aaaa", "#aaaaaa",
    "#555555", "#ff5555", "#55ff55", "#ffff55", "#5555ff", "#ff55ff", "#55ffff", "#ffffff",
)  # fmt: skip


def downgraded(color: str, system: ColorSystem) -> str:
    """The colour that a terminal of 256 or 16 colours is sent instead."""
    sent = Color.parse(color).downgrade(system)
    if system is ColorSystem.STANDARD:
        assert sent.number is not None
        return VGA[sent.number]
    return sent.get_truecolor().hex


def washed_out(color: str) -> str:
    """The colour in a picture of 30 % contrast: black is grey, and white is too."""
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 * (0.35 + 0.3 * channel)):02x}" for channel in channels)


each_palette = pytest.mark.parametrize(
    "palette", [*PALETTES.values(), SIXTEEN], ids=lambda palette: palette.name
)


@each_palette
def test_text_can_be_read_and_states_can_be_seen(palette: Palette) -> None:
    for name in ("text", "strong", "dim", "accent"):
        least = 4.0 if palette is SIXTEEN else 4.5
        assert contrast(getattr(palette, name), palette.ground) >= least, name
    for name, color in state_colors(palette).items():
        assert contrast(color, palette.ground) >= 3.0, name
        assert contrast(color, palette.ink) >= 3.0, name


@pytest.mark.parametrize("palette", [CONTRAST, CONTRAST_LIGHT], ids=lambda palette: palette.name)
def test_high_contrast_is_aaa_for_all_words_and_aa_for_all_states(palette: Palette) -> None:
    for name in ("text", "strong", "dim", "faint", "accent"):
        assert contrast(getattr(palette, name), palette.ground) >= 7.0, name
    for name in ("strong", "text"):
        assert contrast(getattr(palette, name), palette.selected) >= 7.0, name
    for name, color in state_colors(palette).items():
        assert contrast(color, palette.ground) >= 4.5, name
    assert contrast(palette.line, palette.ground) >= 3.0


def test_a_projector_of_30_percent_contrast_leaves_everything_readable() -> None:
    def seen(color: str, ground: str) -> float:
        return contrast(washed_out(color), washed_out(ground))

    best = seen("#000000", "#ffffff")
    for name, ink in ink_table(PROJECTOR).items():
        color, ground = ink.color or PROJECTOR.text, ink.ground or PROJECTOR.ground
        assert seen(color, ground) >= 0.55 * best, name
        assert ink.bold, name
    for name in ("text", "strong", "dim", "faint"):
        assert seen(getattr(PROJECTOR, name), PROJECTOR.ground) >= 0.7 * best, name
    # The dark theme, made for a desk, would not do: that is why there is this one.
    assert seen(DARK.faint, DARK.ground) < 0.55 * best


def regimes_apart(palette: Palette, vision: str, shown: object = str) -> float:
    """The least distance (CIE76) between two of the colours that say who guards a fault."""
    seen = [
        lab(VISIONS[vision] @ linear(shown(getattr(palette, name))))  # type: ignore[operator]
        for name in ("vma", "mmap", "lockless", "waiting")
    ]
    return min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2))


@pytest.mark.parametrize("vision", VISIONS)
@each_palette
def test_the_locks_are_told_apart_by_everybody(palette: Palette, vision: str) -> None:
    assert regimes_apart(palette, vision) >= 14


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)
def test_256_colours_tell_the_locks_apart_too(palette: Palette, vision: str) -> None:
    assert regimes_apart(palette, vision, lambda c: downgraded(c, ColorSystem.EIGHT_BIT)) >= 9


def test_the_locks_are_apart_in_a_washed_out_picture() -> None:
    for vision in VISIONS:
        assert regimes_apart(PROJECTOR, vision, washed_out) >= 6, vision


def pair(style: Style, palette: Palette, system: ColorSystem) -> tuple[str, str]:
    color = style.color.name if style.color else palette.text
    ground = style.bgcolor.name if style.bgcolor else palette.ground
    return downgraded(color, system), downgraded(ground, system)


QUIET = {"page-none", "slot-free", "frame", "seek-ahead", "stage-ahead"}
"""Guides and empty places: marks that say nothing else."""


@pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)
def test_nothing_is_lost_on_a_terminal_of_256_colours(palette: Palette) -> None:
    for name, style in style_table(palette).items():
        color, ground = pair(style, palette, ColorSystem.EIGHT_BIT)
        assert contrast(color, ground) >= (1.8 if name in QUIET else 3.0), (name, color, ground)


def test_sixteen_colours_are_sent_as_they_are_and_can_be_read() -> None:
    for name, style in style_table(SIXTEEN).items():
        color, ground = pair(style, SIXTEEN, ColorSystem.STANDARD)
        for exact, sent in ((style.color, color), (style.bgcolor, ground)):
            assert exact is None or exact.name == sent, name
        assert contrast(color, ground) >= (2.5 if name in QUIET else 4.0), (name, color, ground)


def test_bold_never_changes_one_of_sixteen_colours_into_another() -> None:
    """A Linux console shows bold as bright, and a bright ground as a dark one."""
    for name, style in style_table(SIXTEEN).items():
        if style.bold:
            assert style.color is not None, name
            assert Color.parse(style.color.name).downgrade(ColorSystem.STANDARD).number > 8, name
        if style.bgcolor is not None:
            sent = Color.parse(style.bgcolor.name).downgrade(ColorSystem.STANDARD).number
            assert sent is not None, name
            assert sent < 8, name


@pytest.mark.parametrize("colors", [True, False])
def test_every_style_of_the_views_has_a_look(colors: bool) -> None:
    for palette in (*PALETTES.values(), SIXTEEN):
        assert style_table(palette, colors).keys() >= STYLES.keys()


def test_without_colours_there_are_none() -> None:
    for name, style in style_table(DARK, colors=False).items():
        assert style.color is None, name
        assert style.bgcolor is None, name


def test_our_palettes_have_short_names() -> None:
    assert palette_named("light") is LIGHT
    assert palette_named(None) is DARK


def test_weak_spots_are_what_can_hardly_be_read() -> None:
    assert list(measured.weak_spots(CONTRAST)) == []
    assert measured.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert measured.luminance("#ffa020") == pytest.approx(luminance("#ffa020"))
    grey = replace(DARK, dim="#303030")
    assert [name for name, _, _ in measured.weak_spots(grey)] == ["dim"]
