"""Compared runs on the stage: which panes of theirs are seen in how much room."""

from __future__ import annotations

import pytest

from pfviz.scenario.build import build_with
from pfviz.scenario.load import load
from pfviz.scenario.overrides import Overrides
from pfviz.views.look import Look
from pfviz.views.painters import Scene
from pfviz.views.rows import plain
from pfviz.views.stage_panes import Column, paint_columns
from pfviz.views.timeline import Timeline


@pytest.fixture(scope="module")
def columns() -> list[Column]:
    made = []
    for mode in ("mmap_lock", "per-vma"):
        engine = build_with(load("fault-storm"), Overrides(mode=mode, threads=4))
        engine.run(20_000)
        timeline = Timeline(engine.log)
        scene = Scene(timeline.at(len(timeline)), timeline, Look())
        made.append(Column(mode, f"mode-{mode}", scene))
    return made


def test_threads_come_first_and_a_second_pane_where_there_is_room(columns: list[Column]) -> None:
    large = plain(paint_columns(columns, ("threads", "counters"), "", 120, 30))
    assert "app4" in large
    assert large.count("pgfault") == 2
    small = plain(paint_columns(columns, ("threads", "counters"), "", 80, 10))
    assert "app4" in small
    assert "pgfault" not in small


def test_without_the_threads_the_pane_asked_for_has_the_whole_column(
    columns: list[Column],
) -> None:
    text = plain(paint_columns(columns, ("counters",), "", 80, 12))
    assert text.count("pgfault") == 2
    assert "app4" not in text
