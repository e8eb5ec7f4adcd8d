"""A reference count that refuses to grow from zero or beyond a limit (include/linux/refcount.h).

It emits its word; what a reference means (a reader, a pin) is the caller's to log.

Costs: refcount.
"""

from __future__ import annotations

from typing import Any

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import LOCK_NEW, LOCK_WORD, NOBODY


class LimitedRefcount:
    """refcount_t on a cache line of its own."""

    __slots__ = ("id", "kind", "line", "name", "owner", "value")

    def __init__(
        self,
        engine: Engine[Any],
        kind: str,
        name: str,
        owner: int = -1,
        value: int = 0,
        line: CacheLine | None = None,
    ) -> None:
        self.id = engine.new_id()
        self.kind = kind
        self.name = name
        self.owner = owner
        self.value = value
        self.line = CacheLine(engine.new_id(), name) if line is None else line
        if engine.logging:
            log = engine.log
            engine.emit(LOCK_NEW, self.id, log.text(kind), log.text(name), owner)

    def read(self, engine: Engine[Any]) -> int:
        """The value now; charges the line."""
        self.line.read(engine)
        return self.value

    def set(self, engine: Engine[Any], value: int) -> None:
        """Store a value nobody else can race with (attach, reset)."""
        self._change(engine, value)

    def inc_not_zero_limited(self, engine: Engine[Any], limit: int) -> int:
        """Add one unless the count is zero or at least `limit`; returns the value before.

        It was taken if and only if `0 < old < limit`.
        """
        old = self.value
        if 0 < old < limit:
            self._change(engine, old + 1)
        else:
            engine.cost("refcount")
            self.line.read(engine)
        return old

    def add_not_zero(self, engine: Engine[Any], count: int) -> bool:
        """Add `count` unless the count is zero; whether it was added."""
        if not self.value:
            engine.cost("refcount")
            self.line.read(engine)
            return False
        self._change(engine, self.value + count)
        return True

    def add(self, engine: Engine[Any], count: int = 1) -> int:
        """Add to a count known to be above zero; the new value."""
        assert self.value > 0, f"{self.name}: addition on 0; use after free"
        self._change(engine, self.value + count)
        return self.value

    def sub(self, engine: Engine[Any], count: int) -> int:
        """Drop `count` references; the new value."""
        assert count <= self.value, f"{self.name}: refcount underflow"
        self._change(engine, self.value - count)
        return self.value

    def dec(self, engine: Engine[Any]) -> int:
        """Drop one reference; the new value."""
        return self.sub(engine, 1)

    def _change(self, engine: Engine[Any], value: int) -> None:
        engine.cost("refcount")
        self.line.write(engine)
        self.value = value
        engine.emit(LOCK_WORD, self.id, value, NOBODY)
