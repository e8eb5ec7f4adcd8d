"""May the handler of a file (vm_ops->fault) be called under the lock held, and whose is it?

The kernel's list of those that can do without mmap_lock is who has map_pages (6.7+). What handlers
do is the business of `filemap`, `shmem` and `driver`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.page_cache import File
from pfviz.mm.paths import driver
from pfviz.mm.paths.anon_vma import give_up
from pfviz.mm.paths.file_page import file_of, pte_free_prealloc
from pfviz.mm.paths.filemap import filemap_fault
from pfviz.mm.paths.shmem import shmem_fault
from pfviz.mm.thread import VMA_LOCK
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

NO_MAP_PAGES: Final = "driver without map_pages"
HANDLER_NEEDS_MMAP_LOCK: Final = "->fault under the VMA lock (6.6)"


def ask_file(thread: Thread) -> Step:
    """The first step of the file's own handler (vm_ops->fault), which ends with `back`."""
    file = file_of(thread)
    if file.driver is not None:
        return driver.ask_driver(file)
    return shmem_fault if file.is_shmem else filemap_fault


def may_call_fault(engine: Mm, file: File) -> bool:
    """Whether the file's handler can do without mmap_lock: map_pages says so, or policy."""
    policy = engine.world.policy
    return file.has_map_pages or policy.driver_opt_in or policy.driver_map_pages


def vmf_can_call_fault(engine: Mm, thread: Thread) -> Step | None:
    """None when the file's handler may run under the lock held; else the way out (RETRY)."""
    if thread.in_flight.regime != VMA_LOCK:
        return None
    cause = ""
    if not may_call_fault(engine, file_of(thread)):
        cause = NO_MAP_PAGES
    elif engine.world.preset.file_under_vl == "map_pages":
        cause = HANDLER_NEEDS_MMAP_LOCK
    if not cause:
        return None
    pte_free_prealloc(engine, thread)
    thread.abort = cause
    # 6.6 tests in the very functions that would call the handler, later kernels in one of its own.
    if engine.world.preset.file_under_vl == "full":
        return must_not_call_fault
    return give_up(engine, thread, cause)


@step("mm/memory.c (6.7+)", cost="vma_check", function="vmf_can_call_fault")
def must_not_call_fault(engine: Mm, thread: Thread) -> Step:
    """Only under mmap_lock may this handler be called: give the VMA lock back and start again."""
    return give_up(engine, thread, thread.abort)
