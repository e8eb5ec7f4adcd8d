"""A picture as SVG: a still with its text as text, or a film that moves by itself, without scripts.

What moves is cut into pieces of rows that change; each is a strip of all that it ever shows, which
CSS moves past a window. Who prefers no motion sees the film's most telling picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pfviz.views.rows import Rows

from .camera import Size
from .drawing import BASELINE, CELL_HEIGHT, CELL_WIDTH, FONT_SIZE, FONTS, Pen, escaped, number
from .film import Film, Piece
from .reel import SECOND_US
from .strips import Strip, strips_of

MARGIN: Final = 10
STRIDE: Final = 2 * CELL_HEIGHT
"""From one content of a strip to the next: none looks into the window of another."""
BLEED: Final = 1
"""A window is larger by this above and below, so that its edge cuts no block."""


def pieces(film: Film) -> Iterator[Piece]:
    """The file piece by piece: a still when the film has one picture."""
    pictures: list[tuple[int, Rows]] = []
    for picture in film.pictures():
        pictures.append(picture)
        yield len(pictures), b""
    text = still(film, pictures[0][1]) if len(pictures) == 1 else moving(film, pictures)
    yield len(pictures), text.encode()


def still(film: Film, rows: Rows) -> str:
    """One picture."""
    pen = Pen(film.inks, film.palette)
    body = _rows(pen, rows)
    return _document(film, pen.css(), body, described(film))


def moving(film: Film, pictures: list[tuple[int, Rows]]) -> str:
    """A film that begins again when it is over."""
    pen = Pen(film.inks, film.palette)
    poster = poster_of(film, pictures)
    cut = strips_of(pictures, poster)
    body = [_rows(pen, cut.background)]
    rules: list[str] = []
    lasts_us = film.lasts_us
    for index, strip in enumerate(cut.strips):
        body.append(_strip(pen, strip, f"m-{index}"))
        rules.append(_keyframes(strip, f"m-{index}", lasts_us))
    motion = (
        "".join(rules) + "@media(prefers-reduced-motion:reduce){.strip{animation:none!important}}"
    )
    return _document(film, pen.css() + motion, "".join(body),
                     described(film))  # fmt: skip


def poster_of(film: Film, pictures: list[tuple[int, Rows]]) -> int:
    """The number of the picture to show where nothing moves: the one at the last caption."""
    if not film.marks:
        return len(pictures) // 2
    at_us = film.marks[-1].at_us
    return max(index for index, (when_us, _) in enumerate(pictures) if when_us <= at_us)


def described(film: Film) -> str:
    """What a reader who sees no pictures is told: the story, captions, what happens at them."""
    said = [film.story]
    for mark in film.marks:
        said += (mark.caption, mark.said)
    return "\n".join(line for line in said if line)


def _rows(pen: Pen, rows: Rows) -> str:
    out = []
    for y, row in enumerate(rows):
        markup = pen.row(row)
        if markup:
            top = MARGIN + y * CELL_HEIGHT + BASELINE
            out.append(f"<g transform='translate({MARGIN},{top})'>{markup}</g>\n")
    return "".join(out)


def _strip(pen: Pen, strip: Strip, name: str) -> str:
    """All that a piece of a row ever shows, one below the other, in a window of one row."""
    contents = "".join(
        f"<g transform='translate(0,{index * STRIDE + BASELINE + BLEED})'>{pen.row(row)}</g>"
        for index, row in enumerate(strip.contents)
    )
    return (
        f"<svg x='{MARGIN + strip.x * CELL_WIDTH}' y='{MARGIN + strip.y * CELL_HEIGHT - BLEED}'"
        f" width='{strip.width * CELL_WIDTH}' height='{CELL_HEIGHT + 2 * BLEED}'>"
        f"<g class='strip {name}'>{contents}</g></svg>\n"
    )


def _keyframes(strip: Strip, name: str, lasts_us: int) -> str:
    steps = "".join(
        f"{number(round(at_us * 100 / lasts_us, 3)) if at_us else 0}%"
        f"{{translate:0 {-content * STRIDE}px}}"
        for at_us, content in strip.changes
    )
    seconds = number(round(lasts_us / SECOND_US, 3))
    return f"@keyframes {name}{{{steps}}}.{name}{{animation:{name} {seconds}s step-end infinite}}"


def size_of(size: Size) -> tuple[int, int]:
    """Width and height of a picture in its own units, margins included."""
    return size.width * CELL_WIDTH + 2 * MARGIN, size.height * CELL_HEIGHT + 2 * MARGIN


def frame_css() -> str:
    """What all letters of a picture have in common."""
    return f"text{{font-family:{FONTS};font-size:{FONT_SIZE}px}}"


def _document(film: Film, css: str, body: str, description: str) -> str:
    width, height = size_of(film.size)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'"
        f" width='{width}' height='{height}' role='img' aria-labelledby='title desc'>\n"
        f"<title id='title'>{escaped(film.title)}</title>\n"
        f"<desc id='desc'>{_lines(description)}</desc>\n"
        f"<style>{frame_css()}{css}</style>\n"
        f"<rect width='{width}' height='{height}' rx='8' fill='{film.palette.ground}'/>\n"
        f"{body}</svg>\n"
    )


def _lines(text: str) -> str:
    return "\n".join(escaped(line) for line in text.split("\n"))
