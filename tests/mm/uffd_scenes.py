"""Worlds with a userfaultfd monitor: one for each kind of fault that it can be asked for."""

from __future__ import annotations

from pfviz.mm.operations import Access, Compute, Mprotect, Uffd
from pfviz.mm.page_cache import shmem_zero_setup
from pfviz.mm.policy import Policy
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_SHARED
from pfviz.sim import event
from pfviz.sim.picker import Picker
from tests.worlds import Scene, at, world

PAGES = 16
FAULTS = ("missing", "zero", "wp", "minor", "shmem")
MODE = {"missing": "missing", "zero": "missing", "wp": "wp", "minor": "minor", "shmem": "missing"}
PAGE = {"missing": 5, "zero": 5, "wp": 2, "minor": 3, "shmem": 10}
"""Which page the worker touches: one that makes it ask the monitor."""


def region(kind: str, kernel: str = "6.12", mode: str = "", policy: Policy | None = None,
           picker: Picker | None = None, **costs: int) -> Scene:  # fmt: skip
    """Sixteen pages at "m": anonymous with four resident, or shared with eight in the cache."""
    made = world(kernel, mode, cpus=4, policy=policy, picker=picker, **costs)
    if kind in ("minor", "shmem"):
        file = shmem_zero_setup(made.engine, PAGES, 8)
        made.file_vma("m", file, PAGES, "rw", flags=VM_SHARED)
    else:
        made.vma("m", PAGES).touched("m", 4)
    made.mm.page_tables.table_for(made.engine, made.named("m"))
    return made


def monitor(made: Scene, kind: str, rounds: int = 1, features: tuple[str, ...] = (),
            service_ns: int = 4_000, cpu: int = 1) -> Thread:  # fmt: skip
    """A thread that registers "m" and answers so many faults, then waits for more."""
    first = [Uffd("open", features=features), Uffd("register", at("m"), PAGES, (MODE[kind],))]
    if kind == "wp":
        first.append(Uffd("protect", at("m"), 4))
    answer = Uffd("zeropage") if kind == "zero" else Uffd("resolve")
    one = (Uffd("poll"), Uffd("read"), Compute(service_ns), answer)
    return made.thread("monitor", *first, *(one * rounds), Uffd("poll"), cpu=cpu)


def flow(kind: str, kernel: str = "6.12", mode: str = "",
         policy: Policy | None = None, **costs: int) -> tuple[Scene, Thread, Thread]:  # fmt: skip
    """A worker that touches one page, and the monitor that answers."""
    made = region(kind, kernel, mode, policy, **costs)
    serving = monitor(made, kind)
    touch = Access(at("m", PAGE[kind]), write=kind != "zero")
    worker = made.thread("worker", touch, after_ns=20_000)
    return made, worker, serving


def with_writer(kernel: str, policy: Policy, mode: str = "") -> tuple[Scene, Thread, Thread]:
    """The same while a third thread makes two pages of the region read-only."""
    made = region("missing", kernel, mode, policy)
    serving = monitor(made, "missing", service_ns=20_000)
    worker = made.thread("worker", Access(at("m", 5), write=True), after_ns=20_000)
    made.thread("mapper", Mprotect(at("m", 8), 2, 1), cpu=2, after_ns=26_000)
    return made, worker, serving


def pte(made: Scene, page: int) -> int:
    return made.mm.page_tables.pte(made.named("m") + page * 4096)


def locks_held_at(made: Scene, function: str, worker: int) -> list[str]:
    """The sleeping locks that the worker held when it came to a function, by kind."""
    log = made.engine.log
    kind_of: dict[int, str] = {}
    held: list[int] = []
    for row in log:
        if row[1] == event.LOCK_NEW:
            kind_of[row[3]] = log.texts[row[4]]
        elif row[2] != worker:
            continue
        elif row[1] == event.LOCK_ACQUIRED:
            held.append(row[3])
        elif row[1] == event.LOCK_RELEASED and row[3] in held:
            held.remove(row[3])
        elif row[1] == event.STEP and log.steps[row[3]].function == function:
            return [kind_of[lock] for lock in held if kind_of[lock] != "spinlock"]
    raise AssertionError(f"{function} did not run")
