"""Two runs of one workload, aligned on what their threads have done."""

from __future__ import annotations

from pfviz.views import compare, compare_table
from pfviz.views.compare import Alignment
from pfviz.views.rows import plain
from pfviz.views.timeline import OPERATION, Timeline

from . import logs


def run(slow: bool = False, other_path: int = -1) -> Timeline:
    """Six accesses by two threads; `slow` doubles every cost, `other_path` adds a step to one."""
    story = logs.Story()
    tasks = [story.thread("a"), story.thread("b", 1)]
    cost = 100 if slow else 50
    for number in range(6):
        task = tasks[number % 2]
        began = story.now
        story.begins(task, "access", logs.HEAP, 4096, number // 2)
        story.faults(task, logs.HEAP, 1)
        story.step(task, "exc_page_fault", cost)
        if number == other_path:
            story.falls_back(task, "vma is being written")
            story.step(task, "mmap_read_lock", cost)
        story.step(task, "do_anonymous_page", cost)
        story.is_served(task, story.now - began)
        story.ends(task, "access", story.now - began, number // 2)
    return Timeline(story.log)


def test_the_same_work_is_the_same_position_whatever_the_time() -> None:
    fast, slow = run(), run(slow=True)
    runs = Alignment([fast, slow])
    for done in range(1, 6):
        here, there = runs.by_work(0, fast.nth(done, OPERATION))
        assert fast.count(here, OPERATION) == slow.count(there, OPERATION) == done
        assert slow.time_at(there) == 2 * fast.time_at(here)
    assert runs.by_work(1, len(slow)) == [len(fast), len(slow)]


def test_the_same_time_is_less_work_in_the_slower_run() -> None:
    fast, slow = run(), run(slow=True)
    here, there = Alignment([fast, slow]).by_time(0, len(fast))
    assert here == len(fast)
    assert slow.count(there, OPERATION) < fast.count(here, OPERATION)


def test_runs_of_the_same_path_do_not_diverge() -> None:
    assert Alignment([run(), run(slow=True)]).first_divergence() is None


def test_the_first_divergence_names_the_operation_and_both_ways() -> None:
    fast, other = run(), run(other_path=3)
    found = Alignment([fast, other]).first_divergence()
    assert found is not None
    assert (found.task, found.number, found.name) == (1, 1, "access")
    assert (found.first, found.second) == ("do_anonymous_page", "! vma is being written")
    assert fast.at(found.index_first).step_task == 1
    assert "vma is being written" in other.log.describe(other.log.row(found.index_second - 1))


def test_the_largest_difference_comes_first() -> None:
    runs = Alignment([run(), run(other_path=3)])
    assert runs.slowest(1) == [((1, 1), "access", [100, 150])]


def test_an_alignment_grows_with_its_logs() -> None:
    whole = run()
    story = logs.Story()
    story.log.texts, story.log.steps = whole.log.texts, whole.log.steps
    growing = Timeline(story.log)
    runs = Alignment([whole, growing])
    assert runs.by_work(0, len(whole)) == [len(whole), 0]
    story.log.rows += whole.log.rows
    growing.extend()
    runs.extend()
    assert runs.by_work(0, len(whole)) == [len(whole), len(whole)]
    assert len(runs.operations[1].done) == 6
    assert isinstance(runs.operations[1].done[1, 1], compare.OpRun)


def test_the_table_marks_the_better_run() -> None:
    runs = [
        ("fast", "fault-vma", run().copy_at(38)),
        ("slow", "fault-mmap", run(slow=True).copy_at(38)),
    ]
    shown = plain(compare_table.paint(runs, 50, 9)).splitlines()
    assert shown[0].split() == ["fast", "slow"]
    assert "faults per s" in shown[4]
    assert "▸" in shown[4]
