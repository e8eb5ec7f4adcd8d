"""What a choice of policy costs either side, as a small table: faults, and those they hold up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pfviz.report.policy_differences import fewer_ended, said_of, stuck, troubles
from pfviz.scenario.policies import word
from pfviz.views.numbers import count, duration
from pfviz.views.rows import Cell, Row, cell_width, pad, pad_left, wrap

RANKS: Final = ("p50", "p99", "max")
RANK_CELLS: Final = 8
HEAD_MIN: Final = 14
HEAD_MAX: Final = 32
OPERATIONS_MAX: Final = 4
WORTH_TELLING: Final = 1.05
SENTENCE_LINES_MAX: Final = 12

Object = Mapping[str, Any]


def rows(cost: Object, width: int) -> list[Row]:
    """What goes wrong, the table of `report.policy_cost`'s object, and what differs by size."""
    choices = cost["choices"]
    room = RANK_CELLS * len(RANKS) + 1
    head = max(HEAD_MIN, min(width - room * len(choices), HEAD_MAX))
    table = [
        ((pad("", head), "text"), *((pad(f"  {name}", room), "strong") for name in _names(cost))),
        ((pad("", head), "text"), *(cell for _ in choices for cell in _ranks_head())),
        *_side("faults", [one["faults"] for one in choices], choices, head),
    ]
    for name in _told(choices):
        sides = [one["operations"].get(name) for one in choices]
        table += _side(name, sides, choices, head)
    for name, key in (("faults begun again", "retries"), ("fell back to mmap_lock", "fell_back")):
        table.append(_single(name, [count(one["faults"][key]) for one in choices], head, room))
    # Where nobody goes on, the moment of it would look like an early end.
    ends = ["never" if stuck(one) else duration(one["now_ns"]) for one in choices]
    table.append(_single("until the end", ends, head, room))
    bad, others = _sentences(cost)
    if not bad and not others:
        others = ["Neither side of this scenario feels it"]
    return [*_wrapped(bad, width, "bad"), *table, *_wrapped(others, width, "text")]


def _names(cost: Object) -> list[str]:
    """What stands above each column: the switch and its value, or where that is long the value."""
    words = [word(one["value"]) for one in cost["choices"]]
    named = [f"{cost['policy']} = {one}" for one in words]
    room = RANK_CELLS * len(RANKS) - 2
    return named if max(map(cell_width, named)) <= room else words


def _sentences(cost: Object) -> tuple[list[str], list[str]]:
    """What is wrong, and what merely differs; the new value, which the title names, goes unsaid."""
    choices = cost["choices"]
    wrong = {
        said_of(cost["policy"], one["value"]) + text for one in choices for text in troubles(one)
    }
    wrong |= {
        said_of(cost["policy"], one["value"]) + text
        for one in choices
        if (text := fewer_ended(choices[0], one))
    }
    new = said_of(cost["policy"], choices[-1]["value"]) if len(choices) == 2 else ""
    bad: list[str] = []
    others: list[str] = []
    for text in cost["differences"]:
        is_wrong = any(text.startswith(one) for one in wrong)
        (bad if is_wrong else others).append(text.removeprefix(new) if new else text)
    return bad, others


def _wrapped(sentences: Sequence[str], width: int, style: str) -> list[Row]:
    return [
        ((line, style),)
        for text in sentences
        for line in wrap(f"{text}.", width, SENTENCE_LINES_MAX)
    ]


def in_short(cost: Object) -> str:
    """The most telling difference, for one line."""
    differences = cost["differences"]
    return f"{differences[0]}." if differences else "neither side of this scenario feels it."


def _told(choices: Sequence[Object]) -> list[str]:
    """The operations whose latency differs most, at most so many."""
    names = dict.fromkeys(name for one in choices for name in one["operations"])
    ranked = sorted(names, key=lambda name: (-_ratio(name, choices), name))
    return sorted(ranked[:OPERATIONS_MAX])


def _ratio(name: str, choices: Sequence[Object]) -> float:
    sides = [one["operations"].get(name) for one in choices]
    ratio = 1.0
    for rank in RANKS:
        values = [side["latency_ns"][rank] or 1 for side in sides if side]
        if values:
            ratio = max(ratio, max(values) / min(values))
    return ratio


def _ranks_head() -> list[Cell]:
    return [(" ", "text"), *((pad_left(rank, RANK_CELLS), "dim") for rank in RANKS)]


def _side(
    name: str, sides: Sequence[Object | None], choices: Sequence[Object], head: int
) -> list[Row]:
    """A side's latency for each value, and below it, where there was any, its wait for locks."""
    counts = [count(side["count"] if side else 0) for side in sides]
    number = counts[0] if len(set(counts)) == 1 else " → ".join(counts)
    # What little came to its end before everything stopped is neither fast nor slow.
    judged = not any(stuck(one) for one in choices)
    lines = [_durations(f"{name} ({number})", "latency_ns", sides, head, judged)]
    if any(side and side["waited_ns"]["max"] for side in sides):
        lines.append(_durations("  waited for locks", "waited_ns", sides, head, judged))
    return lines


def _durations(name: str, key: str, sides: Sequence[Object | None], head: int, judged: bool) -> Row:
    """One line: durations by rank for each value; what grew and what shrank is marked."""
    cells: list[Cell] = [(pad(name, head), "text")]
    first = sides[0]
    for side in sides:
        cells.append((" ", "text"))
        for rank in RANKS:
            if side is None or not side["count"]:
                cells.append((pad_left("-", RANK_CELLS), "dim"))
                continue
            now = side[key][rank]
            was = first[key][rank] if first and first["count"] else now
            style = "text"
            if judged and now > was * WORTH_TELLING:
                style = "warn"
            elif judged and now * WORTH_TELLING < was:
                style = "good"
            cells.append((pad_left(duration(now), RANK_CELLS), style))
    return tuple(cells)


def _single(name: str, values: Sequence[str], head: int, room: int) -> Row:
    cells = [
        (" " + pad_left(value, RANK_CELLS).ljust(room - 1), "bad" if value == "never" else "text")
        for value in values
    ]
    return ((pad(name, head), "text"), *cells)
