"""What was played lately, listed, or gone on with."""

from __future__ import annotations

from typing import Any

import msgspec

from pfviz.cli.output import Complaint, beside, columns, write_json, write_lines
from pfviz.report.source import Source
from pfviz.tui.recent import recents, reopened


def last_played() -> Source:
    """What was played last, at the place where it was left."""
    found = recents()
    if not found:
        raise Complaint("nothing has been played yet; pfviz opens the gallery", 2)
    return reopened(found[0])


def list_recent(as_json: bool, output: str, **_: Any) -> int:
    """Print what was played, newest first; the exit code."""
    found = recents()
    if as_json:
        write_json([msgspec.to_builtins(one) for one in found], output)
        return 0
    width = max((len(one.source) for one in found), default=0)
    lines = [
        line
        for one in found
        for line in beside(f"{one.source:<{width}}  ", f"{one.title}: {one.about}".rstrip(": "),
                           columns() if output == "-" else None)
    ]  # fmt: skip
    write_lines(lines or ["Nothing has been played yet; pfviz opens the gallery."], output)
    return 0
