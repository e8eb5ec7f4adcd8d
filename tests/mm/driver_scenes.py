"""A device's memory at "m", and the questions that tests ask about faults in it."""

from __future__ import annotations

from pfviz.mm import rules
from pfviz.mm.operations import Access
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE
from pfviz.mm.paths.driver_mmap import fill_at_once
from pfviz.mm.policy import Policy
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_SHARED
from pfviz.sim import event
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
MS = 1_000_000
READ = Access(at("m", 1))
WRITE = Access(at("m", 1), write=True)
SINCE_6_7 = ("6.7", "6.8", "6.9", "6.10", "6.12", "6.15", "6.17", "6.18", "7.2")
OPTED_IN = ("opted_in", "maps_ahead", "drops_fault_lock", "dax_opted_in")
NOT_OPTED_IN = ("plain", "special", "drops_lock", "dax")


def device(driver: str, kernel: str = "6.12", mode: str = "", ready: int = 64,
           policy: Policy | None = None, cpus: int = 4) -> Scene:  # fmt: skip
    """Sixty-four pages of a device at "m", shared and writable."""
    made = world(kernel, mode, cpus=cpus, policy=policy)
    file = new_file(made.engine, "dev", 64, ready, driver=driver)
    made.engine.world.files["dev"] = file
    made.file_vma("m", file, 64, "rw", flags=VM_SHARED, start=BASE)
    made.mm.page_tables.table_for(made.engine, BASE)
    if driver == "pfnmap":
        fill_at_once(made.engine, made.mm.page_tables, made.vmas["m"])
    return made


def watched(made: Scene, until_ns: int = 20 * MS) -> Scene:
    rules.run(made.engine, until_ns, every_steps=1)
    return made


def broken(made: Scene) -> list[str]:
    return [one.rule for one in made.engine.world.broken]


def regimes(made: Scene, thread: Thread | None = None) -> list[int]:
    return [path["regime"] for path in made.events(event.FAULT_PATH, thread)]


def mapped(made: Scene) -> list[int]:
    tables = made.mm.page_tables
    return [page for page in range(64) if tables.pte(BASE + page * PAGE_SIZE)]
