"""The red-black tree of 6.0 as text: colours, the walk, the last write, folded parts, vmacaches."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from pfviz.mm.operations import Access, Mmap, Munmap
from pfviz.sim import event as ev
from pfviz.views import tree
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.glyphs import ASCII
from pfviz.views.look import Look, TreeLook
from pfviz.views.numbers import address_short
from pfviz.views.rows import STYLES, plain, row_width
from pfviz.views.timeline import Timeline
from pfviz.views.tree_shape import path_to
from tests.worlds import Scene, at, world

from . import logs


def library(vmas: int = 9) -> Scene:
    """An address space of 6.0 with many small mappings, two threads at work in it."""
    scene = world("6.0")
    for number in range(vmas):
        name, perms = (f"lib{number}.so", "r") if number % 2 else (f"anon{number}", "rw")
        scene.vma(name, 2 + number % 5, perms)
    scene.thread(
        "app", Access(at("anon0")), Access(at("anon0", 1)), Mmap(3, prot=5), Munmap(at("anon2"), 2)
    )
    scene.thread("t2", Access(at("anon4")), cpu=1)
    return scene.run()


def moment(scene: Scene, function: str, nth: int = 0) -> Frame:
    """The frame right after the nth step of a kernel function."""
    log = scene.engine.log
    ends = [
        index + 1
        for index, row in enumerate(log)
        if row[1] == ev.STEP and log.steps[row[3]].function == function
    ]
    return Timeline(log).at(ends[nth])


def last_frame(scene: Scene) -> Frame:
    timeline = Timeline(scene.engine.log)
    return timeline.at(len(timeline))


def drawn(frame: Frame, width: int, height: int, look: Look | None = None) -> list[str]:
    return plain(tree.paint(frame, width, height, look or Look())).splitlines()


def test_a_walk_shows_its_way_from_the_root() -> None:
    frame = moment(library(), "find_vma")
    assert tree.title(frame) == "Red-black tree"
    assert tree.summary(frame) == "9 VMAs · black height 2"
    assert drawn(frame, 80, 11) == [
        "● B lib3.so                7ffff7ff1000…7ffff7ff6000  gap 128 TiB ▸ right",
        "├─ l ○ R lib5.so           7ffff7fe9000…7ffff7feb000  gap 128 TiB",
        "│  ├─ l ● B lib7.so        7ffff7fe2000…7ffff7fe6000  gap 128 TiB",
        "│  │  ├─ l ○ R anon8       7ffff7fdd000…7ffff7fe2000  gap 128 TiB",
        "│  │  └─ r ○ R anon6       7ffff7fe6000…7ffff7fe9000",
        "│  └─ r ● B anon4          7ffff7feb000…7ffff7ff1000",
        "└─ r ○ R lib1.so           7ffff7ffa000…7ffff7ffd000 ▸ right",
        "   ├─ l ● B anon2          7ffff7ff6000…7ffff7ffa000",
        "   └─ r ● B anon0          7ffff7ffd000…7ffff7fff000 ◂ app walks found",
        "",
        "vmacache app     -│-│-│anon0 update · 0 of 1 hit",
    ]


def test_an_insert_shows_what_it_turned_and_painted() -> None:
    frame = moment(library(), "vma_link")
    assert drawn(frame, 100, 13) == [
        "● B lib3.so                   7ffff7ff1000…7ffff7ff6000  gap 128 TiB ◂ written",
        "├─ l ● B lib5.so              7ffff7fe9000…7ffff7feb000  gap 128 TiB ◂ painted",
        "│  ├─ l ○ R lib7.so           7ffff7fe2000…7ffff7fe6000  gap 128 TiB ◂ painted",
        "│  │  ├─ l ● B anon8          7ffff7fdd000…7ffff7fe2000  gap 128 TiB ◂ painted",
        "│  │  │  └─ l ○ R anon        7ffff7fda000…7ffff7fdd000  gap 128 TiB ◂ new",
        "│  │  └─ r ● B anon6          7ffff7fe6000…7ffff7fe9000 ◂ painted",
        "│  └─ r ● B anon4             7ffff7feb000…7ffff7ff1000",
        "└─ r ● B lib1.so              7ffff7ffa000…7ffff7ffd000 ◂ painted",
        "   ├─ l ● B anon2             7ffff7ff6000…7ffff7ffa000",
        "   └─ r ● B anon0             7ffff7ffd000…7ffff7fff000",
        "",
        "vmacache app     -│-│-│anon0 hit · 1 of 2 hit",
        "last write vma_rb_insert · 5 painted at 7ffff7fda000 by app, 0 ns ago",
    ]


def test_a_rotation_names_who_went_up_and_who_went_down() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    task = story.thread("a")
    vmas = [story.vma(mm, f"v{number}", 0x1000 * (2 * number + 1), 1)[0] for number in range(3)]
    story.node(1, "rb", 0x1000, 0x1FFF, (-1, vmas[0], -1), (0,), (0x1000, 0x1000), 2, 0)
    story.node(2, "rb", 0x3000, 0x3FFF, (1, vmas[1], 3), (1,), (0x1000, 0x1000))
    story.node(3, "rb", 0x5000, 0x5FFF, (-1, vmas[2], -1), (0,), (0x1000, 0x1000), 2, 2)
    story.root(2, 1)
    detail = story.log.detail((3, (("left", 1, 2),), (1, 2)))
    story.add(ev.TREE_WRITE, task, story.log.text("vma_rb_insert"), 0x5000, detail, mm)
    frame = fold(Frame(story.log), len(story.log))
    assert drawn(frame, 90, 5) == [
        "● B v1               3000…4000                  gap 4 KiB ◂ turned up, painted",
        "├─ l ○ R v0          1000…2000                  gap 4 KiB ◂ turned left, painted",
        "└─ r ○ R v2          5000…6000                  gap 4 KiB ◂ new",
        "",
        "last write vma_rb_insert · 1 turned, 2 painted at 5000 by a, 0 ns ago",
    ]


def test_what_does_not_fit_folds_into_ranges_and_the_walk_stays() -> None:
    rows = drawn(moment(library(200), "find_vma"), 90, 14)
    assert rows[0].startswith("● B lib63.so")
    assert rows[-2].endswith("◂ app walks found")
    assert rows[-1].startswith("vmacache app")
    folded = [row for row in rows if "VMAs" in row]
    assert folded[0].split() == ["├─", "l", "…", "136", "VMAs",
                                 "7ffff7cdf000…7ffff7f01000", "gap", "128", "TiB"]  # fmt: skip
    shown = len(rows) - 1 - len(folded)
    counted = sum(int(row.split("… ")[1].split()[0]) for row in folded)
    assert counted + shown == 200, "every VMA is drawn or counted"


def test_a_walk_below_the_fold_is_named_on_the_fold() -> None:
    rows = drawn(moment(library(200), "find_vma"), 90, 6)
    assert rows[2].split("right")[0].startswith("└─ r ● B lib31.so")
    assert [row for row in rows if "walks" in row] == [rows[4]]
    assert "… 31 VMAs" in rows[4]
    assert rows[4].endswith("◂ app walks")


def test_the_smallest_pane_shows_the_root_and_counts_the_rest() -> None:
    frame = moment(library(), "find_vma")
    assert drawn(frame, 30, 2)[1] == "└─ … 8 VMAs below"
    assert drawn(frame, 30, 1)[0].startswith("● B lib3.so")


def test_an_unmap_voids_the_caches_for_all_to_see() -> None:
    before = drawn(moment(library(), "vma_link"), 80, 20)
    after = drawn(moment(library(), "detach_vmas_to_be_unmapped"), 80, 20)
    assert [row for row in before if "void" in row] == []
    (void,) = [row for row in after if row.startswith("vmacache app")]
    assert void == "vmacache app     -│-│-│anon0 void · 1 of 2 hit"
    assert after[-1] == "last write vma_rb_erase at 7ffff7ff6000 by app, 0 ns ago"


def test_calls_and_hits_are_counted_as_in_vmstat() -> None:
    scene = library()
    counters = Timeline(scene.engine.log).at(len(scene.engine.log)).counters
    wanted = {name: n for name, n in scene.engine.world.vmstat.items() if "vmacache" in name}
    assert {name: counters[name] for name in wanted} == wanted == {
        "vmacache_find_calls": 3, "vmacache_find_hits": 1
    }  # fmt: skip


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (2, 9), (9, 2), (30, 5), (63, 12), (200, 60)])
def test_every_size_is_filled_exactly_with_known_styles(size: tuple[int, int]) -> None:
    scene = library(40)
    timeline = Timeline(scene.engine.log)
    for index in range(0, len(scene.engine.log), 29):
        frame = timeline.at(index)
        for look in (Look(), Look(glyphs=ASCII)):
            rows = tree.paint(frame, *size, look)
            assert len(rows) == size[1]
            assert {row_width(row) for row in rows} <= {size[0]}
            assert {style for row in rows for _, style in row} <= set(STYLES)
            if look.glyphs.ascii_only:
                assert plain(rows).isascii()


def test_links_that_run_in_a_circle_are_cut_off() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    vma, _ = story.vma(mm, "v", 0x1000, 1)
    story.node(1, "rb", 0x1000, 0x1FFF, (2, vma, 1), (1,), (0, 0))
    story.node(2, "rb", 0x3000, 0x3FFF, (1, vma, -1), (0,), (0, 0), 1, 0)
    story.root(1, 1)
    rows = drawn(fold(Frame(story.log), len(story.log)), 70, 8)
    assert len([row for row in rows if row]) == 2


def test_a_tree_that_does_not_fit_can_be_gone_through_row_by_row() -> None:
    """Every VMA can be reached: opened by hand, with the cursor on it, its row is on the pane."""
    frame = last_frame(library(60))
    mm = next(iter(frame.mms.values()))
    everything = TreeLook(frozenset(mm.nodes), frozenset())
    ids = tree.node_ids(frame, 18, Look(tree=everything))
    assert sorted(ids) == sorted(mm.nodes)
    for node in ids:
        lines = drawn(frame, 78, 18, Look(tree=replace(everything, cursor=node)))
        assert len(lines) == 18
        start = address_short(mm.nodes[node].min)
        assert any(start in line for line in lines), node
    assert any(row.endswith("rows below") for row in drawn(frame, 78, 18, Look(tree=everything)))


def test_a_subtree_is_opened_and_folded_by_hand() -> None:
    frame = last_frame(library(60))
    mm = next(iter(frame.mms.values()))
    shut = Look(tree=TreeLook(frozenset(), frozenset((mm.root,)), mm.root))
    assert tree.node_ids(frame, 18, shut) == [mm.root]
    assert not tree.is_opened(frame, mm.root, 18, shut)
    assert tree.is_opened(frame, mm.root, 18)
    below = f"{len(mm.nodes) - 1} VMAs below"
    assert any(below in line for line in drawn(frame, 78, 18, shut))


def test_an_address_leads_down_to_the_vma_that_has_it() -> None:
    frame = last_frame(library(60))
    mm = next(iter(frame.mms.values()))
    for node in mm.nodes.values():
        path = path_to(mm, node.max)
        assert (path[0], path[-1]) == (mm.root, node.id)
        assert all(below in mm.nodes[above].slots for above, below in pairwise(path))
