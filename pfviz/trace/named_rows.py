"""An event as named values and back, without loss: what pfviz's own text formats are made of.

Texts and details stand in place of their numbers; it knows nothing of JSON or of lines.
"""

from __future__ import annotations

from typing import Any, Final

from pfviz.sim.event import FIELDS, EventLog, Row

PLACES: Final = "abcd"
KINDS: Final = {name: kind for kind, (name, _) in FIELDS.items()}

_NUMBER, _TEXT, _DETAIL = 0, 1, 2
_WAYS: Final = {"text": _TEXT, "detail": _DETAIL}


def _shape(kind: int) -> tuple[tuple[str, int], ...]:
    """For each of the four payload fields its key and how it is read."""
    fields = FIELDS[kind][1] if kind in FIELDS else ()
    shape = []
    for position, place in enumerate(PLACES):
        name = fields[position] if position < len(fields) else ""
        key, _, way = name.rpartition("_")
        if key in fields:
            key = name  # `tree_node` has a node and a node_detail.
        if way in _WAYS:
            shape.append((key, _WAYS[way]))
        else:
            shape.append((name or place, _NUMBER))
    return tuple(shape)


SHAPES: Final = {kind: _shape(kind) for kind in FIELDS}
_UNKNOWN: Final = tuple((place, _NUMBER) for place in PLACES)


class RowNamer:
    """Rows of one log as dictionaries; call it for every row in order.

    A number that indexes no text or detail stays a number. A detail whose number is not the next
    one says its number beside it (`KEY#`), as does a text that is there twice for the later one;
    details that no row has are in `unused_details()`.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._next_detail = 0
        self._used: set[int] = set()
        self._first = {text: n for n, text in reversed(tuple(enumerate(log.texts)))}

    def payload(self, row: Row) -> dict[str, Any]:
        """The four payload fields by name; those without a name only where they are not 0."""
        found: dict[str, Any] = {}
        for (key, way), value in zip(SHAPES.get(row[1], _UNKNOWN), row[3:], strict=True):
            if way == _NUMBER:
                if value or key not in PLACES:
                    found[key] = value
            elif way == _TEXT:
                if not 0 <= value < len(self._log.texts):
                    found[key] = value
                    continue
                found[key] = text = self._log.texts[value]
                if self._first[text] != value:
                    found[f"{key}#"] = value
            elif not 0 <= value < len(self._log.details):
                found[key] = value
            else:
                found[key] = self._log.details[value]
                if value != self._next_detail:
                    found[f"{key}#"] = value
                self._next_detail = value + 1
                self._used.add(value)
        return found

    def unused_details(self) -> list[tuple[int, Any]]:
        """Details that no row had so far: their numbers and values."""
        every = enumerate(self._log.details)
        return [(number, value) for number, value in every if number not in self._used]


class RowReader:
    """The inverse: fills a log from named values; `texts` must be put into the log before."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._details: dict[int, Any] = {}
        self._next_detail = 0

    def add(self, now_ns: int, kind: int, task: int, payload: dict[str, Any]) -> None:
        """Append one row; KeyError, TypeError or struct.error when the values are none of ours."""
        values = []
        for key, way in SHAPES.get(kind, _UNKNOWN):
            value = payload.get(key, 0) if key in PLACES else payload[key]
            if way == _TEXT and isinstance(value, str):
                value = payload.get(f"{key}#", self.log.text(value))
            elif way == _DETAIL and isinstance(value, list):
                number = payload.get(f"{key}#", self._next_detail)
                self.put_detail(number, value)
                self._next_detail = number + 1
                value = number
            values.append(value)
        self.log.append(now_ns, kind, task, *values)

    def put_detail(self, number: int, value: Any) -> None:
        """Keep a detail under its number; lists become the tuples that they were."""
        self._details[number] = _tuples(value)

    def finish(self) -> EventLog:
        """The log, its details in the order of their numbers."""
        self.log.details.extend(self._details[number] for number in sorted(self._details))
        return self.log


def kind_name(kind: int) -> str:
    """The name of a kind of event; `kind-N` for one that this version does not know."""
    return FIELDS[kind][0] if kind in FIELDS else f"kind-{kind}"


def kind_of(name: str) -> int:
    """The inverse of `kind_name`; KeyError when it is no such name."""
    found = KINDS.get(name)
    if found is None:
        if not name.startswith("kind-"):
            raise KeyError(name)
        return int(name[5:])
    return found


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
