"""Searching: every word must match, names are matched as wholes or as parts worth typing."""

from pfviz.sim import event
from pfviz.tui.row_index import RowIndex
from pfviz.tui.search import Query

from .runs import player


def hits(text: str) -> list[tuple[int, ...]]:
    log = player().run.log
    index = RowIndex(log, Query(log, text))
    index.extend()
    return [log.row(position - 1) for position in index.everything()]


def test_a_step_is_found_by_a_part_of_its_function() -> None:
    log = player().run.log
    functions = {log.steps[row[3]].function for row in hits("under_rcu") if row[1] == event.STEP}
    assert "lock_vma_under_rcu" in functions


def test_a_short_word_is_not_found_inside_others() -> None:
    assert not hits("to")
    assert hits("toucher1")


def test_every_word_must_match() -> None:
    both, one = hits("mapper munmap"), hits("mapper")
    assert 0 < len(both) < len(one)
    assert {row[2] for row in both} == {2}


def test_people_say_waits_where_the_kernel_says_contention() -> None:
    assert hits("fault")
    assert {row[1] for row in hits("fault toucher1")} >= {event.FAULT_BEGIN, event.FAULT_END}


def test_an_address_is_found_in_hexadecimal() -> None:
    log = player().run.log
    address = next(row[3] for row in log if row[1] == event.FAULT_BEGIN)
    found = hits(hex(address))
    assert any(row[1] == event.FAULT_BEGIN and row[3] == address for row in found)


def test_a_log_that_grows_is_searched_once() -> None:
    made = player(whole=False)
    log = made.run.log
    index = RowIndex(log, Query(log, "mapper"))
    index.extend()
    before = index.seen
    while not made.run.finished:
        made.run.advance(1.0)
    index.extend()
    assert index.seen == len(log) > before
    assert list(index.everything()) == sorted(set(index.everything()))
