"""What the matrix says of a cell in words, and of the way from one kernel to the next."""

from __future__ import annotations

from collections.abc import Iterable

from pfviz.report.matrix import known_from
from pfviz.scenario import matrix
from pfviz.scenario.fault_kinds import BY_ID, scenario_of
from pfviz.scenario.matrix import KERNELS, UNKNOWN, Cell
from pfviz.views.fault_codes import BROKEN, code_cells, meaning
from pfviz.views.numbers import duration
from pfviz.views.rows import Cell as Words
from pfviz.views.rows import Row, cell_width, clip

from .at_work import title_of
from .cell_store import CellStore
from .kernel_words import is_back, name_of


def cell_rows(
    store: CellStore, kind: str, kernel: str, width: int, else_said: list[Row] | None = None
) -> list[Row]:
    """All that is known of a cell, wrapped; the screen shows as much as there is room for.

    `else_said` stands in between where the cell is as it was in the kernel before.
    """
    cell = store.cells.get((kind, kernel))
    if cell is None:
        return _wrapped([("This fault is being run in this kernel ...", "dim")], width)
    rows: list[Row] = []
    for code, told in meaning(cell.code):
        rows += _hanging([*code_cells(code), ("  ", "text")], told, "strong", width)
    if cell.code == BROKEN:
        return rows + _wrapped([(cell.cause, "bad")], width)
    if cell.code == UNKNOWN:
        return rows + _wrapped([(f"What is missing: {BY_ID[kind].missing}.", "dim")], width)
    rows += _sent_back(cell, width)
    rows += _changed_here(store, kind, kernel, width) or else_said or []
    turned = store.turned(kind, kernel)
    if turned:
        said = [("The policies make the difference: as released it is ", "accent")]
        rows += _wrapped([*said, *code_cells(turned)], width)
    rows += _wrapped([(_counted(cell), "dim")], width)
    story = " ".join(scenario_of(kind).story.split())
    rows += _wrapped([(story, "story")], width)
    if scenario := title_of(kind):
        rows += _wrapped(
            [("At work among others: ", "dim"), (scenario, "accent"), (" (o plays it)", "dim")],
            width,
        )
    checks = {function for function, _ in cell.fallbacks}
    way: list[Words] = [("Its way: ", "dim")]
    for number, step in enumerate(cell.steps):
        style = "fallback" if step in checks else "text"
        way += [(" > " if number else "", "faint"), (step, style)]
    return rows + _wrapped(way, width)


def _sent_back(cell: Cell, width: int) -> list[Row]:
    """Whose checks sent the fault back, each with its cause; who tried mmap_lock in a T."""
    if not cell.fallbacks:
        if cell.check:
            return _wrapped([(cell.check, "lock"), (" tries mmap_lock for a moment, without"
                              " waiting, while the VMA is locked.", "text")], width)  # fmt: skip
        return []
    rows: list[Row] = []
    many = len(cell.fallbacks) > 1
    for number, (function, cause) in enumerate(cell.fallbacks, start=1):
        head = f"Attempt {number} is sent" if many else "Sent"
        rows += _wrapped([(f"{head} back by ", "text"), (function, "lock"),
                          (f": {cause}", "fallback")], width)  # fmt: skip
    return rows


def _counted(cell: Cell) -> str:
    """What /proc/vmstat counts, and how long it took."""
    last = cell.code.rpartition(">")[2]
    counters = [*cell.counters, *(["vma_lock_success"] if last in ("V", "T") else [])]
    said = [f"counts {' and '.join(counters)}"] if counters else []
    if cell.latency_ns:
        said.append(f"takes {duration(cell.latency_ns)} in this run")
    if cell.holds_over_io:
        said.append("the lock is held while a device works")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _changed_here(store: CellStore, kind: str, kernel: str, width: int) -> list[Row]:
    """Which commits of this release made the cell what it is."""
    index = KERNELS.index(kernel)
    was = store.code(kind, KERNELS[index - 1]) if index else ""
    causes = store.causes.get((kind, kernel), ())
    rows: list[Row] = []
    for change in causes:
        head: list[Words] = [("New here", "accent")]
        if was:
            head += [(", before ", "accent"), *code_cells(was)]
        told: list[Words] = [(f": {change.what} ", "text"), (f"({known_from(change)})", "dim")]
        rows += _wrapped([*head, *told], width)
    return rows


# From kernel to kernel


def way_title(before: str, kernel: str) -> str:
    """What the pane about the way between two kernels is called."""
    if not before:
        name = name_of(kernel)
        return f"{name[:1].upper()}{name[1:]}"
    return f"{'Back from' if is_back(before, kernel) else 'From'} {before} to {kernel}"


def way_line(store: CellStore, before: str, kernel: str, width: int) -> list[Row]:
    """The same in short, for screens that have no room for it."""
    changes = matrix.changes_between(before, kernel) if before else ()
    if not changes:
        return []
    first = changes[0]
    undone = "undone: " if is_back(before, kernel) else ""
    changed = len(store.changed(before, kernel))
    cells = f"{changed} cell{'' if changed == 1 else 's'} differ{'s' if changed == 1 else ''}"
    more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
    return _wrapped(
        [
            (f"{way_title(before, kernel)}: ", "accent"),
            (f"{undone}{first.what} ", "text"),
            (f"({known_from(first)})", "dim"),
            (f"{more}; {cells if changed else 'no cell differs'}.", "text"),
        ],
        width,
    )


def way_rows(store: CellStore, before: str, kernel: str, kind: str, width: int) -> list[Row]:
    """What changed between two kernels, by which commit, and which cells differ."""
    if not before:
        text = "Move to another kernel: here it says what changed, and which commit changed it."
        return _wrapped([(text, "dim")], width)
    back = is_back(before, kernel)
    newer = before if back else kernel
    causes = store.causes.get((kind, newer), ())
    changes = matrix.changes_between(before, kernel)
    rows: list[Row] = []
    for change in sorted(changes, key=lambda change: change not in causes):
        mark = "◆ " if change in causes else "· "
        style = "strong" if change in causes else "text"
        what = f"undone: {change.what}" if back else change.what
        rows += _hanging([(mark, "accent")], what, style, width, known_from(change))
    changed = store.changed(before, kernel)
    if not changed:
        text = "No cell differs." if store.finished else "No cell is known to differ so far."
        return [*rows, *_wrapped([(text, "strong")], width)]
    count = f"{len(changed)} cell{'s differ' if len(changed) > 1 else ' differs'}:"
    rows += _wrapped([(count, "strong")], width)
    for name in changed:
        head: list[Words] = [("  ", "text"), *code_cells(store.code(name, before)), (" ", "text"),
                             ("to", "dim"), (" ", "text"),
                             *code_cells(store.code(name, kernel)), ("  ", "text")]  # fmt: skip
        title = BY_ID[name].title
        rows.append((*head, (title, "strong" if name == kind else "text")))
    return rows


# Laying out


def _wrapped(cells: Iterable[Words], width: int) -> list[Row]:
    """Cells as one paragraph, broken at blanks."""
    words: list[Words] = []
    for text, style in cells:
        for number, word in enumerate(text.split(" ")):
            if number:
                words.append((" ", style))
            if word:
                words.append((word, style))
    rows: list[Row] = []
    line: list[Words] = []
    used = 0
    for bunch in _bunches(words):
        size = sum(cell_width(text) for text, _ in bunch)
        blank = line and line[-1][0] != " "
        if used + size + bool(blank) > width and line:
            rows.append(tuple(line))
            line, used, blank = [], 0, False
        if blank:
            line.append((" ", "text"))
            used += 1
        line += [(clip(text, width), style) for text, style in bunch]
        used += size
    if line:
        rows.append(tuple(line))
    return rows


def _bunches(words: Iterable[Words]) -> Iterable[list[Words]]:
    """Neighbours without a blank between them, which stay together."""
    bunch: list[Words] = []
    for word in words:
        if word[0] == " ":
            if bunch:
                yield bunch
            bunch = []
        else:
            bunch.append(word)
    if bunch:
        yield bunch


def _hanging(head: list[Words], text: str, style: str, width: int, tail: str = "") -> list[Row]:
    """A paragraph beside a head, its lines below one another; a dim tail in brackets."""
    indent = sum(cell_width(words) for words, _ in head)
    if indent > width // 2:
        return _wrapped([*head, (text, style)], width)
    cells: list[Words] = [(text, style), *([(f" ({tail})", "dim")] if tail else [])]
    rows = _wrapped(cells, width - indent)
    blank: Row = ((" " * indent, "text"),)
    return [(*(tuple(head) if number == 0 else blank), *row) for number, row in enumerate(rows)]
