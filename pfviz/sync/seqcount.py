"""A sequence count: readers compare it before and after, writers change it; nobody waits.

Two flavours: seqcount_t (odd while a writer is in) and the plain generation of 6.4 to 6.12.0, which
grows by one when a writer leaves. It does not know what it guards.

Costs: seqcount.
"""

from __future__ import annotations

from typing import Any

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import SEQ_CHANGED


class SeqCount:
    """A counter on a cache line; `lock` is the id under which its changes are logged."""

    __slots__ = ("is_generation", "line", "lock", "name", "value")

    def __init__(
        self,
        engine: Engine[Any],
        name: str,
        lock: int | None = None,
        line: CacheLine | None = None,
        is_generation: bool = False,
        value: int = 0,
    ) -> None:
        self.lock = engine.new_id() if lock is None else lock
        self.name = name
        self.line = CacheLine(engine.new_id(), name) if line is None else line
        self.is_generation = is_generation
        self.value = value

    @property
    def is_written(self) -> bool:
        """A seqcount_t is odd while a writer is in; a plain generation cannot tell."""
        return not self.is_generation and self.value % 2 == 1

    def read(self, engine: Engine[Any]) -> int:
        """The value now; charges the line."""
        engine.cost("seqcount")
        self.line.read(engine)
        return self.value

    def retry(self, engine: Engine[Any], value: int) -> bool:
        """Whether a writer came in since `value` was read, or was in already."""
        return self.read(engine) != value or (not self.is_generation and value % 2 == 1)

    def write_begin(self, engine: Engine[Any]) -> None:
        """A writer comes in: a seqcount_t becomes odd, a generation stays."""
        if self.is_generation:
            return
        assert not self.is_written, f"{self.name} has a writer already"
        self._grow(engine)

    def write_end(self, engine: Engine[Any]) -> None:
        """The writer leaves: even again, or the next generation."""
        assert self.is_generation or self.is_written, f"{self.name} has no writer"
        self._grow(engine)

    def _grow(self, engine: Engine[Any]) -> None:
        engine.cost("seqcount")
        self.line.write(engine)
        self.value += 1
        engine.emit(SEQ_CHANGED, self.lock, self.value)
        if engine.watch is not None:
            engine.watch.counted(engine, self)
