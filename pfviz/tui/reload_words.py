"""What is said when a scenario's file was saved: what is new in it, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.schema import Scenario
from pfviz.views.rows import clean

TABLES: Final = {
    "cue": "cue", "thread": "group of threads", "vma": "VMA", "file": "file",
    "question": "question", "expect": "expectation",
}  # fmt: skip
LINES_ABOVE: Final = 1
"""Lines of the file shown above the one that is wrong."""


def what_changed(old: Scenario, new: Scenario) -> str:
    """The tables and keys that differ, and how many or what there is: `3 cues, kernel 6.18`."""
    said = []
    for field in msgspec.structs.fields(Scenario):
        value = getattr(new, field.name)
        if value == getattr(old, field.name):
            continue
        if field.name in TABLES and isinstance(value, tuple):
            word, number = TABLES[field.name], len(value)
            plural = word.replace("group", "groups") if " " in word else f"{word}s"
            said.append(f"{number} {word if number == 1 else plural}")
        elif isinstance(value, str | int | float) and len(str(value)) <= 24:
            said.append(f"{field.name} {value}")
        else:
            said.append(field.name)
    return ", ".join(said)


def complaint(error: ScenarioError, path: Path) -> str:
    """`file:line: what is wrong`, the lines themselves, and what becomes of the run."""
    where = f"{path.name}:{error.line}" if error.line else path.name
    lines = [clean(f"{where}: {error.reason}"), *_quoted(path, error.line)]
    return "\n".join([*lines, "The last good run plays on; this goes away when the file is right."])


def _quoted(path: Path, line: int) -> list[str]:
    if line < 1:
        return []
    try:
        text = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    first = max(line - 1 - LINES_ABOVE, 0)
    shown = text[first:line]
    width = len(str(line))
    return [
        f"{'>' if number == line else ' '} {number:>{width}} | {clean(one.expandtabs(4))}"
        for number, one in enumerate(shown, first + 1)
    ]
