"""Scenes of device mappings: the vvar page, a graphics buffer, /dev/mem filled at mmap."""

from __future__ import annotations

from pfviz.mm import operations as ops
from pfviz.mm.page_cache import new_file
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_SHARED
from tests.mm.callgraphs.recordings import Call
from tests.worlds import Scene, at


def map_dev_mem(made: Scene) -> Thread:
    """mmap of a device whose driver fills the page tables at once."""
    made.vma("beside", 16, "r", start=0x7F00_0000_0000)
    file = new_file(made.engine, "mem", 64, 64, driver="pfnmap")
    made.engine.world.files["mem"] = file
    prot = ops.PROT_READ | ops.PROT_WRITE
    return made.thread("t", ops.Mmap(1, prot, ops.MAP_SHARED, file="mem", at=at("beside", 16)))


def without_second_merge(calls: list[Call]) -> list[Call]:
    """Leave out that kernels up to 6.12 try to merge once more when the driver changed the flags.

    A device's mapping never merges.
    """
    filled = next(n for n, call in enumerate(calls) if call.name == "remap_pfn_range")
    again = ("vma_merge", "vma_merge_new_range")
    return [call for n, call in enumerate(calls) if n < filled or call.name not in again]


def read_vvar(made: Scene) -> Thread:
    """First look at the page of the kernel that shows the clock."""
    made.file_vma("m", new_file(made.engine, "[vvar]", 4, 4, driver="special"), 4, "r")
    return made.thread("t", ops.Access(at("m")))


def write_graphics_buffer(made: Scene) -> Thread:
    """First write to a buffer of four pages: TTM maps all of them, 6.18's driver just one."""
    kernel = made.engine.world.preset.name
    kind = "plain" if kernel == "6.18" else "drops_lock"
    file = new_file(made.engine, "dumb buffer", 4, 4, driver=kind)
    made.file_vma("m", file, 4, "rw", flags=VM_SHARED)
    return made.thread("t", ops.Access(at("m"), write=True))
