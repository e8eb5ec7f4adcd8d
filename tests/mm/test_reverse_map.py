"""Reverse map: who shares an anon_vma, and how forks chain them."""

from __future__ import annotations

from pfviz.mm.operations import Access
from pfviz.mm.reverse_map import (
    anon_vma_fork,
    find_mergeable_anon_vma,
    has_anon_vma,
    link_vma,
    new_anon_vma,
    unlink_anon_vmas,
)
from pfviz.mm.vma import VM_GROWSDOWN
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000


def neighbours(**upper: int) -> Scene:
    made = world("6.12").vma("low", 8, start=BASE).vma("high", 8, start=BASE + 0x8000, **upper)
    link_vma(made.vmas["low"], new_anon_vma(made.engine))
    made.vmas["low"].anon_vma = made.vmas["low"].anon_vma_chain[0]
    return made


def test_a_neighbour_that_could_be_merged_lends_its_anon_vma() -> None:
    made = neighbours()
    low, high = made.vmas["low"], made.vmas["high"]
    assert find_mergeable_anon_vma(low, high, None) is low.anon_vma
    made.thread("t", Access(at("high"), write=True))
    made.run()
    assert high.anon_vma is low.anon_vma


def test_a_neighbour_of_another_kind_lends_nothing() -> None:
    made = neighbours(flags=VM_GROWSDOWN)
    assert find_mergeable_anon_vma(made.vmas["low"], made.vmas["high"], None) is None


def test_a_neighbour_that_came_from_a_fork_lends_nothing() -> None:
    made = neighbours()
    link_vma(made.vmas["low"], new_anon_vma(made.engine))  # a chain of two
    assert find_mergeable_anon_vma(made.vmas["low"], made.vmas["high"], None) is None


def test_a_child_finds_its_parents_pages_and_has_an_anon_vma_of_its_own() -> None:
    made = neighbours()
    parent, child = made.vmas["low"], made.vmas["high"]
    anon_vma_fork(made.engine, child, parent)
    assert parent.anon_vma is not None
    assert child.anon_vma is not None
    assert child.anon_vma is not parent.anon_vma
    assert child.anon_vma.rwsem is parent.anon_vma.rwsem  # only the root's lock is ever taken
    assert has_anon_vma(child, parent.anon_vma.id)
    assert not has_anon_vma(parent, child.anon_vma.id)
    unlink_anon_vmas(child)
    assert list(parent.anon_vma.vmas) == [parent.id]


def test_a_parent_without_pages_gives_its_child_nothing() -> None:
    made = neighbours()
    anon_vma_fork(made.engine, made.vmas["low"], made.vmas["high"])
    assert made.vmas["low"].anon_vma is None


def test_the_neighbour_above_is_asked_before_the_one_below() -> None:
    made = neighbours().vma("top", 8, start=BASE + 0x10000)
    low, high, top = made.vmas["low"], made.vmas["high"], made.vmas["top"]
    top.anon_vma = new_anon_vma(made.engine)
    link_vma(top, top.anon_vma)
    assert find_mergeable_anon_vma(low, high, top) is top.anon_vma
    assert find_mergeable_anon_vma(low, high, None) is low.anon_vma
