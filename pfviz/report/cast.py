"""A film as asciicast v2: a header, then lines of output and a marker at each caption.

Times come from the film; nothing of the machine or the moment of writing gets in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pfviz.views.inks import Ink
from pfviz.views.palettes import Palette
from pfviz.views.rows import clean

from .cells import Line, changed_spans, lines_of, row_of
from .film import Film, Piece
from .reel import SECOND_US, Mark

VERSION: Final = 2
BEGIN: Final = "\x1b[?25l"
END: Final = "\x1b[0m\x1b[?25h"


def pieces(film: Film) -> Iterator[Piece]:
    """The file piece by piece."""
    yield 0, _json(_header(film))
    pen = Pen(film.inks, film.palette)
    marks = list(film.marks)
    before: tuple[Line, ...] = ()
    done = 0
    for at_us, rows in film.pictures():
        lines = lines_of(rows)
        said = pen.difference(before, lines)
        before = lines
        done += 1
        data = b"" if not said else _event(at_us, "o", (BEGIN if done == 1 else "") + said)
        while marks and marks[0].at_us <= at_us:
            data += _marker(marks.pop(0))
        yield done, data
    yield done, _event(film.lasts_us, "o", f"\x1b[{film.size.height};1H{END}")


def _header(film: Film) -> dict[str, Any]:
    palette = film.palette
    return {
        "version": VERSION,
        "width": film.size.width,
        "height": film.size.height,
        "duration": float(_seconds(film.lasts_us)),
        "title": clean(film.title),
        "env": {"TERM": "xterm-256color"},
        "theme": {
            "fg": palette.text,
            "bg": palette.ground,
            "palette": ":".join(_sixteen(palette)),
        },
    }


def _sixteen(palette: Palette) -> tuple[str, ...]:
    """What comes nearest to a terminal's sixteen colours; the film itself has its own."""
    p = palette
    return (
        p.ink if p.dark else p.strong, p.waiting, p.vma, p.mmap, p.user, p.spin, p.rcu, p.text,
        p.faint, p.waiting_write, p.vma, p.lockless, p.accent, p.io, p.rcu, p.strong,
    )  # fmt: skip


def _marker(mark: Mark) -> bytes:
    return _event(mark.at_us, "m", clean(mark.caption))


def _event(at_us: int, kind: str, data: str) -> bytes:
    text = json.dumps(data, ensure_ascii=False)
    return f'[{_seconds(at_us)}, "{kind}", {text}]\n'.encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _seconds(us: int) -> str:
    whole, part = divmod(us, SECOND_US)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


class Pen:
    """Writes cells as a terminal reads them, remembering the colours that are set."""

    def __init__(self, inks: Mapping[str, Ink], palette: Palette) -> None:
        self._looks = {name: _look(ink, palette) for name, ink in inks.items()}
        self._base = _look(Ink(), palette)
        self._now: tuple[str, str, frozenset[str]] | None = None

    def difference(self, before: tuple[Line, ...], after: tuple[Line, ...]) -> str:
        """What makes the one picture of the other; everything where there was none."""
        out: list[str] = []
        for y, line in enumerate(after):
            spans = changed_spans(before[y], line) if before else ((0, len(line)),)
            for first, last in spans:
                out.append(f"\x1b[{y + 1};{first + 1}H")
                for text, style in row_of(line[first:last]):
                    out += (self._dress(style), text)
        return "".join(out)

    def _dress(self, style: str) -> str:
        """The escape sequence that goes from the colours of now to a style's."""
        wanted = self._looks.get(style, self._base)
        now, self._now = self._now, wanted
        if now == wanted:
            return ""
        if now is None or now[2] - wanted[2]:
            return f"\x1b[{';'.join(('0', *sorted(wanted[2]), wanted[0], wanted[1]))}m"
        codes = [*sorted(wanted[2] - now[2])]
        codes += [new for new, old in zip(wanted[:2], now[:2], strict=True) if new != old]
        return f"\x1b[{';'.join(codes)}m"


def _look(ink: Ink, palette: Palette) -> tuple[str, str, frozenset[str]]:
    """(codes of the letters' colour, of the ground's, of the other attributes)."""
    color, ground = ink.color or palette.text, ink.ground or palette.ground
    flags = (("1", ink.bold), ("2", ink.dim), ("3", ink.italic), ("7", ink.reverse),
             ("9", ink.strike))  # fmt: skip
    return (
        f"38;2;{_channels(color)}",
        f"48;2;{_channels(ground)}",
        frozenset(code for code, wanted in flags if wanted),
    )


def _channels(color: str) -> str:
    return ";".join(str(int(color[at : at + 2], 16)) for at in (1, 3, 5))
