"""VMAs come and go: freed at once, after a grace period, or handed out again under a reader."""

from __future__ import annotations

from pfviz.mm.operations import PROT_READ, Mmap, Munmap
from pfviz.mm.vma_alloc import vm_area_alloc, vm_area_dup
from pfviz.sim import event
from tests.worlds import at, world


def test_6_18_hands_out_the_same_object_again() -> None:
    """SLAB_TYPESAFE_BY_RCU: who kept a pointer to the old VMA finds a valid other one."""
    scene = world("6.18").vma("a", 2).vma("b", 2, "r")
    old = scene.vmas["a"]
    number, address = old.id, old.vm_start
    scene.thread("t", Munmap(at("a"), 2), Mmap(5, prot=PROT_READ, at=at(0x10000000)))
    scene.run()
    assert old.vm_start == 0x10000000
    assert old.id != number
    assert not old.freed
    assert not old.covers(address)
    assert scene.events(event.VMA_FREED)[0]["vma"] == number


def test_6_12_never_does() -> None:
    scene = world("6.12").vma("a", 2).vma("b", 2, "r")
    old = scene.vmas["a"]
    scene.thread("t", Munmap(at("a"), 2), Mmap(5, prot=PROT_READ, at=at(0x10000000)))
    scene.run()
    assert old.freed
    assert scene.mm.vma_at(0x10000000) is not old


def test_a_lockless_world_waits_for_its_readers_on_every_kernel() -> None:
    scene = world("6.18", "lockless").vma("a", 2)
    old = scene.vmas["a"]
    scene.thread("t", Munmap(at("a"), 2))
    scene.run(until_ns=1_000_000)
    assert (old.detached, old.freed) == (True, False)
    scene.run()
    assert old.freed


def test_a_duplicate_keeps_what_the_range_is_backed_by() -> None:
    scene = world("6.12")
    file = scene.file("lib.so", 16)
    scene.file_vma("lib", file, 8)
    vma = scene.vmas["lib"]
    half = vm_area_dup(scene.engine, vma, vma.vm_start + 0x3000, vma.vm_end)
    assert (half.vm_pgoff, half.vm_file, half.kind, half.perms) == (3, file, "file", "r--p")
    assert half.detached
    assert half.anon_vma is None


def test_each_generation_gets_its_lock_and_mmap_lock_mode_none() -> None:
    locks = {}
    for kernel, mode in (("6.1", ""), ("6.12", ""), ("6.18", ""), ("6.18", "mmap_lock")):
        scene = world(kernel, mode)
        vma = vm_area_alloc(scene.engine, scene.mm, 0x10000, 0x11000, 3)
        locks[kernel, mode] = (vma.vm_lock is not None, vma.vm_refcnt is not None)
        assert (vma.lock_id == -1) is (locks[kernel, mode] == (False, False))
    assert locks == {
        ("6.1", ""): (False, False), ("6.12", ""): (True, False),
        ("6.18", ""): (False, True), ("6.18", "mmap_lock"): (False, False),
    }  # fmt: skip
