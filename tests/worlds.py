"""Small worlds for tests, built in sentences: `world(cpus=2).process(...).thread(...)`.

A VMA placed as "heap" is also a slot, so operations can say `at("heap", page=3)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfviz.mm.address_space import AddressSpace, new_mm, place_vma, place_vma_below
from pfviz.mm.costs import COSTS
from pfviz.mm.operations import PAGE_SIZE, Operation, OperationList, Place
from pfviz.mm.page_cache import File, new_file
from pfviz.mm.page_range import populate_anon
from pfviz.mm.paths.run import new_thread
from pfviz.mm.policy import Policy
from pfviz.mm.reverse_map import link_vma, new_anon_vma
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_READ, VM_WRITE, Vma
from pfviz.mm.world import Mm, new_engine
from pfviz.sim import event
from pfviz.sim.event import FIELDS, STEP
from pfviz.sim.machine import Machine
from pfviz.sim.picker import Picker


def at(base: str | int, page: int = 0) -> Place:
    """The start of a page of a named VMA or slot."""
    return Place(base, page * PAGE_SIZE)


@dataclass
class Scene:
    """An engine with a process or more, and the questions tests ask about a run."""

    engine: Mm
    mm: AddressSpace
    vmas: dict[str, Vma] = field(default_factory=dict)

    # Building

    def vma(self, name: str, pages: int, perms: str = "rw", **fields: Any) -> Scene:
        """Map `pages` pages as `name`, below what is there already (or at `start`)."""
        flags = (VM_READ if "r" in perms else 0) | (VM_WRITE if "w" in perms else 0)
        flags |= fields.pop("flags", 0)
        start = fields.pop("start", None)
        place: Any = place_vma_below if start is None else place_vma
        where = () if start is None else (start,)
        vma = place(self.engine, self.mm, *where, pages, flags=flags, name=name, **fields)
        self.vmas[name] = vma
        self.mm.slots[name] = vma.vm_start
        return self

    def file_vma(self, name: str, file: File, pages: int, perms: str = "r", **fields: Any) -> Scene:
        """Map the first pages of a file as `name`."""
        return self.vma(name, pages, perms, kind="file", vm_file=file, vm_pgoff=0, **fields)

    def file(self, name: str, pages: int, present: int = 0) -> File:
        """A file of which the first `present` pages are in the page cache."""
        file = new_file(self.engine, name, pages, present)
        self.engine.world.files[name] = file
        return file

    def touched(self, name: str, pages: int | None = None) -> Scene:
        """Give a VMA an anon_vma and resident pages, as if written long ago."""
        vma = self.vmas[name]
        if vma.anon_vma is None:
            vma.anon_vma = new_anon_vma(self.engine)
            link_vma(vma, vma.anon_vma)
        count = vma.pages if pages is None else pages
        number, writable = vma.anon_vma.id, bool(vma.vm_flags & VM_WRITE)
        tables = self.mm.page_tables
        populate_anon(self.engine, tables, vma.vm_start, count, number, writable)
        return self

    def thread(
        self,
        name: str,
        *operations: Operation,
        cpu: int = 0,
        repeat: int = 1,
        prio: int = 120,
        after_ns: int = 0,
    ) -> Thread:
        """Start a thread that does `operations` one after another, `repeat` times over."""
        cpus = self.engine.machine.cpus
        program = OperationList(operations, repeat)
        return new_thread(self.engine, self.mm, name, cpus[cpu], program, prio, after_ns)

    # Asking

    def run(self, until_ns: int | None = None, steps_max: int = 200_000) -> Scene:
        """Run to the end (or to a time)."""
        if until_ns is None:
            done = self.engine.run(steps_max=steps_max)
            assert done < steps_max, "the run does not end"
        else:
            self.engine.run(until_ns=until_ns, steps_max=steps_max)
        return self

    def functions(self, thread: Thread | None = None) -> list[str]:
        """The kernel functions whose steps ran, in order; runs of one function count once."""
        log = self.engine.log
        names: list[str] = []
        for row in log:
            if row[1] == STEP and row[3] >= 0 and (thread is None or row[2] == thread.id):
                name = log.steps[row[3]].function
                if not names or names[-1] != name:
                    names.append(name)
        return names

    def events(self, kind: int, thread: Thread | None = None) -> list[dict[str, Any]]:
        """All events of a kind as dictionaries, texts and details looked up."""
        return [
            decode(self.engine, row)
            for row in self.engine.log
            if row[1] == kind and (thread is None or row[2] == thread.id)
        ]

    def results(self, thread: Thread | None = None) -> list[int]:
        """What each finished operation returned."""
        return [end["result"] for end in self.events(event.OP_END, thread)]

    def layout(self) -> list[tuple[int, int, str]]:
        """The VMAs of the process: page numbers of start and end, permissions."""
        return [(v.vm_start >> 12, v.vm_end >> 12, v.perms) for v in self.mm.tree]

    def named(self, name: str) -> int:
        """The address of a VMA by the name under which it was placed."""
        return self.mm.slots[name]


def decode(engine: Mm, row: tuple[int, ...]) -> dict[str, Any]:
    """One event as a dictionary of its payload, with `now_ns` and `task`."""
    log = engine.log
    found: dict[str, Any] = {"now_ns": row[0], "task": row[2]}
    for name, value in zip(FIELDS[row[1]][1], row[3:], strict=False):
        if name.endswith("_text"):
            found[name[:-5]] = log.texts[value]
        elif name.endswith("_detail"):
            found[name[:-7]] = log.details[value]
        elif name:
            found[name] = value
    return found


def world(
    kernel: str = "6.12",
    mode: str = "",
    cpus: int = 2,
    sockets: int = 1,
    policy: Policy | None = None,
    picker: Picker | None = None,
    logging: bool = True,
    **costs: int,
) -> Scene:
    """A machine under a kernel, with one empty process called "app"."""
    machine = Machine("test", sockets, cpus // sockets, {**COSTS, **costs})
    engine = new_engine(machine, kernel, mode, policy, picker, logging)
    return Scene(engine, new_mm(engine, "app"))
