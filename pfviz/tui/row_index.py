"""Where in a log the rows of one sort are, kept up while the log grows.

Stops, search hits and breakpoints are all this; what a row means is the predicate's business.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pfviz.sim.event import ROW_BYTES, EventLog

Columns = npt.NDArray[np.int64]
"""Rows as an array of shape (rows, 7): now_ns, kind, task, a, b, c, d."""
Mask = npt.NDArray[np.bool_]
Predicate = Callable[[Columns], Mask]
CHUNK_ROWS = 20_000


def columns(log: EventLog, first: int, last: int) -> Columns:
    """The rows `first` to `last` (excluded) as a copy, so that the log may go on growing."""
    raw = bytes(log.rows[first * ROW_BYTES : last * ROW_BYTES])
    return np.frombuffer(raw, dtype="<i8").reshape(-1, 7)


class RowIndex:
    """The positions just after each row that a predicate accepts, in order.

    A position counts applied events: position 5 is the moment after the fifth row. The predicate
    sees the rows once, in order and in chunks, and may remember what it saw.
    """

    def __init__(self, log: EventLog, accepts: Predicate) -> None:
        self._log = log
        self._accepts = accepts
        self._positions = array("q")
        self.seen = 0
        """How many rows were looked at so far."""

    def __len__(self) -> int:
        return len(self._positions)

    def extend(self, chunks_max: int = 1 << 30) -> bool:
        """Look at rows that are new, at most so many chunks of them; whether any are left."""
        total = len(self._log)
        while self.seen < total and chunks_max > 0:
            last = min(total, self.seen + CHUNK_ROWS)
            mask = self._accepts(columns(self._log, self.seen, last))
            found = np.flatnonzero(mask).astype(np.int64) + (self.seen + 1)
            self._positions.frombytes(found.tobytes())
            self.seen = last
            chunks_max -= 1
        return self.seen < total

    def after(self, position: int) -> int | None:
        """The first one past `position`; None when there is none yet."""
        found = bisect_right(self._positions, position)
        return self._positions[found] if found < len(self._positions) else None

    def before(self, position: int) -> int | None:
        """The last one ahead of `position`."""
        found = bisect_left(self._positions, position)
        return self._positions[found - 1] if found else None

    def count(self, position: int) -> int:
        """How many there are up to and including `position`."""
        return bisect_right(self._positions, position)

    def nth(self, ordinal: int) -> int | None:
        """The position of the `ordinal`-th, counted from 1."""
        inside = 1 <= ordinal <= len(self._positions)
        return self._positions[ordinal - 1] if inside else None

    def everything(self) -> array[int]:
        """All positions so far (not a copy: do not change it)."""
        return self._positions
