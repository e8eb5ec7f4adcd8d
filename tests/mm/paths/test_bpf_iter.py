"""A BPF program that takes mmap_lock with a VMA locked: a circle, unless it only tries."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.bpf import BpfVmaIter
from pfviz.mm.operations import PROT_READ, Mprotect
from pfviz.sim.task import DONE, SLEEPING
from tests.worlds import Scene, at, world


def inversion(kernel: str, tries: bool, mode: str = "") -> Scene:
    scene = world(kernel, mode, cpus=2).vma("data", 16).touched("data")
    scene.thread("bpf", BpfVmaIter(at("data"), tries), repeat=60)
    change = (Mprotect(at("data", 8), 4, PROT_READ), Mprotect(at("data", 8), 4, 3))
    scene.thread("protector", *change, cpu=1, repeat=30)
    rules.run(scene.engine)
    return scene


@pytest.mark.parametrize("kernel", ["6.4", "6.12", "6.18"])
def test_waiting_for_mmap_lock_with_a_vma_locked_ends_in_a_circle(kernel: str) -> None:
    scene = inversion(kernel, tries=False)
    assert [task.state for task in scene.engine.tasks] == [SLEEPING, SLEEPING]
    assert "I18" in {one.rule for one in scene.engine.world.broken}


@pytest.mark.parametrize("kernel", ["6.4", "6.12", "6.18"])
def test_who_only_tries_goes_on(kernel: str) -> None:
    scene = inversion(kernel, tries=True)
    assert [task.state for task in scene.engine.tasks] == [DONE, DONE]
    assert not scene.engine.world.broken


def test_with_one_lock_there_is_no_order_to_get_wrong() -> None:
    scene = inversion("6.12", tries=False, mode="mmap_lock")
    assert [task.state for task in scene.engine.tasks] == [DONE, DONE]
