"""The cells of the matrix that are known so far, and which one is found out next.

Each is found by a run of its fault (`scenario.matrix`), a few milliseconds at a time, so that the
screen stays free. It refuses to know how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import Final

from pfviz.mm.releases import Change
from pfviz.scenario import matrix
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.matrix import KERNELS, Cell, Policies
from pfviz.views.fault_codes import BROKEN

ALL: Final = tuple((kind.id, kernel) for kernel in KERNELS for kind in KINDS)
"""Kernel by kernel: that is how people read the matrix."""

Where = tuple[str, str]
"""A kind and a kernel, by name."""


class CellStore:
    """Cells under one set of policies; `work` finds more of them, the wanted one first."""

    def __init__(self, policy: Policies = ()) -> None:
        self.policy = policy
        self.cells: dict[Where, Cell] = {}
        self.causes: dict[Where, tuple[Change, ...]] = {}
        self.released: dict[Where, str] = {}
        """The codes without any policy turned, where policies are."""
        self.wanted: Where = ALL[0]
        self._rest: Iterator[Where] = iter(ALL)
        self._old: Iterator[Where] = iter(ALL if policy else ())

    @property
    def finished(self) -> bool:
        """Whether every cell is known."""
        return len(self.cells) == len(ALL)

    def want(self, kind: str, kernel: str) -> None:
        """The cell that somebody looks at: it comes next, and whose doing its code is."""
        self.wanted = kind, kernel

    def work(self, seconds: float) -> bool:
        """Run faults for about so long; whether more is to be done."""
        deadline = perf_counter() + seconds
        while self._one():
            if perf_counter() >= deadline:
                return True
        return False

    def _one(self) -> bool:
        """Find out one thing more; False when there is nothing left to find out."""
        if self.wanted not in self.cells:
            self._run(self.wanted)
            return True
        if self.wanted not in self.causes and self.cells[self.wanted].code != BROKEN:
            self.causes[self.wanted] = matrix.causes(*self.wanted, self.policy)
            return True
        for where in self._rest:
            if where not in self.cells:
                self._run(where)
                return True
        for where in self._old:
            self.released[where] = matrix.cell(*where).code
            return True
        return False

    def _run(self, where: Where) -> None:
        try:
            self.cells[where] = matrix.cell(*where, self.policy)
        except (ScenarioError, ValueError) as error:
            self.cells[where] = replace(Cell(*where, BROKEN), cause=str(error))

    # What is known

    def code(self, kind: str, kernel: str) -> str:
        """A cell's code; "" while it is not known."""
        found = self.cells.get((kind, kernel))
        return "" if found is None else found.code

    def changed(self, kernel_a: str, kernel_b: str) -> tuple[str, ...]:
        """The kinds whose codes are known to differ between two kernels, in the rows' order."""
        return tuple(
            kind.id
            for kind in KINDS
            if self.code(kind.id, kernel_a)
            and self.code(kind.id, kernel_b)
            and self.code(kind.id, kernel_a) != self.code(kind.id, kernel_b)
        )

    def turned(self, kind: str, kernel: str) -> str:
        """The code as released, where the policies make another of it; else ""."""
        was = self.released.get((kind, kernel), "")
        return was if was != self.code(kind, kernel) else ""
