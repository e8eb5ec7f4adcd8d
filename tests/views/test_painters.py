"""Every painter at every size, with every glyph set, and with names that mean harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfviz.sim.event import EventLog
from pfviz.views import (
    address_map,
    compare_table,
    counters,
    latency,
    lock_board,
    narrator,
    steps,
    threads,
    tree,
)
from pfviz.views.frame import Frame
from pfviz.views.glyphs import ASCII
from pfviz.views.look import Look
from pfviz.views.rows import STYLES, Rows, plain, row_width
from pfviz.views.timeline import Timeline

from . import logs

Painter = Callable[[Timeline, Frame, int, int, Look], Rows]

PAINTERS: dict[str, Painter] = {
    "threads": lambda line, f, w, h, look: threads.paint(f, line.lanes, w, h, look),
    "lock_board": lambda line, f, w, h, look: lock_board.paint(f, w, h, look),
    "address_map": lambda line, f, w, h, look: address_map.paint(f, w, h, look),
    "tree": lambda line, f, w, h, look: tree.paint(f, w, h, look),
    "latency": lambda line, f, w, h, look: latency.paint(f, w, h, look),
    "steps": lambda line, f, w, h, look: steps.paint(
        f, w, h, look, line.upcoming(f.index, f.step_task, 5)
    ),
    "counters": lambda line, f, w, h, look: counters.paint(f, w, h, look),
    "narrator": lambda line, f, w, h, look: narrator.paint(f, w, h, look),
    "compare": lambda line, f, w, h, look: compare_table.paint(
        [("per-vma", "fault-vma", f), ("lockless", "fault-lockless", f)], w, h, look
    ),
}
SIZES = [(0, 0), (1, 1), (2, 9), (9, 2), (30, 5), (40, 7), (63, 12), (80, 24), (120, 40), (200, 60)]


def empty() -> EventLog:
    return EventLog()


def capture() -> EventLog:
    log = logs.monitor().log
    log.meta["absent.steps"] = "A capture has no steps."
    del log.steps[:]
    kept = bytearray()
    for row in range(len(log)):
        if log.row(row)[1] != 1:
            kept += log.rows[row * 56 : row * 56 + 56]
    log.rows = kept
    return log


LOGS: dict[str, Callable[[], EventLog]] = {
    "empty": empty,
    "one fault": lambda: logs.one_fault().log,
    "monitor": lambda: logs.monitor().log,
    "tree": lambda: logs.walked_tree().log,
    "long": lambda: logs.long(40, threads=9).log,
    "capture": capture,
}


@pytest.mark.parametrize("which", LOGS)
@pytest.mark.parametrize("painter", PAINTERS)
def test_a_painter_fills_exactly_the_size_it_is_given(painter: str, which: str) -> None:
    log = LOGS[which]()
    timeline = Timeline(log, 64)
    places = sorted(
        {0, min(1, len(log)), len(log) // 3, len(log) // 2, max(len(log) - 3, 0), len(log)}
    )
    for index in places:
        frame = timeline.at(index)
        before = frame.copy()
        for width, height in SIZES:
            for look in (Look(), Look(glyphs=ASCII), Look(top=3, selected=1)):
                rows = PAINTERS[painter](timeline, frame, width, height, look)
                assert len(rows) == height
                assert {row_width(row) for row in rows} <= {width}
                assert {style for row in rows for _, style in row} <= set(STYLES)
                text = plain(rows)
                assert text.replace("\n", "").isprintable()
                assert not look.glyphs.ascii_only or text.isascii()
        assert frame == before, "a painter changed the frame"


@pytest.mark.parametrize("painter", PAINTERS)
def test_a_name_with_escapes_never_reaches_the_rows(painter: str) -> None:
    story = logs.Story()
    evil = "\x1b]0;gotcha\x07\x1b[31m\u202e界界"
    mm, mmap_lock = story.address_space(evil)
    vma, _ = story.vma(mm, evil, logs.HEAP, 4)
    a, b = story.thread(evil), story.thread(evil, 1)
    story.takes(a, mmap_lock)
    story.begins(b, evil)
    story.faults(b, logs.HEAP, 1)
    story.falls_back(b, evil, evil)
    story.step(b, evil)
    story.queues(b, mmap_lock, 1)
    story.node(1, "leaf_64", 0, 1 << 47, (-1, vma, -1))
    story.root(1, 1)
    story.is_served(a, 5, kind=evil)
    timeline = Timeline(story.log)
    for width, height in SIZES:
        rows = PAINTERS[painter](timeline, timeline.at(len(timeline)), width, height, Look())
        assert {row_width(row) for row in rows} <= {width}
        assert plain(rows).replace("\n", "").isprintable()


def test_every_style_of_a_state_has_its_letter_twin() -> None:
    from pfviz.views.states import STATES

    for state in STATES:
        assert state.style in STYLES
        if state.letter.strip():
            assert f"{state.style}-on" in STYLES
    letters = [state.letter for state in STATES if state.letter.strip()]
    glyphs = [state.glyph for state in STATES if state.glyph.strip()]
    assert len(set(letters)) == len(letters)
    assert len(set(glyphs)) == len(glyphs)
