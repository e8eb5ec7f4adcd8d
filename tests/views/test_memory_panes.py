"""Address space and tree as text."""

from __future__ import annotations

from pfviz.sim import event as ev
from pfviz.views import address_map, tree
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.glyphs import ASCII
from pfviz.views.look import Look
from pfviz.views.memory_state import PTE_COW, PTE_FILE, PTE_ZERO
from pfviz.views.rows import plain

from . import logs


def frame_of(story: logs.Story) -> Frame:
    return fold(Frame(story.log), len(story.log))


def test_vmas_are_strips_with_marks_where_threads_fault() -> None:
    assert plain(address_map.paint(frame_of(logs.monitor()), 76, 3)) == (
        "558012345000 [heap]  rw-p █████████◆··················· ◆ app-0 waits\n"
        "7f1040000000 anon    rw-p ◆···························· ◆ app-2 waits\n"
        "7ffdc0000000 [stack] rw-p ····························· 0/33 pages"
    )


def test_each_kind_of_page_has_its_own_glyph() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    story.vma(mm, "m", logs.ANON, 5)
    for page, flags in enumerate((3, PTE_ZERO, PTE_FILE, PTE_COW)):
        story.maps(logs.ANON + page * 4096, 1, flags)
    assert plain(address_map.paint(frame_of(story), 40, 1)).split()[1] == "█0▒▞·"
    shown = plain(address_map.paint(frame_of(story), 40, 1, Look(glyphs=ASCII)))
    assert shown.split()[1] == "#0FC."


def test_many_pages_in_a_cell_show_as_their_share() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    story.vma(mm, "m", logs.ANON, 512 * 4)
    story.maps(logs.ANON, 512)
    story.maps(logs.ANON + 512 * 4096, 100)
    frame = frame_of(story)
    assert frame.mms[mm].pages_present == 612
    strip = plain(address_map.paint(frame, 40, 1)).split()[1]
    assert strip.startswith("████")
    assert strip.endswith("····")


def test_pages_go_and_counts_follow() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    story.maps(logs.ANON + 500 * 4096, 1_000)
    story.unmaps(logs.ANON + 510 * 4096, 800)
    state = frame_of(story).mms[mm]
    assert state.pages_present == 200
    assert state.present_between(logs.ANON, logs.ANON + (1 << 30)) == 200
    assert state.present_between(logs.ANON + 500 * 4096, logs.ANON + 511 * 4096) == 10
    assert state.bytes_between(logs.ANON + 509 * 4096, logs.ANON + 511 * 4096) == b"\x83\x00"


def test_a_detached_vma_stays_until_it_is_freed() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    vma, _ = story.vma(mm, "m", logs.ANON, 5)
    story.add(ev.VMA_DETACHED, -1, vma, mm)
    assert "detached" in plain(address_map.paint(frame_of(story), 60, 2))
    story.add(ev.VMA_FREED, -1, vma, mm)
    assert "no VMA" in plain(address_map.paint(frame_of(story), 60, 2))


def test_what_faults_now_is_shown_when_there_are_too_many_vmas() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    for number in range(40):
        story.vma(mm, f"m{number}", logs.ANON + number * 0x10000, 4)
    task = story.thread("a")
    story.faults(task, logs.ANON + 33 * 0x10000, 1)
    shown = plain(address_map.paint(frame_of(story), 60, 4))
    assert "m33" in shown
    assert "◆ a faults" in shown
    assert "m20" in plain(address_map.paint(frame_of(story), 60, 4, Look(top=20)))


def test_the_tree_shows_fill_walk_and_dead_nodes() -> None:
    assert plain(tree.paint(frame_of(logs.walked_tree()), 76, 7)) == (
        "  arange_64 #1 ▮▮▯▯▯    3/10  gap 85.5 TiB     0…max\n"
        "  ├─ leaf_64   #2 ▮▮▯▯▯▯▯▯ 3/16                0…            ◂ app-0 walks\n"
        "  │  gap│[heap]│gap\n"
        "  ├─ leaf_64   #3 ░░       dead  waits for its grace period 300 ns ago\n"
        "  ├─ leaf_64   #5 ▮▮▯▯▯▯▯▯ 3/16                600000000000…7f1fffffffff\n"
        "  └─ leaf_64   #4 ▮▮▯▯▯▯▯▯ 3/16                7f2000000000…max\n"
    )


def test_cold_subtrees_fold_up_when_there_is_no_room() -> None:
    assert plain(tree.paint(frame_of(logs.walked_tree()), 60, 3)).splitlines() == [
        "  arange_64 #1 ▮▮▯▯▯    3/10     0…max",
        "  ├─ leaf_64   #2 ▮▮▯▯▯▯▯▯ 3/16  ◂ app-0 walks",
        "  └─ … 2 nodes",
    ]


def test_a_freed_node_is_gone() -> None:
    story = logs.walked_tree()
    story.add(ev.TREE_NODE_FREED, 0, 3, 0, 0, 1)
    assert "dead" not in plain(tree.paint(frame_of(story), 76, 8))


def test_a_capture_tells_the_tree_by_its_reads_and_writes() -> None:
    story = logs.Story()
    task = story.thread("a")
    story.add(ev.MA_READ, task, story.log.text("mas_walk"), logs.HEAP, -1, 1)
    shown = plain(tree.paint(frame_of(story), 64, 3))
    assert shown.splitlines()[0] == "r mas_walk             558012345000 a no VMA there 0 ns ago"
