"""`pfviz doctor`: what this terminal can show and whether this installation is whole."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from pfviz.cli.doctor_installation import configuration, libraries, things_to_play
from pfviz.cli.doctor_row import MARKS, WRONG, Row
from pfviz.cli.doctor_terminal import colours, glyphs_here, marks, terminal
from pfviz.cli.options import data_options
from pfviz.cli.output import STDOUT, beside, columns, leave, write_json, write_lines

TEST_PATTERN: Final = (
    "corners meet, lines have no gaps, the right edge is straight, blocks touch:",
    "  ┌──────────┬──────────┐  ╭────╮",
    "  │ ━━━═══── │ ███▓▓▒▒░ │  │ µs │",
    "  ├──────────┼──────────┤  ╰────╯",
    "  │ ▁▂▃▄▅▆▇█ │ ▌▊▚▞●■□▣ │  ◂◆▸",
    "  └──────────┴──────────┘",
)


@click.command("doctor")
@data_options
def command(as_json: bool, output: str) -> None:
    """Look at this terminal and this installation, and say what to do about what is wrong.

    The exit code is 1 when something is broken, 0 otherwise: a small terminal is not broken.
    """
    sections = {
        "terminal": terminal(os.environ),
        "colours": colours(os.environ),
        "marks": marks(os.environ),
        "libraries": libraries(),
        "configuration": configuration(),
        "to play": things_to_play(),
    }
    if as_json:
        write_json([_object(name, row) for name, rows in sections.items() for row in rows], output)
    else:
        write_lines(_lines(sections, output), output)
        if output == STDOUT and sys.stdout.isatty():
            _show_colours()
    rows = [row for section in sections.values() for row in section]
    leave(1 if any(row.state == WRONG for row in rows) else 0)


def _object(section: str, row: Row) -> dict[str, Any]:
    return {"section": section, "what": row.what, "value": row.value, "state": row.state,
            "advice": row.advice}  # fmt: skip


def _lines(sections: dict[str, list[Row]], output: str) -> list[str]:
    width_max = columns() if output == STDOUT else None
    width = max(len(row.what) for rows in sections.values() for row in rows)
    lines: list[str] = []
    for name, rows in sections.items():
        lines += ["", name] if lines else [name]
        for row in rows:
            head = f"  {MARKS[row.state]}  {row.what:<{width}}  "
            lines += beside(head, row.value, width_max)
            if row.advice:
                lines += beside(" " * (7 + width) + "-> ", row.advice, width_max)
    return [*lines, "", *_pattern()]


def _pattern() -> list[str]:
    """The test pattern, with the marks that would be used here; ASCII needs no test."""
    glyphs, _ = glyphs_here(os.environ)
    if glyphs.ascii_only:
        return []
    if glyphs.is_console:
        from pfviz.tui.plain_output import console_only

        return [console_only(line) for line in TEST_PATTERN]
    return list(TEST_PATTERN)


def _show_colours() -> None:
    """The colours of every theme, as this terminal shows them."""
    from pfviz.tui.swatches import swatches

    sys.stdout.write("\n" + "\n".join(swatches(os.environ)) + "\n")
