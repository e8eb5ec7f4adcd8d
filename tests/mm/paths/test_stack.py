"""How far a stack may grow: its limit, and the gap that guards it from what lies below."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PAGE_SIZE, Access
from pfviz.mm.paths.stack import RLIMIT_STACK
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import STACK_GUARD_GAP, VM_GROWSDOWN
from tests.mm.fault_scenes import kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
GUARD_PAGES = STACK_GUARD_GAP // PAGE_SIZE


def below_the_stack(kernel: str, pages: int, wall: int = 0) -> Scene:
    """A write so many pages below a stack of four; something mapped `wall` pages below it."""
    scene = world(kernel).vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    scene.touched("stack")
    if wall:
        scene.vma("wall", 1, start=BASE - (wall + 1) * PAGE_SIZE)
    scene.thread("t", Access(at("stack", -pages), write=True))
    return scene.run()


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_stack_keeps_256_pages_between_itself_and_what_lies_below(kernel: str) -> None:
    free = below_the_stack(kernel, pages=4, wall=GUARD_PAGES + 4)
    assert kinds(free) == ["stack_growth"]
    assert free.vmas["stack"].pages == 8
    near = below_the_stack(kernel, pages=5, wall=GUARD_PAGES + 4)
    assert kinds(near) == ["segv_unmapped"]
    assert near.vmas["stack"].pages == 4


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_stack_grows_up_to_its_limit_and_no_further(kernel: str) -> None:
    most = RLIMIT_STACK // PAGE_SIZE
    assert kinds(below_the_stack(kernel, pages=most - 4)) == ["stack_growth"]
    beyond = below_the_stack(kernel, pages=most - 3)
    assert kinds(beyond) == ["segv_unmapped"]
    assert beyond.vmas["stack"].pages == 4
