"""The maple tree pane as text: a split node by node, readers in dead nodes, a thousand VMAs."""

from __future__ import annotations

import re

import pytest

from pfviz.report.source import open_scenario
from pfviz.scenario.build import build
from pfviz.scenario.moments import Moments
from pfviz.sim import event as ev
from pfviz.views import tree
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.look import Look, TreeLook
from pfviz.views.rows import plain
from pfviz.views.tree_dead import readers_left
from tests.worlds import world

from . import logs

TOP = (1 << 64) - 1
MIDDLE = 0x7000_0000_0000


def frame_of(story: logs.Story) -> Frame:
    return fold(Frame(story.log), len(story.log))


def shown(story: logs.Story, width: int = 76, height: int = 12, look: Look | None = None) -> str:
    return plain(tree.paint(frame_of(story), width, height, look or Look()))


class Tree(logs.Story):
    """A tree of one full leaf over two VMAs, a reader and a writer."""

    def __init__(self) -> None:
        super().__init__()
        self.mm, _ = self.address_space()
        self.reader, self.writer = self.thread("reader"), self.thread("writer", 1)
        self.heap, _ = self.vma(self.mm, "heap", logs.HEAP, 16)
        self.stack, _ = self.vma(self.mm, "stack", logs.STACK, 16)
        self.step(self.reader, "mas_walk")
        self.step(self.writer, "mmap_region")
        pivots = (logs.HEAP - 1, logs.HEAP + 0xFFFF, logs.STACK - 1, logs.STACK + 0xFFFF, TOP)
        self.node(1, "leaf_64", 0, TOP, (-1, self.heap, -1, self.stack, -1), pivots)
        self.root(1, 1)

    def splits(self) -> Tree:
        """The leaf gives way to two and a root above them."""
        self.at(self.now + 100)
        self.parts(ev.TREE_NODE)
        self.root(4, 2)
        self.dies(1, "split_store")
        replaced = ((1, (2, 3)),)
        acts = (("split", 1, 17, 8, -1), ("final", 2, 2, -1, -1))
        detail = (logs.STACK - 1, 3, (2, 3, 4), (1,), (), replaced, acts)
        text = self.log.text("split_store")
        self.add(ev.MA_WRITE, self.writer, self.log.text("mas_wr_bnode"), MIDDLE, -1, 1)
        self.add(ev.TREE_STORE, self.writer, text, MIDDLE, self.log.detail(detail), 1)
        return self

    def builds(self) -> Tree:
        """The writer builds the new nodes and has not published them."""
        self.parts(ev.TREE_NODE_BUILT)
        return self

    def parts(self, kind: int) -> None:
        low = ("leaf_64", 0, MIDDLE - 1, (logs.HEAP - 1, logs.HEAP + 0xFFFF, MIDDLE - 1),
               (-1, self.heap, -1), (), 0)  # fmt: skip
        high = ("leaf_64", MIDDLE, TOP, (logs.STACK - 1, logs.STACK + 0xFFFF, TOP),
                (-1, self.stack, -1), (), 1)  # fmt: skip
        gaps = (logs.HEAP, 1 << 63)
        above = ("arange_64", 0, TOP, (MIDDLE - 1, TOP), (2, 3), gaps, 0, 1)
        for number, detail, parent in ((2, low, 4), (3, high, 4), (4, above, -1)):
            self.add(kind, self.writer, number, self.log.detail(detail), parent, 1)


def test_a_small_tree_is_one_leaf_with_its_slots() -> None:
    assert shown(Tree(), 76, 5) == (
        "  leaf_64   #1 ▮▮▮▯▯▯▯▯ 5/16  gap 16 EiB    0…max\n"
        "  gap│heap│gap│stack│gap\n"
        "\n"
        "\n"
    )  # fmt: skip


def test_nodes_that_are_being_built_stand_apart() -> None:
    text = shown(Tree().builds(), 76, 6).splitlines()
    assert text[0].startswith("  leaf_64   #1 ")
    assert [line.split()[1] for line in text if "writer builds it" in line] == ["#4", "#2", "#3"]


def test_a_split_says_who_took_whose_place() -> None:
    assert shown(Tree().splits(), 76, 14) == (
        "  arange_64 #4 ▮▯▯▯▯    2/10  gap 8 EiB        0…            ◂ new\n"
        "  ├─ leaf_64   #1 ░░░      dead  ▸ #2 #3 waits for its grace period 0 ns ago\n"
        "  ├─ leaf_64   #2 ▮▮▯▯▯▯▯▯ 3/16  gap 85.5 TiB  0…            ◂ new for #1\n"
        "  │  gap│heap│gap\n"
        "  └─ leaf_64   #3 ▮▮▯▯▯▯▯▯ 3/16  gap 16 EiB    700000000000… ◂ new for #1\n"
        "     gap│stack│gap\n"
        "\n\n\n\n\n\n"
        "last store split_store by writer, 0 ns ago 700000000000…7ffd_END\n"
        "#1 → #2 #3 #4: 17 slots split in two"
    ).replace("7ffd_END", f"{logs.STACK - 1:x}")


def test_a_reader_is_seen_standing_in_a_node_that_died() -> None:
    story = Tree()
    story.add(ev.RCU_READ_BEGIN, story.reader)
    story.node(9, "arange_64", 0, TOP, (1,), (TOP,), (0,))
    story.looks_at(story.reader, 9, logs.HEAP, 0)
    story.step(story.reader, "mas_walk")
    assert "5/16  gap 16 EiB    ◂ reader walks" in shown(story, 70)
    story.splits()
    assert "#1 ▓▓▓      dead  ◂ reader still here ▸ #2 #3" in shown(story)
    story.looks_at(story.reader, 1, logs.HEAP, -1)
    assert "dead  ◂ reader found it dead ▸ #2 #3" in shown(story)


def dead_row(story: logs.Story) -> str:
    return next(row for row in shown(story).splitlines() if " dead  " in row)


def test_the_dead_fade_as_the_readers_of_their_time_leave() -> None:
    story = Tree()
    story.add(ev.RCU_READ_BEGIN, story.reader)
    second = story.thread("second", 2)
    story.add(ev.RCU_READ_BEGIN, second)
    story.splits()
    story.add(ev.RCU_CALLBACK, story.writer, story.log.text("maple node"), 1)
    assert "#1 ▓▓▓ " in dead_row(story)
    assert "waits for 2 readers" in dead_row(story)
    story.at(story.now + 1_000_000)
    late = story.thread("late", 3)
    story.add(ev.RCU_READ_BEGIN, late)
    assert "#1 ▓▓▓ " in dead_row(story), "neither time nor later readers count"
    story.add(ev.RCU_READ_END, second, 5)
    assert "#1 ▒▒▒ " in dead_row(story)
    assert "waits for reader" in dead_row(story)
    story.add(ev.RCU_READ_BEGIN, second)
    assert "waits for reader" in dead_row(story), "who comes back does not stand there"
    story.add(ev.RCU_READ_END, story.reader, 5)
    assert "#1 ░░░ " in dead_row(story)
    assert "waits for its grace period" in dead_row(story)
    story.add(ev.TREE_NODE_FREED, -1, 1, 0, 0, 1)
    assert "dead" not in shown(story)


def test_a_node_that_died_in_a_grace_period_waits_for_the_one_after_it() -> None:
    story = Tree()
    story.add(ev.RCU_CALLBACK, story.writer, story.log.text("vm_area_struct"), 77)
    story.splits()
    story.add(ev.RCU_CALLBACK, story.writer, story.log.text("maple node"), 1)
    assert "#1 ▒▒▒ " in dead_row(story)
    assert "waits for 2 grace periods" in dead_row(story)
    story.add(ev.RCU_GRACE_PERIOD, -1, 1, 1, 5_000)
    assert "#1 ░░░ " in dead_row(story)
    assert "waits for its grace period" in dead_row(story)


def test_a_node_changed_in_place_says_so_while_it_is_written() -> None:
    story = Tree().splits()
    store = (0, 0, (), (), (2,), (), ())
    story.at(story.now + 50)
    story.parts(ev.TREE_NODE)
    story.add(ev.MA_WRITE, story.writer, story.log.text("mas_wr_slot_store"), 0, -1, 1)
    text = story.log.text("slot_store")
    story.add(ev.TREE_STORE, story.writer, text, 0, story.log.detail(store), 1)
    assert "◂ changed in place" in shown(story)
    assert "#2 changed in place" in shown(story, 76, 14)


def thousand() -> Frame:
    """A thousand VMAs of a page, with a page between them."""
    scene = world("6.12")
    for number in range(1_000):
        scene.vma(f"v{number}", 1, start=0x7000_0000_0000 + (number << 13))
    return fold(Frame(scene.engine.log), len(scene.engine.log))


def test_a_thousand_vmas_are_folded_into_what_there_is_room_for() -> None:
    frame = thousand()
    rows = plain(tree.paint(frame, 78, 20)).splitlines()
    mm = next(iter(frame.mms.values()))
    assert rows[0].startswith("  arange_64 #")
    assert tree.summary(frame).startswith("height 4 · ")
    folded = [int(row.rpartition("… ")[2].split()[0]) for row in rows if row.endswith(" VMAs")]
    # The other 64 are in the nine leaves around the last store, two of them written by it.
    assert sum(folded) == 936
    assert "… 5 nodes" in plain(tree.paint(frame, 78, 20))
    assert any("v997│gap│v998" in row for row in rows)
    assert len(rows) <= 20
    look = Look(tree=TreeLook(opened=frozenset(mm.nodes[mm.root].slots[:1])))
    wider = plain(tree.paint(frame, 78, 40, look)).splitlines()
    assert sum("leaf_64" in row for row in wider) >= len(mm.nodes[mm.nodes[mm.root].slots[0]].slots)


def test_a_large_tree_that_is_opened_is_scrolled_to_the_cursor() -> None:
    frame = thousand()
    mm = next(iter(frame.mms.values()))
    inner = frozenset(node.id for node in mm.nodes.values() if not node.is_leaf)
    last = max((node for node in mm.nodes.values() if node.is_leaf), key=lambda node: node.min)
    look = Look(tree=TreeLook(opened=inner, cursor=last.id))
    rows = plain(tree.paint(frame, 78, 20, look)).splitlines()
    assert "rows above" in rows[0]
    assert any(row.startswith("▸") and f"#{last.id} " in row for row in rows)


def test_no_node_of_a_run_is_given_back_before_all_it_is_said_to_wait_for() -> None:
    engine = build(open_scenario("rcu-lookup"))
    engine.run(30_000_000, 1 << 30)
    log = engine.log
    frame, freed, waited = Frame(log), 0, 0
    for at, row in enumerate(log.between(0, len(log))):
        if row[1] != ev.TREE_NODE_FREED:
            continue
        node = fold(frame, at).mms[row[6]].nodes[row[3]]
        if 0 <= node.dead_ns < row[0]:
            freed += 1
            waited += len(node.readers) > 0
            assert not readers_left(frame, node)
            assert node.freed_after == frame.rcu_grace_periods
    assert freed > 20
    assert waited > 5


def at_cue(name: str, when: str, **changes: int) -> Frame:
    """The moment of a scenario that a cue waits for."""
    engine = build(open_scenario(name), **changes)
    moments = Moments([when])
    while engine.run(steps_max=2_000):
        moments.extend(engine.log)
        if moments.found[0] is not None:
            break
    (row,) = moments.found
    assert row is not None, when
    return fold(Frame(engine.log), row + 1)


CUES = [
    (name, cue.when, cue.caption)
    for name in ("tree-tour", "rcu-lookup")
    for cue in open_scenario(name).cue
]
SEEN = {
    "Grow": ("builds it: nobody sees it yet",),
    "The mapper builds": ("builds it: nobody sees it yet",),
    "Published": (" dead  ▸ #", "new for #"),
    "One pointer store": (" dead  ▸ #", "new for #"),
    "Split": ("2/10", "17 slots split in two", "new for #12"),
    "A split": ("17 slots split in two", "new for #64", " dead  "),
    "Too full again": ("25 slots shared with the right sibling", "new for #22 #14"),
    "The inner node": ("│  ├─ leaf_64", "new for #177", "17 slots split in two, 11 slots split"),
    "munmap of 200": ("spanning_store", " dead  ▸ #207 #208", " dead  ▸ #208", "18 slots gathered"),
    "munmap gives": ("spanning_store", "12 slots gathered", "new for #"),
    "Rebalance": ("joined with the right sibling", " dead  ▸ #223"),
    "Room for 600": ("gap 800 KiB", "ender walks"),
    "fork copies": ("arange_64 #1 ", "leaf_64   #9 "),
    "In the copy": ("changed in place", "exact_fit"),
    "This reader": ("found it dead",),
    "Milliseconds": ("░", "its grace period is over"),
}
"""How a caption begins: what must be seen of it on a screen of 80x24, and of 200x60."""


@pytest.mark.parametrize(("name", "when", "caption"), CUES, ids=[when for _, when, _ in CUES])
def test_what_a_caption_says_is_on_the_pane_at_that_moment(
    name: str, when: str, caption: str
) -> None:
    frame = at_cue(name, when)
    wanted = next(words for begin, words in SEEN.items() if caption.startswith(begin))
    for width, height in ((78, 16), (198, 54)):
        text = plain(tree.paint(frame, width, height))
        for words in wanted:
            assert words in text, (caption, width, text)
    assert tree.title(frame) == f"Maple tree{', the copy' if 'cop' in caption[:13] else ''}"
    assert len(caption) <= 78


def test_a_chosen_address_space_is_not_left_for_the_copy() -> None:
    frame = at_cue("tree-tour", "step dup_mmap_next_vma task=ender")
    parent = max(frame.mms, key=lambda mm: len(frame.mms[mm].vmas))
    assert tree.title(frame, Look(mm=parent)) == "Maple tree"
    ender = next(task.id for task in frame.people() if task.name == "ender")
    assert tree.title(frame, Look(selected=ender)) == "Maple tree, the copy"
    starter = next(task.id for task in frame.people() if task.name == "starter")
    assert tree.title(frame, Look(selected=starter)) == "Maple tree"


@pytest.mark.parametrize("seed", range(1, 21))
def test_readers_meet_dead_nodes_under_every_seed(seed: int) -> None:
    frame = at_cue("rcu-lookup", "tree_walk slot=-1 task=reader* #5", seed=seed)
    assert "found it dead" in plain(tree.paint(frame, 78, 16))


def test_runs_of_one_name_are_counted_and_a_walked_slot_stands_out() -> None:
    story = Tree()
    pages = [story.vma(story.mm, f"anon #{n}", MIDDLE + n * 4096, 1)[0] for n in range(5)]
    pivots = (MIDDLE - 1, *(MIDDLE + n * 4096 + 4095 for n in range(5)), TOP)
    story.node(1, "leaf_64", 0, TOP, (-1, *pages, -1), pivots)
    assert "gap│anon ×5│gap" in shown(story, 76, 5)
    story.add(ev.RCU_READ_BEGIN, story.reader)
    story.looks_at(story.reader, 1, MIDDLE + 2 * 4096, 3)
    assert "gap│anon ×2│anon #2│anon ×2│gap" in shown(story, 76, 5)


def test_the_rows_that_do_not_fit_are_counted_above_and_below() -> None:
    frame = thousand()
    mm = next(iter(frame.mms.values()))
    inner = frozenset(node.id for node in mm.nodes.values() if not node.is_leaf)
    leaf = sorted((n for n in mm.nodes.values() if n.is_leaf), key=lambda n: n.min)[20]
    look = Look(tree=TreeLook(opened=inner | {leaf.id}, cursor=leaf.id))
    rows = plain(tree.paint(frame, 78, 20, look)).splitlines()
    assert rows[0].endswith(" rows above")
    assert rows[-1].endswith(" rows below")
    at = next(index for index, row in enumerate(rows) if row.startswith("▸"))
    assert "─  0 " in rows[at + 1]
    assert "─ 13 " in rows[at + 14]


def test_folded_subtrees_say_where_they_begin_however_deep_the_tree() -> None:
    rows = plain(tree.paint(thousand(), 78, 20)).splitlines()
    folded = [row for row in rows if row.endswith(" VMAs")]
    assert len(folded) >= 6
    assert all(re.search(r"[0-9a-f]+… +… [\d,]+ VMAs$", row) for row in folded)


def test_columns_stay_where_they_are_while_walks_come_and_go() -> None:
    engine = build(open_scenario("rcu-lookup"))
    engine.run(steps_max=3_000)
    frame, columns = Frame(engine.log), set()
    for at in range(2_000, 6_000, 37):
        for row in plain(tree.paint(fold(frame, at), 78, 16)).splitlines():
            columns.update(row.index("gap ") for _ in [0] if "leaf_64" in row and "gap " in row)
    assert len(columns) == 1
