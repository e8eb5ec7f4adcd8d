"""Moments in a log, found in one pass, however it grows."""

from __future__ import annotations

import pytest

from pfviz.scenario.build import build
from pfviz.scenario.load import load
from pfviz.scenario.moments import Moments, error_in
from pfviz.scenario.schema import Cue
from pfviz.sim import event

WHENS = (
    "page_fault_user",
    "page_fault_user #3",
    "page_fault_user task=a* #2",
    "step lock_vma_under_rcu",
    "lock_acquired lock=vma_lock mode=read",
    "lock_acquired lock=mmap_lock mode=write",
    "fault_end kind=anon_* regime=vma_lock",
    "vma_new vma=heap",
)


def test_moments_are_found_where_they_come() -> None:
    engine = build(load("hello-fault"))
    engine.run()
    moments = Moments(WHENS)
    moments.extend(engine.log)
    rows = [None if row is None else engine.log.row(row) for row in moments.found]
    faults = [index for index, row in enumerate(engine.log) if row[1] == event.FAULT_BEGIN]
    assert moments.found[0] == faults[0]
    assert moments.found[1] == faults[2]
    assert moments.found[2] == faults[1]
    assert moments.found[5] is None
    assert rows[4] is not None
    assert rows[4][1] == event.LOCK_ACQUIRED
    assert moments.counts[0] == 4
    assert moments.found[7] is not None


def test_a_cache_line_goes_by_its_name() -> None:
    engine = build(load("two-mallocs"))
    engine.run()
    moments = Moments(["line_moved line=vm_lock*", "line_moved line=mmap_lock*", "line_moved"])
    moments.extend(engine.log)
    assert None not in moments.found
    assert 0 < moments.counts[0] + moments.counts[1] < moments.counts[2]


def test_a_log_that_grows_gives_the_same_moments() -> None:
    engine = build(load("hello-fault"))
    growing = Moments(WHENS)
    while engine.run(steps_max=7):
        growing.extend(engine.log)
    whole = Moments(WHENS)
    whole.extend(engine.log)
    growing.extend(engine.log)
    assert growing.found == whole.found
    assert growing.counts == whole.counts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs the name of an event"),
        ("page_fult_user", 'did you mean "page_fault_user"?'),
        ("lock_acquired lcok=a", 'has no field "lcok"; did you mean "lock"?'),
        ("lock_acquired mmap_lock", '"mmap_lock" should be field=value or #number'),
        ("lock_acquired #0", '"#0" should be field=value or #number'),
    ],
)
def test_what_is_no_moment_is_answered_with_a_way_out(text: str, said: str) -> None:
    assert said in str(error_in(text))


def test_a_cue_comes_where_its_words_are_true() -> None:
    cue = Cue(caption="c", when="page_fault_user", modes=("per-vma",), kernels=("6.12", "6.18"))
    assert cue.comes_in("6.12", "per-vma")
    assert not cue.comes_in("6.12", "mmap_lock")
    assert not cue.comes_in("6.4", "per-vma")
    assert Cue(caption="c", when="page_fault_user").comes_in("6.0", "mmap_lock")
