"""The little language of [[expect]]."""

from __future__ import annotations

from typing import Any

import pytest

from pfviz.scenario.expectations import Asked, ExpectationError, error_in, holds

RUN: dict[str, Any] = {
    "faults": {"count": 10, "fallbacks": {"GAP": 2}},
    "latency_ns": {"p50": 1_000, "p99": 50_000},
    "locks": [
        {"name": "mmap_lock app", "kind": "mmap_lock", "contended": 3},
        {"name": "vma_lock heap", "kind": "vma_lock", "contended": 4},
        {"name": "vma_lock arena", "kind": "vma_lock", "contended": 5},
    ],
    "broken_rules": [{"rule": "I16: an old copy", "task": 1}],
    "throughput_per_s": 5.0,
    "mode": "per-vma",
}


def asked() -> Asked:
    other = {**RUN, "throughput_per_s": 2.0}
    return Asked(
        RUN,
        lambda mode=None, **changes: other if mode == "mmap_lock" or changes else RUN,
        lambda text: len(text.split()),
        lambda text: 7 if "task=a" in text else -1,
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("faults.count == 10", True),
        ("faults.fallbacks['GAP'] == 2 and faults.fallbacks['never'] == 0", True),
        ("latency_ns.p99 > 10 * latency_ns.p50", True),
        ("1 < 2 < 2", False),
        ("not (mode == 'lockless' or mode in ('a',))", None),
        ("mode != 'lockless'", True),
        ("locks['vma_lock heap'].contended == 4", True),
        ("locks[0].contended + -1 == 2", True),
        ("sum(lock.contended for lock in locks if lock.kind == 'vma_lock') == 9", True),
        ("compare('mmap_lock').throughput_per_s < 0.7 * throughput_per_s", True),
        ("compare(without='smaps').throughput_per_s == 2", True),
        ("happened('page_fault_user task=a') == 2", True),
        ("first_ns('page_fault_user task=a') > first_ns('page_fault_user')", True),
    ],
)
def test_an_expression_is_worked_out(text: str, answer: bool | None) -> None:
    if answer is None:
        assert error_in(text) is not None
    else:
        assert error_in(text) is None
        assert holds(text, asked()) is answer


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os')", '"__import__" is not a function here'),
        ("(lambda: 1)()", "is not allowed"),
        ("faults.count ** 9", "is not allowed"),
        ("[one for one in locks]", "is not allowed"),
        ("sum(a for b in locks for a in b)", "may only loop over one name"),
        ("compare(**faults)", "is not allowed"),
        ("happened('no_such_event')", 'event "no_such_event" is not known here'),
        ("happened(mode)", "takes one text in quotes"),
        ("latncy_ns.p50 > 1", 'did you mean "latency_ns"'),
        ("faults.count if mode else 1", "is not allowed"),
        ("(" * 300 + ")" * 300, "is not an expression"),
        ("-" * 5000 + "1", "nested too deeply"),
    ],
)
def test_what_is_not_the_language_is_refused(text: str, said: str) -> None:
    wrong = error_in(text)
    assert wrong is not None
    assert said in wrong or (said == "nested too deeply" and "not an expression" in wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults.cuont > 1", 'faults has no "cuont"; did you mean "count"?'),
        ("locks['vma_lock heep'].contended > 1", 'did you mean "vma_lock heap"?'),
        ("faults.__class__ == 1", 'has no "__class__"'),
        ("mode > 1", "cannot be worked out"),
        ("faults.count / 0 > 1", "cannot be worked out"),
    ],
)
def test_a_run_that_cannot_tell_says_why(text: str, said: str) -> None:
    assert error_in(text) is None
    with pytest.raises(ExpectationError, match=r".*") as caught:
        holds(text, asked())
    assert said in str(caught.value)


def test_a_list_without_names_is_not_asked_by_name() -> None:
    with pytest.raises(ExpectationError, match="has no row with the name"):
        holds("broken_rules['I16'] != 0", asked())
