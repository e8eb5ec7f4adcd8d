"""Shared memory without a name: what one process writes the other one reads."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import (
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    Access,
    Fork,
    Mmap,
    OperationList,
    Sleep,
)
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, kinds
from tests.worlds import Scene, at, world

MODES = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
MMAP = Mmap(8, PROT_READ | PROT_WRITE, flags=MAP_SHARED, slot="s")


def shared(kernel: str, mode: str) -> Scene:
    made = world(kernel, mode)
    child = OperationList((Access(at("s"), write=True),))
    parent = (MMAP, Fork(child, child_cpu=1), Sleep(2_000_000), Access(at("s")))
    made.thread("t", *parent)
    return made


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_a_parent_reads_the_page_that_its_child_wrote(kernel: str, mode: str) -> None:
    made = shared(kernel, mode).run()
    assert kinds(made) == ["shared_write", "file_read_hit"]
    check_pages(made)
    assert made.engine.world.vmstat.get("pgmajfault", 0) == 0
    assert not made.events(event.IO_BEGIN)


def test_6_4_serves_shared_memory_under_mmap_lock() -> None:
    made = shared("6.4", "").run()
    assert {end["regime"] for end in made.events(event.FAULT_END)} == {0}


def test_6_12_serves_shared_memory_under_the_vma_lock() -> None:
    made = shared("6.12", "").run()
    assert {end["regime"] for end in made.events(event.FAULT_END)} == {1}


def test_two_shared_mappings_are_two_files_and_never_merge() -> None:
    made = world("6.12")
    made.thread("t", MMAP, Mmap(8, PROT_READ | PROT_WRITE, flags=MAP_SHARED, slot="u"))
    made.run()
    vmas = list(made.mm.tree)
    assert len(vmas) == 2
    assert vmas[0].vm_file is not vmas[1].vm_file
    assert {vma.name for vma in vmas} == {"/dev/zero (deleted)"}


def test_of_two_threads_that_make_a_page_one_gives_its_own_back() -> None:
    made = world("6.12")
    made.thread("m", MMAP)
    made.run()
    (vma,) = made.mm.tree
    made.mm.slots["s"] = vma.vm_start
    for cpu in (0, 1):
        made.thread(f"t{cpu}", Access(at("s"), write=True), cpu=cpu)
    made.run()
    assert made.functions().count("shmem_add_to_page_cache") >= 1
    assert vma.vm_file is not None
    assert len(vma.vm_file.folios) == 1
    assert vma.vm_file.folios[0].mapcount == 1
    check_pages(made)
