"""Files and the pages of them that are in memory: folios with a lock bit, readahead, a disk.

A folio object is made when somebody first looks at a cached page. The steps that look pages up and
wait for them are in `paths/filemap.py` and `paths/shmem.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pfviz.mm.driver import DRIVERS, PLAIN, Driver
from pfviz.mm.frames import CACHE, Frames
from pfviz.sim import event
from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import WRITE
from pfviz.sim.task import Task
from pfviz.sync.rwsem import RwSemaphore

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma

BY_DISK: Final = -2
READAHEAD_PAGES: Final = 32
"""ra->ra_pages: 128 KiB, the default read_ahead_kb."""

SHMEM_NAME: Final = "/dev/zero (deleted)"
"""What /proc/PID/maps calls shared memory that has no name."""


class PageLock(Protocol):
    """A page that has a lock bit: one of a file (`Folio`) or of anonymous memory."""

    id: int
    line: CacheLine
    locked_by: int
    waiters: list[Task]


@dataclass(slots=True, eq=False)
class Folio:
    """One page of a file in the page cache (order-0 folios only)."""

    id: int
    file: File
    index: int
    pfn: int
    line: CacheLine
    """Flags, reference count and map count: the cache line that its users fight for."""
    uptodate: bool = True
    dirty: bool = False
    locked_by: int = -1
    """The task that holds the lock bit, BY_DISK while it is being read; -1 is nobody."""
    waiters: list[Task] = field(default_factory=list)
    mapcount: int = 0
    refcount: int = 1
    readahead: bool = False
    """PG_readahead: who meets it starts the next asynchronous window."""
    is_cached: bool = True
    """Still in the page cache (folio->mapping is set); truncation takes it out."""

    @property
    def kind(self) -> str:
        """What its lock bit is among locks."""
        return "folio"

    @property
    def name(self) -> str:
        """What its lock bit is called."""
        return f"page {self.index} of {self.file.name}"


@dataclass(slots=True, eq=False)
class File:
    """A file that can be mapped: its pages, which of them are cached, and its locks."""

    id: int
    name: str
    pages: int
    i_mmap: RwSemaphore
    invalidate_lock: RwSemaphore
    refcount_line: CacheLine
    """struct file's reference count: get_file and fput around a wait for I/O."""
    present: bytearray
    """One byte per page: 1 when it is in the page cache."""
    folios: dict[int, Folio] = field(default_factory=dict)
    driver: Driver | None = None
    """What kind of driver serves its faults; None is a filesystem (or shared memory)."""
    device_lock: RwSemaphore | None = None
    """The lock of the driver's object that is mapped: a mutex, so it is only taken for writing."""
    is_shmem: bool = False
    """Shared memory (tmpfs): its pages are made in memory and never read from a disk."""
    has_page_mkwrite: bool = True
    """The filesystem wants to know before a shared page is written (ext4, not tmpfs)."""
    reads: int = 0
    vmas: list[int] = field(default_factory=list)
    """Ids of the VMAs in the i_mmap tree."""

    @property
    def has_map_pages(self) -> bool:
        """Whether vm_ops->map_pages exists: in all filesystems and shmem; a driver opts in so."""
        return self.driver is None or self.driver.opted_in

    def folio(self, engine: Engine[Any], index: int) -> Folio | None:
        """The folio at a page index, or None when it is not in the cache (filemap_get_entry)."""
        found = self.folios.get(index)
        if found is None and 0 <= index < self.pages and self.present[index]:
            found = self.add(engine, index, uptodate=True)
        return found

    def add(self, engine: Engine[Any], index: int, uptodate: bool, pfn: int = -1) -> Folio:
        """Put a new folio into the cache (filemap_add_folio), on a frame of its own or on `pfn`."""
        frames: Frames = engine.world.frames
        if pfn < 0:
            pfn = frames.grow(1)[0]
        number = engine.new_id()
        line = CacheLine(number, f"folio {self.name}+{index}")
        folio = Folio(number, self, index, pfn, line, uptodate)
        frames.state[pfn] = CACHE
        frames.folios[pfn] = folio
        self.folios[index] = folio
        self.present[index] = 1
        return folio

    def link(self, vma: Vma) -> None:
        """Put a VMA into the i_mmap tree (vma_link_file); i_mmap is held for writing."""
        self.vmas.append(vma.id)

    def unlink(self, vma: Vma) -> None:
        """Take a VMA out of the i_mmap tree (unlink_file_vma)."""
        self.vmas.remove(vma.id)

    def remove(self, engine: Engine[Any], index: int) -> None:
        """Take a page out of the cache (reclaim or truncation); who holds the folio sees it."""
        folio = self.folios.pop(index, None)
        if self.present[index] and engine.logging:
            engine.emit(event.PAGE_CACHE, engine.log.text("removed"), self.id, index, 1)
        self.present[index] = 0
        if folio is not None:
            folio.is_cached = False
            folio.refcount -= 1


def new_file(
    engine: Engine[Any], name: str, pages: int, present: int | bytes = 0,
    driver: bool | str = False, page_mkwrite: bool = True,
) -> File:  # fmt: skip
    """A file of `pages` pages; `present` is how many of the first are cached, or a byte for each.

    `driver` names the kind of a device mapping (`driver.DRIVERS`); `present` are then the pages
    that the device has at hand. True is a plain one that has them all.
    """
    kind = PLAIN if driver is True else DRIVERS[driver] if driver else None
    if driver is True:
        present = pages
    cached = bytearray(pages)
    if isinstance(present, int):
        cached[:present] = b"\1" * min(present, pages)
    else:
        cached[: len(present)] = present
    number = engine.new_id()
    file = File(
        number, name, pages,
        RwSemaphore(engine, "i_mmap", f"i_mmap {name}", -1),
        RwSemaphore(engine, "rwsem", f"invalidate_lock {name}", -1),
        CacheLine(engine.new_id(), f"file {name}"),
        cached,
        driver=kind,
        has_page_mkwrite=page_mkwrite and not driver,
    )  # fmt: skip
    if kind is not None and kind.has_lock and not kind.is_dax:
        file.device_lock = RwSemaphore(engine, "rwsem", f"object lock {name}", -1)
    if engine.logging:
        engine.emit(event.FILE_NEW, number, engine.log.text(name), pages, sum(cached))
    return file


def shmem_zero_setup(engine: Engine[Any], pages: int, present: int = 0) -> File:
    """The unnamed file in memory behind a MAP_SHARED | MAP_ANONYMOUS mapping of `pages` pages."""
    file = new_file(engine, SHMEM_NAME, pages, present, page_mkwrite=False)
    file.is_shmem = True
    return file


def folio_trylock(engine: Engine[Any], task: Task, folio: PageLock) -> bool:
    """Take the lock bit if it is free; an atomic on the folio's line either way."""
    folio.line.write(engine)
    if folio.locked_by != -1:
        return False
    folio.locked_by = task.id
    if engine.watch is not None:
        engine.watch.took(engine, task, folio, WRITE)
    return True


def folio_unlock(engine: Engine[Any], folio: PageLock) -> None:
    """Clear the lock bit and wake everybody who waits for it."""
    assert folio.locked_by != -1, "folio unlocked twice"
    if engine.task is not None:
        folio.line.write(engine)
    _unlocked_by_task(engine, folio)
    folio.locked_by = -1
    waiters, folio.waiters = folio.waiters, []
    for task in waiters:
        engine.wake(task)


def _unlocked_by_task(engine: Engine[Any], folio: PageLock) -> None:
    """The task that held the lock bit gives it up, or hands it to the disk."""
    if engine.watch is not None and folio.locked_by >= 0:
        engine.watch.gave(engine, engine.tasks[folio.locked_by], folio, WRITE)


def start_read(engine: Engine[Any], file: File, first: int, count: int) -> int:
    """Submit one read for the pages of [first, first+count) that are not cached.

    They enter the cache locked and not up to date; the disk unlocks them when it is done. Returns
    how many pages were added.
    """
    folios = []
    for index in range(max(first, 0), min(first + count, file.pages)):
        if file.folio(engine, index) is None:
            folio = file.add(engine, index, uptodate=False)
            folio.locked_by = BY_DISK
            folios.append(folio)
    if folios:
        if engine.logging:
            added = engine.log.text("added")
            engine.emit(event.PAGE_CACHE, added, file.id, folios[0].index, len(folios))
        submit_read(engine, file, folios)
    return len(folios)


def submit_read(engine: Engine[Any], file: File, folios: list[Folio]) -> None:
    """Let the disk fill locked pages; it unlocks them when it is done."""
    file.reads += 1
    costs = engine.machine.costs
    wait_ns = costs["io"] + costs["io_page"] * len(folios)
    for folio in folios:
        _unlocked_by_task(engine, folio)
        folio.locked_by = BY_DISK
    if engine.logging:
        engine.emit(event.IO_BEGIN, file.id, folios[0].index, len(folios))
    engine.alarm(wait_ns, _read_done, (file, folios, engine.now_ns))


def _read_done(engine: Engine[Any], subject: tuple[File, list[Folio], int]) -> None:
    """The disk answers: the pages are up to date and unlocked, their waiters wake."""
    file, folios, begun_ns = subject
    if engine.logging:
        wait_ns = engine.now_ns - begun_ns
        engine.emit(event.IO_END, file.id, folios[0].index, len(folios), wait_ns)
    for folio in folios:
        folio.uptodate = True
        folio_unlock(engine, folio)
