"""Cache lines with an owner: why shared counters do not scale.

An atomic on a line that another CPU owns costs a transfer; transfers of one line queue up behind
one another (FIFO). Plain reads share a line until somebody writes it. Nothing here is a formula for
contention: waiting comes out of the queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .event import LINE_MOVED, LINE_NEW

if TYPE_CHECKING:
    from .engine import Engine
    from .machine import Cpu


PREFETCH_QUEUE_MAX: Final = 3
"""Transfers ahead of it after which a prefetch is dropped."""


@dataclass(slots=True, eq=False)
class CacheLine:
    """64 bytes that move between CPUs as a whole."""

    id: int
    name: str
    owner: int = -1
    """The CPU that wrote last, -1 when nobody did yet."""
    sharers: set[int] = field(default_factory=set)
    """CPUs with a valid copy, the owner included."""
    busy_until_ns: int = 0
    arrives_ns: int = 0
    """When a prefetched line reaches its owner; before that even the owner has to wait."""
    transfers: int = 0
    busy_ns: int = 0

    def write(self, engine: Engine[Any]) -> None:
        """Make the running CPU the only owner (an atomic or a store); charge what it takes."""
        cpu = engine.cpu
        if self.owner == cpu.id and len(self.sharers) <= 1:
            if self.arrives_ns > engine.now_ns:
                self._await(engine)
            return
        others = self.sharers - {cpu.id}
        if others or self.owner not in (-1, cpu.id):
            self._transfer(engine, cpu)
        self.owner = cpu.id
        self.sharers = {cpu.id}

    def read(self, engine: Engine[Any]) -> None:
        """Give the running CPU a copy (a load); free while it still has one."""
        cpu = engine.cpu
        if cpu.id in self.sharers:
            if self.arrives_ns > engine.now_ns and self.owner == cpu.id:
                self._await(engine)
            return
        if self.owner >= 0:
            self._transfer(engine, cpu)
        self.sharers.add(cpu.id)

    def prefetch(self, engine: Engine[Any]) -> None:
        """Ask for the line exclusively and go on at once (prefetchw): the CPU does not wait for it.

        The line leaves its owner all the same. A memory system drops such a request when it is
        busy: here when more than PREFETCH_QUEUE_MAX transfers are ahead of it. The wait, if the CPU
        comes back before the line does, is logged as a move from the CPU to itself.
        """
        cpu = engine.cpu
        if self.owner == cpu.id and len(self.sharers) <= 1:
            return
        if self.sharers - {cpu.id} or self.owner not in (-1, cpu.id):
            giver = self.owner
            ahead_ns = self.busy_until_ns - engine.now_ns - engine.extra_ns
            if ahead_ns > PREFETCH_QUEUE_MAX * engine.machine.line_same_socket_ns:
                return
            self.arrives_ns = self._request(engine, cpu)
            engine.emit(LINE_MOVED, self.id, giver, cpu.id, 0)
        self.owner = cpu.id
        self.sharers = {cpu.id}

    def _await(self, engine: Engine[Any]) -> None:
        """The running CPU owns the line by prefetch; wait for what is left of the transfer."""
        left_ns = self.arrives_ns - engine.now_ns - engine.extra_ns
        self.arrives_ns = 0
        if left_ns > 0:
            engine.charge(left_ns)
            engine.emit(LINE_MOVED, self.id, self.owner, self.owner, left_ns)

    def _transfer(self, engine: Engine[Any], cpu: Cpu) -> None:
        giver = self.owner
        asked_ns = engine.now_ns + engine.extra_ns
        arrives_ns = self._request(engine, cpu)
        engine.charge(arrives_ns - asked_ns)
        engine.emit(LINE_MOVED, self.id, giver, cpu.id, arrives_ns - asked_ns)

    def _request(self, engine: Engine[Any], cpu: Cpu) -> int:
        """Queue one transfer to a CPU; when the line gets there."""
        giver = self.owner
        transfer_ns = engine.machine.transfer_ns(giver if giver >= 0 else cpu.id, cpu.id)
        asked_ns = engine.now_ns + engine.extra_ns
        begins_ns = asked_ns if asked_ns > self.busy_until_ns else self.busy_until_ns
        self.busy_until_ns = begins_ns + transfer_ns
        if engine.logging and not self.transfers:
            engine.emit(LINE_NEW, self.id, engine.log.text(self.name))
        self.transfers += 1
        self.busy_ns += transfer_ns
        return self.busy_until_ns
