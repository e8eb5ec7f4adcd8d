"""A film as one page that plays: picture, captions as text, no network, no script but its own.

Without JavaScript it is the first picture and all that is said, as text. Whatever came from a file
is escaped; the page's own policy allows its script and its style and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from pfviz.views.inks import Ink
from pfviz.views.palettes import Palette
from pfviz.views.rows import Row, Rows, char_width, clean

from .drawing import (
    BASELINE,
    BLOCKS,
    CELL_HEIGHT,
    CELL_WIDTH,
    CORNERS,
    DRAWN,
    SHADES,
    SHAPES,
    THIN,
    Pen,
    colors_of,
    escaped,
)  # fmt: skip
from .film import Film, Piece
from .reel import SECOND_US, Mark
from .strips import Cut, strips_of
from .svg import MARGIN, frame_css, size_of

MS_US: Final = 1000
COLORS: Final = ("ground", "raised", "line", "text", "strong", "dim", "accent")
"""What the page takes of the palette, apart from the picture."""


def pieces(film: Film) -> Iterator[Piece]:
    """The file piece by piece."""
    pictures: list[tuple[int, Rows]] = []
    for picture in film.pictures():
        pictures.append(picture)
        yield len(pictures), b""
    yield len(pictures), page(film, pictures).encode()


def page(film: Film, pictures: list[tuple[int, Rows]]) -> str:
    """The whole page."""
    pen = Pen(film.inks, film.palette)
    cut = strips_of(pictures)
    contents: dict[Row, int] = {}
    strips = [
        (
            [at_us // MS_US for at_us, _ in strip.changes],
            [
                contents.setdefault(strip.contents[number], len(contents))
                for _, number in strip.changes
            ],
        )
        for strip in cut.strips
    ]
    picture = _picture(film, pen, cut)
    style = _style(film.palette) + frame_css() + pen.css()
    script = _read("player.js")
    data = {
        "lasts": film.lasts_us // MS_US,
        "story": clean(film.story),
        "marks": [mark.at_us // MS_US for mark in film.marks],
        "captions": [clean(mark.caption) for mark in film.marks],
        "strips": strips,
        **_drawing(film, tuple(contents)),
    }
    return _document(film, style, script, picture, _json(data))


def _drawing(film: Film, rows: Rows) -> dict[str, Any]:
    """The rows that the script draws, and what it must know to draw them."""
    styles = {style: 0 for row in rows for _, style in row}
    numbers = {style: number for number, style in enumerate(styles)}
    chars = sorted({char for row in rows for text, _ in row for char in text})
    drawn = [char for char in chars if char in DRAWN]
    return {
        "contents": [
            [item for text, style in row for item in (numbers[style], text)] for row in rows
        ],
        "styles": [_style_of(film, style) for style in styles],
        "cell": (CELL_WIDTH, CELL_HEIGHT, BASELINE),
        "drawn": "".join(drawn),
        "shapes": {char: SHAPES[char] for char in drawn if char in SHAPES},
        "shades": {char: float(SHADES[char]) for char in drawn if char in SHADES},
        "corners": {char: CORNERS[char] for char in drawn if char in CORNERS},
        "thin": THIN,
        "blocks": "".join(char for char in drawn if char in BLOCKS),
        "wide": {char: char_width(char) for char in chars if char_width(char) != 1},
    }


def _style_of(film: Film, style: str) -> tuple[str, str, dict[str, Any]]:
    """(colour of the letters, of their ground, other attributes) of a style."""
    ink = film.inks.get(style) or Ink()
    more: dict[str, Any] = {}
    if ink.bold:
        more["font-weight"] = 700
    if ink.italic:
        more["font-style"] = "italic"
    if ink.strike:
        more["text-decoration"] = "line-through"
    if ink.dim:
        more["opacity"] = 0.6
    return (*colors_of(ink, film.palette), more)


def _document(film: Film, style: str, script: str, picture: str, data: str) -> str:
    title, story = escaped(film.title), escaped(film.story)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    ticks = "".join(
        f"<path d='M{mark.at_us * 1000 // max(film.lasts_us, 1)} 0v6' stroke='currentColor'"
        " stroke-width='2'/>"
        for mark in film.marks
    )
    lasts_ms = film.lasts_us // MS_US
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="{"dark" if film.palette.dark else "light"}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{picture}
<p id="caption" aria-live="polite">{story}</p>
<div id="controls" role="group" aria-label="Player">
<button id="play" type="button">Play</button>
<span id="bar"><input id="seek" type="range" min="0" max="{lasts_ms}" step="1" value="0"
aria-label="Position"><svg id="ticks" viewBox="0 0 1000 6" preserveAspectRatio="none"
aria-hidden="true">{ticks}</svg></span>
<span id="clock"></span>
<select id="rate" aria-label="Speed">
<option value="0.5">0.5x</option><option value="1" selected>1x</option>
<option value="2">2x</option><option value="4">4x</option>
</select>
</div>
<p class="hint">Keys: <kbd>space</kbd> plays and pauses, <kbd>←</kbd> <kbd>→</kbd> move by two
seconds, <kbd>[</kbd> <kbd>]</kbd> go to captions.</p>
<noscript><p class="hint">Without JavaScript this page shows the first picture and what is said.</p>
</noscript>
<h2>What is said</h2>
<p>{story}</p>
<ol id="cues">
{"".join(map(_cue, film.marks))}</ol>
</main>
<script type="application/json" id="film">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def _cue(mark: Mark) -> str:
    seconds = mark.at_us // SECOND_US
    time = f"{seconds // 60}:{seconds % 60:02d}"
    said = f"<p>{escaped(mark.said)}</p>" if mark.said else ""
    return f'<li><button type="button">{time} {escaped(mark.caption)}</button>{said}</li>\n'


def _picture(film: Film, pen: Pen, cut: Cut) -> str:
    """The first picture; what will change in groups that the script finds by their ids."""
    width, height = size_of(film.size)
    out = [
        f"<svg id='picture' viewBox='0 0 {width} {height}' role='img'"
        f" aria-label='{escaped(film.title)}'>\n"
        f"<rect width='{width}' height='{height}' fill='{film.palette.ground}'/>\n"
    ]
    for y, row in enumerate(cut.background):
        out.append(f"<g transform='{_place(0, y)}'>{pen.row(row)}</g>\n")
    for index, strip in enumerate(cut.strips):
        first = strip.contents[strip.changes[0][1]]
        out.append(
            f"<g id='s{index}' transform='{_place(strip.x, strip.y)}'>{pen.row(first)}</g>\n"
        )
    return "".join(out) + "</svg>"


def _place(x: int, y: int) -> str:
    top = MARGIN + y * CELL_HEIGHT + BASELINE
    return f"translate({MARGIN + x * CELL_WIDTH},{top})"


def _style(palette: Palette) -> str:
    colors = ";".join(f"--{name}:{getattr(palette, name)}" for name in COLORS)
    scheme = "dark" if palette.dark else "light"
    return f":root{{color-scheme:{scheme};{colors}}}" + _read("page.css")


def _read(name: str) -> str:
    text = (resources.files("pfviz.report") / "page" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _json(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
