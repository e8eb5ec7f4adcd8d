"""The matrix as a grid: rows are faults, columns kernels, heads stay while the rest scrolls.

A code is written in the colours of the locks it names, letter by letter, and can be read without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pfviz.scenario.fault_kinds import BY_ID, KINDS
from pfviz.scenario.matrix import KERNELS
from pfviz.views.fault_codes import code_cells, short
from pfviz.views.glyphs import UNICODE, Glyphs
from pfviz.views.rows import Cell as Words
from pfviz.views.rows import Row, Rows, cell_width, fit_rows, pad

from .cell_store import CellStore

TITLE_MIN: Final = 12
CODE_MIN: Final = 4
HEAD_LINES: Final = 1
UNKNOWN_YET: Final = "·"


def _lines() -> tuple[str, ...]:
    lines: list[str] = []
    group = ""
    for kind in KINDS:
        if kind.group != group:
            group = kind.group
            lines.append(f"# {group}")
        lines.append(kind.id)
    return tuple(lines)


LINES: Final = _lines()
"""What stands below one another: a kind by its id, or "# " and the name of a group."""


@dataclass(slots=True)
class Place:
    """Where the cursor is and what of the grid is seen; scrolling goes no further than needed."""

    kind: str = KINDS[0].id
    kernel: str = KERNELS[0]
    before: str = ""
    """The kernel that this one is compared with: its neighbour on the side we came from."""
    top: int = 0
    """The first line shown, of LINES."""
    left: int = 0
    """The first kernel shown, of KERNELS."""
    shown: tuple[int, ...] = field(default=(), compare=False)
    """Where each shown kernel's column begins, as painted last."""
    is_short: bool = field(default=False, compare=False)
    """Whether codes were painted in few letters, so that more kernels have room."""

    @property
    def column(self) -> int:
        """The cursor's kernel by number."""
        return KERNELS.index(self.kernel)

    @property
    def line(self) -> int:
        """The cursor's line."""
        return LINES.index(self.kind)

    def go(self, kinds: int, kernels: int) -> None:
        """Move by so many kinds and kernels; the ends stop it."""
        row = [kind.id for kind in KINDS].index(self.kind) + kinds
        self.kind = KINDS[max(0, min(row, len(KINDS) - 1))].id
        self.go_kernel(self.column + kernels)

    def go_kernel(self, number: int) -> None:
        """To a kernel by its number; from however far, it is compared with its neighbour."""
        number = max(0, min(number, len(KERNELS) - 1))
        if number != self.column:
            self.before = KERNELS[number + (-1 if number > self.column else 1)]
            self.kernel = KERNELS[number]

    def at(self, x: int, y: int) -> tuple[str, str] | None:
        """(kind, kernel) that was painted there; kernel is "" left of all columns."""
        line = self.top + y - HEAD_LINES
        if y < HEAD_LINES or not 0 <= line < len(LINES) or LINES[line].startswith("#"):
            return None
        columns = [number for number, begin in enumerate(self.shown) if x >= begin]
        return LINES[line], KERNELS[self.left + columns[-1]] if columns else ""


def paint(store: CellStore, place: Place, width: int, height: int,
          glyphs: Glyphs = UNICODE) -> Rows:  # fmt: skip
    """The grid in exactly so many rows and cells; `place` is scrolled to where the cursor is."""
    titles = max(TITLE_MIN, min(max(cell_width(k.title) for k in KINDS) + 3, width * 2 // 5))
    place.is_short = False
    widths = [_column_width(store, name) for name in KERNELS]
    if titles + sum(widths) > width:
        place.is_short = True
        widths = [_column_width(store, name, is_short=True) for name in KERNELS]
    place.left = _scrolled_columns(place, widths, width - titles)
    place.top = _scrolled(place.top, place.line, height - HEAD_LINES, len(LINES))
    names, begins = [], []
    x = titles
    for number in range(place.left, len(KERNELS)):
        if x + widths[number] > width:
            break
        names.append(KERNELS[number])
        begins.append(x)
        x += widths[number]
    place.shown = tuple(begins)
    rows: list[Row] = [_head(place, names, widths, titles, _marks(store), glyphs)]
    changed = frozenset(store.changed(place.before, place.kernel)) if place.before else frozenset()
    for line in LINES[place.top : place.top + max(height - HEAD_LINES, 0)]:
        if line.startswith("#"):
            rows.append(((line.removeprefix("# "), "strong"),))
        else:
            rows.append(_line(store, place, line, names, widths, titles, line in changed, glyphs))
    return fit_rows(rows, width, height, glyphs.ascii_only)


def _column_width(store: CellStore, kernel: str, is_short: bool = False) -> int:
    """Its marks (or blanks) and the longest code so far, or the kernel's name."""
    said = (store.code(kind.id, kernel) for kind in KINDS)
    codes = (len(short(code) if is_short else code) for code in said)
    return max(CODE_MIN, len(kernel), *codes) + _marks(store)


def _marks(store: CellStore) -> int:
    """Cells for marks: a cell can both differ from the kernel beside it and be made so."""
    return 2 if store.policy else 1


def _scrolled(top: int, keep: int, room: int, count: int) -> int:
    """The first line shown, so that `keep` and its neighbours are seen."""
    room = max(room, 1)
    margin = 1 if room > 2 else 0
    top = min(top, max(keep - margin, 0))
    return max(min(max(top, keep + margin - room + 1), count - room), 0)


def _scrolled_columns(place: Place, widths: Sequence[int], room: int) -> int:
    """The first kernel shown, so that the cursor's, and the older one beside it, are seen."""
    left = min(place.left, max(place.column - 1, 0))
    while left < place.column and sum(widths[left : place.column + 1]) > room:
        left += 1
    # No emptiness at the right end while columns are hidden on the left.
    while left > 0 and sum(widths[left - 1 :]) <= room:
        left -= 1
    return left


def _head(place: Place, names: Sequence[str], widths: Sequence[int], titles: int,
          marks: int, glyphs: Glyphs) -> Row:  # fmt: skip
    last = place.left + len(names)
    older = f"{glyphs.arrow_left} " if place.left else "  "
    cells: list[Words] = [(pad("Fault", titles - 3), "dim"), (f" {older}", "dim")]
    for number, name in enumerate(names, start=place.left):
        style = "selected" if name == place.kernel else "strong"
        rest = widths[number] - len(name) - marks
        cells += [(" " * marks, "text"), (name, style), (" " * rest, "text")]
    if last < len(KERNELS):
        cells.append((f" {glyphs.arrow_right}", "dim"))
    return tuple(cells)


def _line(store: CellStore, place: Place, kind: str, names: Sequence[str], widths: Sequence[int],
          titles: int, changed: bool, glyphs: Glyphs) -> Row:  # fmt: skip
    here, marks = kind == place.kind, _marks(store)
    more = "~" if glyphs.ascii_only else "…"
    title = pad(f" {BY_ID[kind].title}", titles - 1, more)
    cells: list[Words] = [(title, "selected" if here else "text"), (" ", "text")]
    for number, name in enumerate(names, start=place.left):
        code = store.code(kind, name) or UNKNOWN_YET
        code = short(code) if place.is_short else code
        mark = "+" if store.turned(kind, name) else ""
        if changed and name == place.kernel:
            mark += glyphs.mark
        cells.append((mark.rjust(marks), "accent"))
        cells += code_cells(code, on_ground=here and name == place.kernel)
        cells.append((" " * (widths[number] - len(code) - marks), "text"))
    return tuple(cells)
