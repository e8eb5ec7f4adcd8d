"""An event log written in one pass although some events are understood only later.

Rows go in as time passes; a row found out afterwards is kept with the place it belongs to, and
`finish` puts all of them in. Knows the log's layout, not what its events mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pfviz.sim.event import ROW, EventLog, Row

_COLUMNS = ROW.size // 8


@dataclass(slots=True)
class LateRows:
    """Collects rows in time order and late rows by place; object ids come from `new_id`."""

    log: EventLog = field(default_factory=EventLog)
    count: int = 0
    now_ns: int = 0
    _ids: int = 0
    _places: list[int] = field(default_factory=list)
    _late: list[Row] = field(default_factory=list)

    def new_id(self) -> int:
        """Return a number no other lock, VMA, mm or file of this log has."""
        self._ids += 1
        return self._ids

    def add(self, kind: int, task: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
        """Append a row at `now_ns`; return its index among the rows added this way."""
        self.log.rows += ROW.pack(self.now_ns, kind, task, a, b, c, d)
        self.count += 1
        return self.count - 1

    def add_late(
        self, place: int, now_ns: int, kind: int, task: int, a: int, b: int, c: int, d: int
    ) -> None:
        """Keep a row that belongs before row `place` (as `add` counts them).

        Rows of one place stay in the order in which they were given; a time outside its new
        neighbours' is moved between them.
        """
        self._places.append(place)
        self._late.append((now_ns, kind, task, a, b, c, d))

    def place_at(self, times_ns: list[int], first: list[int], last: list[int]) -> list[int]:
        """Return before which rows these moments lie, each kept between `first` and `last`."""
        known = self._rows()[:, 0]
        places = np.searchsorted(known, np.array(times_ns, dtype=np.int64), side="right")
        found: list[int] = np.clip(places, first, last).tolist()
        return found

    def finish(self) -> EventLog:
        """Put the late rows in and return the log."""
        if self._late:
            rows = self._rows()
            late = np.array(self._late, dtype=np.int64)
            places = np.array(self._places, dtype=np.int64)
            order = np.argsort(places, kind="stable")
            late, places = late[order], places[order]
            before = np.where(places > 0, rows[np.maximum(places - 1, 0), 0], rows[0, 0])
            after = np.where(
                places < len(rows), rows[np.minimum(places, len(rows) - 1), 0], rows[-1, 0]
            )
            late[:, 0] = np.clip(late[:, 0], before, np.maximum(after, before))
            merged = np.insert(rows, places, late, axis=0)
            # Several late rows of one place may have come in any order of time.
            merged[:, 0] = np.maximum.accumulate(merged[:, 0])
            self.log.rows = bytearray(merged.astype("<i8").tobytes())
        self._late, self._places = [], []
        return self.log

    def _rows(self) -> npt.NDArray[np.int64]:
        # A copy: numpy would otherwise forbid the bytearray to grow.
        return np.frombuffer(bytes(self.log.rows), dtype=np.int64).reshape(-1, _COLUMNS)
