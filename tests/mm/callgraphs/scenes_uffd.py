"""The scenes of the recorded userfault: the fault of the worker, and the monitor's UFFDIO_COPY."""

from __future__ import annotations

from pfviz.mm.operations import Access, Compute, Uffd
from pfviz.mm.thread import Thread
from pfviz.mm.vma import PAGE_SIZE
from tests.mm.callgraphs.recorder import Row, fault_rows, operation_rows
from tests.worlds import Scene, at, world


def _world(kernel: str, touched: bool) -> tuple[Scene, Thread, Thread]:
    made = world(kernel, cpus=4)
    made.vma("m", 16)
    if touched:
        made.touched("m", 1)
    made.mm.page_tables.table_for(made.engine, made.named("m"))
    made.mm.page_tables.table_for(made.engine, made.named("m") - PAGE_SIZE)
    monitor = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("poll"),
        Uffd("read"),
        Compute(1_000),
        Uffd("copy"),
        cpu=1,
    )
    worker = made.thread("t", Access(at("m", 5), write=True), after_ns=20_000)
    made.run()
    return made, monitor, worker


def uffd_missing(kernel: str) -> tuple[Scene, Thread, list[Row]]:
    """The first write to memory that was never touched, which a monitor in poll is told of."""
    made, _, worker = _world(kernel, touched=False)
    return made, worker, fault_rows(made, worker)


def uffd_copy(kernel: str) -> tuple[Scene, Thread, list[Row]]:
    """The answer, to memory that has an anon_vma by now."""
    made, monitor, _ = _world(kernel, touched=True)
    return made, monitor, operation_rows(made, monitor)
