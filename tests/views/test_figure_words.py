"""Figures of runs in words: every claim that ships can be told."""

from __future__ import annotations

import ast

import pytest

from pfviz.scenario.figures import _parts, _path_of
from pfviz.scenario.load import bundled, load
from pfviz.views.figure_words import figure_name, figure_value, other_run


def test_every_figure_that_a_shipped_scenario_compares_has_words() -> None:
    told = 0
    for path in bundled():
        for claim in load(str(path)).expect:
            for node in _parts(ast.parse(claim.that.strip(), mode="eval").body):
                keys = _path_of(node)
                if keys is not None and keys[0] != "sum":
                    assert figure_name(keys), claim.that
                    told += 1
    assert told > 60


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("operations", "mmap", "latency_ns", "p99"), 897.0, "897 ns"),
        (("throughput_per_s",), 345_604.4, "345,604"),
        (("now_ns",), 1_540_000, "1.54 ms"),
    ],
)
def test_a_figure_has_its_unit(path: tuple[str, ...], value: float, text: str) -> None:
    assert figure_value(path, value) == text


def test_the_other_run_is_told_by_what_differs() -> None:
    said = other_run({"mode": "mmap_lock", "kernel": "6.18", "without": "smaps", "threads": 1,
                      "merge": False})  # fmt: skip
    assert said == (
        "in mode mmap_lock, on Linux 6.18, without smaps, with 1 thread, with merge set to false"
    )
    assert other_run({"kernel": "beyond"}) == "with the locks beyond mmap_lock"
