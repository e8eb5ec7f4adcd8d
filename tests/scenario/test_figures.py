"""The figures that a claim takes from other runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pfviz.scenario.expectations import Asked
from pfviz.scenario.figures import Figure, compared

HERE = {"now_ns": 100, "broken_rules": [], "latency_ns": {"max": 7},
        "locks": [{"name": "mmap_lock app", "contended": 3},
                  {"name": "same", "reads": 4}]}  # fmt: skip
THERE = {"now_ns": 40, "broken_rules": [{"rule": "I18"}], "latency_ns": {"max": 9},
         "locks": [{"name": "mmap_lock app", "contended": 5},
                   {"name": "range", "contended": 2}, {"name": "same", "reads": 4}]}  # fmt: skip


def asked() -> Asked:
    def compare(*_: Any, **__: Any) -> Mapping[str, Any]:
        return THERE

    return Asked(HERE, compare, lambda _: 0, lambda _: -1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("now_ns > 2 * compare(without='x').now_ns",
         [Figure(("now_ns",), (("without", "x"),), 40, 100)]),
        ("compare('mmap_lock', threads=2).latency_ns.max > 8",
         [Figure(("latency_ns", "max"), (("mode", "mmap_lock"), ("threads", 2)), 9, 7)]),
        ("len(compare(merge=False).broken_rules) == 1",
         [Figure(("len", "broken_rules"), (("merge", False),), 1, 0)]),
        ("compare(kernel='6.4').locks['range'].contended > 1",
         [Figure(("locks", "range", "contended"), (("kernel", "6.4"),), 2, None)]),
        ("abs(compare('lockless', seed=2).now_ns / compare(seed=2).now_ns - 1) < 1",
         [Figure(("now_ns",), (("mode", "lockless"), ("seed", 2)), 40, None),
          Figure(("now_ns",), (("seed", 2),), 40, None)]),
        ("compare(seed=2).now_ns < now_ns < 9 * compare(seed=3).now_ns",
         [Figure(("now_ns",), (("seed", 2),), 40, 100),
          Figure(("now_ns",), (("seed", 3),), 40, 100)]),
        ("any('I18' in one.rule for one in compare(seed=2).broken_rules)", []),
        ("now_ns > 3", []),
        ("happened('x') < compare(seed=2).locks['same'].reads", []),
        ("locks['same'].reads == compare(seed=2).locks['same'].reads",
         [Figure(("locks", "same", "reads"), (("seed", 2),), 4, 4)]),
    ],
)  # fmt: skip
def test_each_number_of_another_run_comes_with_that_of_this_one(
    text: str, found: list[Figure]
) -> None:
    assert compared(text, asked()) == found
