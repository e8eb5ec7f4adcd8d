"""The stations of a scene, found in its run; what an audience sees at them, as text in three sizes.

`PFVIZ_GOLDEN=write pytest tests/views/test_stage_walk.py` writes the pictures anew.
"""

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from pfviz.scenario.build import build_with
from pfviz.scenario.load import load
from pfviz.scenario.schema import Scenario
from pfviz.scenario.talk import Scene, Stop
from pfviz.scenario.talk_load import open_talk
from pfviz.sim.event import EventLog
from pfviz.sim.machine import FOREVER_NS
from pfviz.views.rows import plain
from pfviz.views.stage import StageMoment, paint
from pfviz.views.stage_walk import (
    ASK,
    BEGIN,
    CARD,
    STOP,
    WHY,
    RunAt,
    Setting,
    Station,
    Stations,
    moment_at,
)  # fmt: skip
from pfviz.views.timeline import FAULT, Timeline

TALKS = Path(__file__).parent.parent / "data" / "talks"
GOLDEN = Path(__file__).parent.parent / "golden"
SMALL = open_talk(str(TALKS / "small.toml"))
RACE = load(str(TALKS / "race.toml"))


@lru_cache(maxsize=4)
def run(mode: str = "") -> tuple[EventLog, int]:
    """The race to its end, and how many events set its world up."""
    overrides = replace(SMALL.scenes[1].overrides, mode=mode or None)
    engine = build_with(RACE, overrides)
    origin = len(engine.log)
    engine.run(FOREVER_NS)
    return engine.log, origin


def walked(scene: Scene, known: int | None = None) -> Stations:
    """The stations of a scene, of whose run so many events are known; all of them by default."""
    log, origin = run("mmap_lock" if scene.compare else "")
    stations = Stations(scene)
    if scene.scenario:
        stations.watch(log, lambda: log.row((known or len(log)) - 1)[0], origin)
        stations.extend(len(log) if known is None else None)
    return stations


def moment(scene: Scene, at: int, scenario: Scenario | None = RACE) -> StageMoment:
    stations = walked(scene)
    station = stations.known[at]
    runs = []
    for mode in scene.labels or ("",) if scene.scenario else ():
        timeline = Timeline(run(mode)[0])
        runs.append(RunAt(timeline, station.position, timeline.time_at(station.position), 1_000))
    setting = Setting(scene, scenario, len(SMALL.scenes), {("anon_write", "6.4"): "V"})
    return moment_at(setting, station, at, stations.count_in_all, runs)


def test_stations_come_in_the_order_of_the_run_and_not_of_the_file() -> None:
    card, one, twice, matrix = (walked(scene) for scene in SMALL.scenes)
    assert [station.kind for station in card.known] == [CARD]
    assert [station.kind for station in one.known] == [BEGIN, STOP, ASK, WHY, STOP]
    positions = [station.position for station in one.known]
    assert positions == sorted(positions)
    assert one.known[2].position == one.known[3].position
    assert [station.kind for station in twice.known] == [BEGIN, STOP]
    assert [station.kind for station in matrix.known] == [BEGIN, STOP]
    assert all(stations.is_complete for stations in (card, one, twice, matrix))


def test_a_stop_that_only_changes_the_caption_is_no_station() -> None:
    one = walked(SMALL.scenes[1])
    assert [stop.say for _, stop in one.quiet] == ["Now the memory goes."]
    assert [len(station.reached) for station in one.known] == [0, 1, 2, 2, 3]
    assert moment(SMALL.scenes[1], 4).caption == "And once more."


def test_stations_that_are_known_keep_their_numbers_while_the_run_grows() -> None:
    whole = walked(SMALL.scenes[1]).known
    log = run()[0]
    for known in range(1, len(log), 97):
        found = walked(SMALL.scenes[1], known).known
        assert found == whole[: len(found)], known
        assert all(log.row(one.position - 1)[0] <= log.row(known - 1)[0] for one in found[1:])


def test_a_scene_may_begin_in_the_middle_and_end_with_its_run() -> None:
    middle = replace(SMALL.scenes[1], begin_when="op_begin op=munmap", questions=(),
                     stops=(*SMALL.scenes[1].stops, Stop("")))  # fmt: skip
    stations = walked(middle)
    begin, *rest = stations.known
    assert begin.position > walked(SMALL.scenes[1]).known[1].position
    assert rest[-1].position == len(run()[0])
    assert "The first fault comes." not in [one.reached[-1].say for one in rest]
    assert not walked(middle, known=20).has_begun


def test_nothing_is_told_of_an_answer_before_it_is_shown() -> None:
    asked, told = moment(SMALL.scenes[1], 2), moment(SMALL.scenes[1], 3)
    assert asked.asked is not None
    assert told.asked is not None
    assert (asked.asked.revealed, asked.caption) == (False, "")
    assert (told.asked.revealed, told.caption) == (True, "It takes a VMA out of the tree.")
    before = plain(paint(asked, 80, 24)).splitlines()
    after = plain(paint(told, 80, 24)).splitlines()
    told_less = [line.replace("✓", " ") for line in after]
    assert before[2:17] == told_less[2:17], "nothing moves but the bar"


def test_compared_runs_say_who_is_faster() -> None:
    begin, stop = moment(SMALL.scenes[2], 0), moment(SMALL.scenes[2], 1)
    assert begin.verdict == ""
    assert stop.verdict.endswith("as fast as mmap_lock.")
    assert [column.label for column in stop.columns] == ["mmap_lock", "per-VMA"]


def test_runs_at_one_time_say_how_many_times_the_faults_are() -> None:
    scene = replace(SMALL.scenes[2], align="time")
    timelines = [Timeline(run(mode)[0]) for mode in scene.labels]
    places = [(timelines[0], 10), (timelines[1], 12)]
    runs = [
        RunAt(timeline, timeline.nth(faults, FAULT), 9_000, 1_000) for timeline, faults in places
    ]
    shown = moment_at(Setting(scene, RACE, 4), Station(STOP), 1, 2, runs)
    assert [column.said for column in shown.columns] == ["10 faults", "12 faults"]
    assert shown.verdict == "Faults done in the same time: mmap_lock 10, per-VMA 12 (1.2×)."


def test_runs_of_the_same_work_say_how_many_times_as_fast() -> None:
    scene = SMALL.scenes[2]
    timelines = [Timeline(run(mode)[0]) for mode in scene.labels]
    runs = [RunAt(timelines[0], 200, 9_000, 1_000), RunAt(timelines[1], 200, 3_000, 1_000)]
    shown = moment_at(Setting(scene, RACE, 4), Station(STOP), 1, 2, runs)
    assert shown.verdict == "per-VMA is 3.0× as fast as mmap_lock."
    silent = replace(scene, verdict=False)
    assert moment_at(Setting(silent, RACE, 4), Station(STOP), 1, 2, runs).verdict == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_stage_looks_as_it_did(size: tuple[int, int]) -> None:
    pictures = [
        plain(paint(moment(scene, at), *size))
        for scene, at in ((SMALL.scenes[0], 0), (SMALL.scenes[1], 1), (SMALL.scenes[1], 3),
                          (SMALL.scenes[2], 1), (SMALL.scenes[3], 0))
    ]  # fmt: skip
    rule = "=" * size[0]
    text = f"\n{rule}\n".join(pictures) + "\n"
    path = GOLDEN / f"stage_{size[0]}x{size[1]}.txt"
    if os.environ.get("PFVIZ_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
