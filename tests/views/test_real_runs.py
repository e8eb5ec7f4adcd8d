"""Frames of the bundled scenarios against the worlds they were logged from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pfviz.scenario.build import build
from pfviz.scenario.load import bundled, load
from pfviz.sim.task import RUNNING, SLEEPING
from pfviz.sync.rw_semaphore import holders, waiters
from pfviz.trace.infer import infer_log
from pfviz.views import address_map, counters, latency, lock_board, narrator, steps, threads, tree
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.rows import plain, row_width
from pfviz.views.timeline import Timeline

TRACES = Path(__file__).parent.parent / "data" / "traces"
NAMES = [path.stem for path in bundled()]
LATE = ("vma_lock", "mutex")
STOPS = (200, 1_500, 4_000, 6_000)


def tree_nodes(mm: Any) -> set[int]:
    """The ids of the nodes of an address space's tree, whichever kind it is."""
    if hasattr(mm.tree, "rb"):
        return set(mm.tree.rb.nodes)
    return {node.id for node in mm.tree.maple.nodes()}


def check(frame: Frame, engine: Any) -> None:
    """What the log told must be what the world is."""
    for mm in engine.world.mms:
        forks = any(task.op == "fork" for task in frame.people())
        exits = any(task.op == "exit" and task.mm == mm.id for task in frame.people())
        if mm.exited or exits or (forks and mm.parent >= 0):
            continue  # gone, on its way out, or still full of its parent's VMAs (__mt_dup)
        state = frame.mms[mm.id]
        in_tree = {vma.id: (vma.vm_start, vma.vm_end) for vma in mm.tree}
        known = {vma.id: (vma.start, vma.end) for vma in state.vmas.values()}
        assert {key: known[key] for key in in_tree} == in_tree
        attached = {vma.id for vma in state.vmas.values() if vma.detached_ns < 0}
        # Allocated but not stored yet, or detached but not erased yet: in a system call only.
        busy = sum(task.op != "" for task in frame.people())
        assert len(attached - set(in_tree)) <= busy
        assert not set(in_tree) - attached or busy
        assert state.pages_present == mm.page_tables.count_present(0, 1 << 47)
        alive = {node.id for node in state.nodes.values() if node.dead_ns < 0}
        assert alive == tree_nodes(mm)
        sem = mm.mmap_lock
        lock = frame.locks[sem.id]
        assert set(lock.holders) <= {task.id for task in holders(sem)}
        asleep = [task.id for task in waiters(sem)]
        # A waiter that was woken has left the queue; its wait ends when it runs.
        assert [task for task in lock.waiters if task in asleep] == asleep
        woken = set(lock.waiters) - set(asleep)
        assert all(engine.tasks[task].state != SLEEPING for task in woken)
    for task in engine.tasks:
        if task.cpu is not None and task.id in frame.tasks:
            assert frame.tasks[task.id].on_cpu == (task.cpu.current is task)
            assert frame.tasks[task.id].ended == (task.state == "done")
            if frame.tasks[task.id].waits_lock >= 0:
                # A writer that readers of a counted VMA lock have woken, or who slept for a mutex
                # of the program (futex): its wait ends as it runs.
                ends_late = frame.locks[frame.tasks[task.id].waits_lock].kind in LATE
                assert task.state != RUNNING or task.waiting is not None or ends_late


@pytest.mark.parametrize(
    ("mode", "kernel"),
    [
        (None, None),
        ("lockless", "6.12"),
        ("per-vma", "6.18"),
        (None, "6.1"),
        ("mmap_lock", "6.0"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_what_the_world_was(name: str, mode: str | None, kernel: str | None) -> None:
    engine = build(load(name), mode=mode, kernel=kernel)
    frame = Frame(engine.log)
    for stop in STOPS:
        engine.run(steps_max=stop - engine.steps)
        check(fold(frame, len(engine.log)), engine)


@pytest.mark.parametrize("name", NAMES)
def test_every_pane_can_paint_every_scenario(name: str) -> None:
    engine = build(load(name))
    engine.run(steps_max=3_000)
    paint_all(Timeline(engine.log))


@pytest.mark.parametrize("name", ["guest-6.12-stack", "var-lost-overwrite", "malloc-t2"])
def test_every_pane_can_paint_a_capture_or_says_why_not(name: str) -> None:
    timeline = Timeline(infer_log(TRACES / name / "trace.txt.gz"))
    paint_all(timeline)
    frame = timeline.at(len(timeline))
    assert "no kernel function" in plain(steps.paint(frame, 80, 5)).lower()
    assert frame.counters["pgfault"] == sum(task.faults_done for task in frame.people())
    told = list(narrator.plain_lines(timeline.log))
    assert any("is done" in line for line in told)
    assert all(line.isprintable() for line in told)
    if name == "var-lost-overwrite":
        assert frame.lost > 0
        assert "events lost" in counters.summary(frame)


def paint_all(timeline: Timeline) -> None:
    """Every pane at seven moments and three sizes."""
    for share in range(1, 8):
        frame = timeline.at(len(timeline) * share // 7)
        ahead = timeline.upcoming(frame.index, frame.step_task, 4)
        for width, height in ((30, 5), (80, 12), (160, 30)):
            for rows in (
                threads.paint(frame, timeline.lanes, width, height),
                lock_board.paint(frame, width, height),
                address_map.paint(frame, width, height),
                tree.paint(frame, width, height),
                latency.paint(frame, width, height),
                steps.paint(frame, width, height, upcoming=ahead),
                counters.paint(frame, width, height),
                narrator.paint(frame, width, height),
            ):
                assert [row_width(row) for row in rows] == [width] * height
