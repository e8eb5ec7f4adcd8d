"""The codes of the matrix as people read them: in the colours of their locks, and in words.

A code can be read without its colours. What a code is made from is not known here.
"""

from __future__ import annotations

import re
from typing import Final

from pfviz.scenario.fault_code import CODES
from pfviz.scenario.matrix import UNKNOWN

from .rows import Cell, Row, row_width

BROKEN: Final = "!"
"""The code of a cell whose run failed; its cause says why."""

_PARTS: Final = re.compile(r"\(\w+\)|\+[rw]|M[rw]|~|mmap \w+|never|L|V|M|T|X|>|\?|!|.")
_STYLES: Final = {
    "L": "fault-lockless", "V": "fault-vma", "T": "fault-vma", "M": "fault-mmap",
    "X": "fault-mmap", "(io)": "io", "(read)": "hold-read", "(write)": "hold-write",
    "~": "io", "+r": "hold-read", "+w": "hold-write", "Mr": "hold-read", "Mw": "hold-write",
    "mmap read": "hold-read", "mmap write": "hold-write", "never": "wait-read", BROKEN: "wait-read",
}  # fmt: skip


def linux(kernel: str) -> str:
    """What a kernel is called: the one beyond all releases has no number."""
    return f"Linux {kernel}" if kernel[:1].isdigit() else kernel


_SHORT: Final = {
    "(io)": "~", "(read)": "+r", "(write)": "+w", "mmap read": "Mr", "mmap write": "Mw",
}  # fmt: skip
"""What parts of a code are where many columns are worth more than words."""


def short(code: str) -> str:
    """A code in few letters: `V(io)>M` is `V~>M`."""
    for part, letters in _SHORT.items():
        code = code.replace(part, letters)
    return code


def code_cells(code: str, on_ground: bool = False) -> list[Cell]:
    """A code in the colours of its locks; `on_ground` for the cell of the cursor."""
    cells = []
    for part in _PARTS.findall(code):
        style = _STYLES.get(part, "dim")
        on = f"{style}-on" if style != "dim" else "selected"
        cells.append((part, on if on_ground else style))
    return cells


def meaning(code: str) -> list[tuple[str, str]]:
    """(code, what it says), with the parts of a longer one apart: `L>V` is L and V."""
    if code == UNKNOWN:
        return [(code, "the model cannot play this fault yet")]
    if code == BROKEN:
        return [(code, "its run failed")]
    said = []
    rest = code
    if rest.startswith("L>"):
        said.append(("L>", "tried without any lock, given up, and begun again:"))
        rest = rest.removeprefix("L>")
    grown = next((note for note in ("(read)", "(write)") if rest.endswith(note)), "")
    rest = rest.removesuffix(grown)
    if rest in CODES:
        told = CODES[rest].partition(";")[0] if rest == "L" else CODES[rest]
        if rest in ("V(io)>M", "V(io)>V"):
            again = "mmap_lock" if rest == "V(io)>M" else "the VMA lock"
            told = f"begun under the VMA lock, got as far as the device, begun again under {again}"
        said.append((rest, told))
    if grown:
        said.append((grown, CODES[grown]))
    return said


LEGEND: Final = (
    ("M", "mmap_lock"), ("V", "VMA lock"), ("V>M", "V given up for M"), ("(io)", "at the device"),
    ("T", "V, M tried"), ("X", "no VMA locks"), ("L", "no lock"),
)  # fmt: skip
"""The codes that most cells are made of, as short as can be; help has them all."""


SHORT_LEGEND: Final = (
    *LEGEND[:3], ("~", "(io), at the device"), *LEGEND[4:], ("Mr Mw", "no fault: mmap read, write"),
    ("+r +w", "(read), (write)"),
)  # fmt: skip
"""The same for short codes, which are explained by the long ones."""


def legend(width: int, is_short: bool = False) -> Row:
    """The codes in one line, as many as fit."""
    row: list[Cell] = []
    for code, told in SHORT_LEGEND if is_short else LEGEND:
        entry = [(" ", "text"), *code_cells(code), (f" {told} ", "dim")]
        if row_width((*row, *entry)) > width:
            break
        row += entry
    return tuple(row)
