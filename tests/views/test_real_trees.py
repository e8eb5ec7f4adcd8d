"""The maple tree pane over the trees of real processes, at the sizes of real terminals."""

from __future__ import annotations

import re

import pytest

from pfviz.views import tree
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.look import Look, TreeLook
from pfviz.views.memory_state import NodeState
from pfviz.views.rows import plain
from pfviz.views.tree_shape import path_to
from tests.real_processes import Replay

SIZES = [(78, 18), (198, 54), (38, 10)]


def frame_of(name: str) -> Frame:
    replay = Replay(name).run(is_checked=False)
    return fold(Frame(replay.scene.engine.log), len(replay.scene.engine.log))


COUNTED = re.compile(r"… ([0-9,]+) VMAs")


def squeezed(row: str) -> str:
    return " ".join(row.split())


def vmas_in(leaf: NodeState) -> int:
    return sum(slot >= 0 for slot in leaf.slots)


@pytest.fixture(scope="module")
def numpy() -> Frame:
    """A Python with numpy: about 240 VMAs, three levels."""
    return frame_of("real/python-numpy")


def live_rows(frame: Frame, width: int, height: int, look: Look | None = None) -> list[str]:
    rows = plain(tree.paint(frame, width, height, look or Look())).splitlines()
    return [row for row in rows if "_64 " in row and "dead" not in row]


def test_hundreds_of_vmas_are_seen_leaf_by_leaf_on_a_large_screen(numpy: Frame) -> None:
    rows = live_rows(numpy, 198, 54)
    assert len(rows) == 25
    assert all("│m" in row or "gap│" in row for row in rows if "leaf_64" in row)
    assert all("…" in row for row in rows)


@pytest.mark.parametrize("size", SIZES[:2])
def test_those_that_do_not_fit_are_counted_and_none_is_forgotten(
    numpy: Frame, size: tuple[int, int]
) -> None:
    """VMAs in the leaves shown, and those that folded rows count, are all there are."""
    rows = live_rows(numpy, *size)
    mm = next(iter(numpy.mms.values()))
    leaves = [node for node in mm.nodes.values() if node.is_leaf and node.dead_ns < 0]
    shown = [
        node for node in leaves if any(f"leaf_64 #{node.id} " in squeezed(row) for row in rows)
    ]
    folded = [int(found[1].replace(",", "")) for row in rows if (found := COUNTED.search(row))]
    in_leaves = sum(vmas_in(node) for node in shown)
    assert in_leaves + sum(folded) == sum(vmas_in(node) for node in leaves)
    assert len(shown) < len(leaves) or not folded


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["real/bash", "real/threads-200"])
def test_a_small_process_is_seen_whole_at_any_size(name: str, size: tuple[int, int]) -> None:
    frame = frame_of(name)
    rows = live_rows(frame, *size)
    assert "arange_64" in rows[0]
    assert len(rows) == len(next(iter(frame.mms.values())).nodes)


def test_an_address_leads_to_its_leaf(numpy: Frame) -> None:
    mm = next(iter(numpy.mms.values()))
    for vma in list(mm.vmas.values())[::17]:
        path = path_to(mm, vma.start)
        assert len(path) == 3
        leaf = mm.nodes[path[-1]]
        assert leaf.min <= vma.start <= leaf.max
    look = Look(tree=TreeLook(opened=frozenset(path), cursor=path[-1]))
    assert any(row.startswith("▸") for row in live_rows(numpy, 78, 18, look))


def test_every_node_can_be_read_slot_by_slot(numpy: Frame) -> None:
    mm = next(iter(numpy.mms.values()))
    for number in list(mm.nodes)[::9]:
        look = Look(tree=TreeLook(cursor=number, shows_slots=True))
        shown = plain(tree.paint(numpy, 100, 60, look))
        assert f"#{number}" in shown
        assert shown.count("pivot[") in (9, 15)
