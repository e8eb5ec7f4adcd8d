"""What a choice of policy costs either side, as a small table: faults, and those they hold up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pfviz.scenario.policies import word
from pfviz.views.numbers import count, duration
from pfviz.views.rows import Cell, Row, pad, pad_left, wrap

RANKS: Final = ("p50", "p99", "max")
RANK_CELLS: Final = 9
HEAD_MIN: Final = 14
HEAD_MAX: Final = 26
OPERATIONS_MAX: Final = 4
WORTH_TELLING: Final = 1.05
SENTENCES_MAX: Final = 3

Object = Mapping[str, Any]


def rows(cost: Object, width: int) -> list[Row]:
    """The table of `report.policy_cost`'s object, and what it comes down to in sentences."""
    choices = cost["choices"]
    room = RANK_CELLS * len(RANKS) + 1
    head = max(HEAD_MIN, min(width - room * len(choices), HEAD_MAX))
    table: list[Row] = [
        (
            (pad("", head), "text"),
            *((pad(f"  {cost['policy']} = {word(one['value'])}", room), "strong")
              for one in choices),
        ),
        (
            (pad("", head), "text"),
            *(cell for _ in choices for cell in _ranks_head()),
        ),
        _latencies("faults", [one["faults"] for one in choices], head),
    ]  # fmt: skip
    table += [
        _latencies(name, [one["operations"].get(name) for one in choices], head)
        for name in _told(choices)
    ]
    retries = [count(one["faults"]["retries"]) for one in choices]
    table.append(_single("faults begun again", retries, head, room))
    ends = [duration(one["now_ns"]) for one in choices]
    table.append(_single("until the end", ends, head, room))
    said = cost["differences"][:SENTENCES_MAX] or ["Neither side of this scenario feels it."]
    for text in said:
        bad = any(word in text for word in ("breaks rule", "DEADLOCK:", "NEVER ENDS:"))
        style = "bad" if bad else "text"
        table += [((line, style),) for line in wrap(f"{text}.", width, 2)]
    return table


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


def _latencies(name: str, sides: Sequence[Object | None], head: int) -> Row:
    """One line: a side's latency for each value, what grew and what shrank marked."""
    number = max((side["count"] for side in sides if side), default=0)
    cells: list[Cell] = [(pad(f"{name} ({count(number)})", head), "text")]
    first = sides[0]
    for side in sides:
        cells.append((" ", "text"))
        for rank in RANKS:
            if side is None:
                cells.append((pad_left("-", RANK_CELLS), "dim"))
                continue
            now = side["latency_ns"][rank]
            was = first["latency_ns"][rank] if first else now
            text, style = duration(now), "text"
            if was and now > was * WORTH_TELLING:
                style = "warn"
            elif was and now * WORTH_TELLING < was:
                style = "good"
            cells.append((pad_left(text, RANK_CELLS), style))
    return tuple(cells)


def _single(name: str, values: Sequence[str], head: int, room: int) -> Row:
    cells = [(" " + pad_left(value, RANK_CELLS).ljust(room - 1), "text") for value in values]
    return ((pad(name, head), "text"), *cells)
