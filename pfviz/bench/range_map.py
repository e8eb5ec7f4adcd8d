"""The range map that sortedcontainers gives: what one would write without a maple tree."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any


class RangeMap:
    """SortedDict of start -> (last, entry); ranges do not overlap, all bounds are inclusive.

    Raises ImportError where sortedcontainers is not installed.
    """

    def __init__(self, ranges: Iterable[tuple[int, int, Any]] = ()) -> None:
        sortedcontainers: Any = importlib.import_module("sortedcontainers")
        self.ranges = sortedcontainers.SortedDict(
            (first, (last, entry)) for first, last, entry in ranges
        )

    def walk(self, index: int) -> Any:
        """The entry over `index`, or None."""
        ranges = self.ranges
        position = ranges.bisect_right(index) - 1
        if position < 0:
            return None
        last, entry = ranges.peekitem(position)[1]
        return entry if index <= last else None

    def store(self, first: int, last: int, entry: Any) -> None:
        """Put an entry over [first, last]: what it covers goes, what sticks out is cut."""
        ranges = self.ranges
        position = ranges.bisect_left(first)
        if position:
            start, (end, old) = ranges.peekitem(position - 1)
            if end >= first:
                ranges[start] = (first - 1, old)
                if end > last:
                    ranges[last + 1] = (end, old)
        if first in ranges:
            # Its key is kept: the new entry begins here too.
            end, old = ranges[first]
            if end > last:
                ranges[last + 1] = (end, old)
            position += 1
        while position < len(ranges):
            start, (end, old) = ranges.peekitem(position)
            if start > last:
                break
            del ranges[start]
            if end > last:
                ranges[last + 1] = (end, old)
        ranges[first] = (last, entry)

    def erase(self, index: int) -> Any:
        """Take the entry over `index` away with its whole range; return it, or None."""
        ranges = self.ranges
        position = ranges.bisect_right(index) - 1
        if position < 0:
            return None
        start, (last, entry) = ranges.peekitem(position)
        if index > last:
            return None
        del ranges[start]
        return entry
