"""One read (or write) of a file of /proc/PID that concerns memory: which file, which process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.operations import ReadProc
from pfviz.mm.paths import clear_refs, pagemap, procfs, procmap_query, smaps_rollup
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("fs/seq_file.c", cost="munmap_checks", function="seq_read_iter")
def read_proc(engine: Mm, thread: Thread) -> Step:
    """Open the file: each has its own way to look at the memory of a process."""
    operation = thread.operation
    assert isinstance(operation, ReadProc)
    world = engine.world
    mm = world.mm_named(operation.mm) if operation.mm else thread.mm
    match operation.file:
        case "smaps_rollup":
            return smaps_rollup.begin(thread, mm)
        case "pagemap":
            start = thread.resolve(operation.place) if operation.place is not None else None
            return pagemap.begin(thread, mm, start, operation.pages)
        case "clear_refs":
            return clear_refs.begin(thread, mm)
        case "procmap_query":
            start = thread.resolve(operation.place) if operation.place is not None else None
            return procmap_query.begin(engine, thread, mm, start)
    return procfs.begin(engine, thread, mm, operation.file)
