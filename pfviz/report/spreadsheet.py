"""A table as CSV that a spreadsheet can open safely: no name of a run becomes a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from pfviz.report.recording import Piece, Recording
from pfviz.report.tables import ADDRESS, FLAG, TABLES, TEXT, Cells
from pfviz.scenario.errors import printable

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so would be computed; a ' before it makes it text again."""
ROWS_MAX: Final = 1_048_576
"""What LibreOffice and Excel hold."""


def pieces(recording: Recording, table: str = "events") -> Iterator[Piece]:
    """The lines of the file: a header with units, then the rows of the table."""
    made = TABLES[table](recording)
    yield 0, _lines([[column.name for column in made.columns]])
    known: dict[str, str] = {}
    texts = [n for n, column in enumerate(made.columns) if column.type == TEXT]
    others = [(n, column.type) for n, column in enumerate(made.columns) if column.type in _WAYS]
    for done, rows in made.pieces:
        for row in rows:
            for place in texts:
                if (text := row[place]) is not None:
                    if text not in known:
                        known[text] = safe(text)
                    row[place] = known[text]
            for place, kind in others:
                if row[place] is not None:
                    row[place] = _WAYS[kind](row[place])
        yield done, _lines(rows)


def safe(text: str) -> str:
    """A text as a cell that is only text, without control characters."""
    plain = printable(text)
    return f"'{plain}" if plain.startswith(FORMULA) else plain


_WAYS: Final[dict[str, Any]] = {
    ADDRESS: lambda value: f"0x{value:x}",
    FLAG: lambda value: "yes" if value else "no",
}


def _lines(rows: list[Cells] | list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
