"""Live reload: a scenario's file is saved while it is played."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from textual.widgets import Static

from pfviz.config.settings import Settings
from pfviz.report.source import files_of, open_scenario, open_source
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import Overrides
from pfviz.tui.app import LabApp
from pfviz.tui.reload_words import complaint, what_changed
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.lab import Lab
from pfviz.tui.sources import entries, run_of
from pfviz.tui.watch import Watch
from pfviz.views.workload_position import WorkloadPosition
from tests.tui.runs import RACE
from tests.tui.screen_text import lab_of, settle, text_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "race.toml"
    path.write_text(RACE)
    return path


def save(path: Path, text: str) -> None:
    """As editors do: another file takes the name."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def look(lab: Lab) -> None:
    """Two looks at the file: half a file is no change yet."""
    lab.look_at_file()
    lab.look_at_file()


def problem(lab: Lab) -> str:
    panel = lab.query_one("#file-problem", Static)
    return str(panel.content) if panel.display else ""


def test_a_file_is_a_change_only_when_it_has_come_to_rest(file: Path) -> None:
    watch = Watch([file])
    assert not watch.changed()
    file.write_text("half")
    assert not watch.changed()
    file.write_text("half a file")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()
    file.unlink()
    assert not watch.changed()
    assert watch.changed()
    save(file, "again")
    assert [watch.changed() for _ in range(3)] == [False, True, False]


def test_the_maps_file_of_a_scenario_is_watched_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        'schema_version = 1\ntitle = "x"\nmaps = "x.maps"\n'
        '[[thread]]\nname = "a"\n[[thread.op]]\ndo = "compute"\ntime = "1us"\n'
    )
    assert files_of(str(path)) == (path, tmp_path / "x.maps")
    path.write_text("no scenario")
    assert files_of(str(path)) == (path,)


def test_what_is_new_is_said_in_a_few_words(file: Path) -> None:
    old = open_scenario(str(file))
    file.write_text(
        RACE.replace('kernel = "6.12"', 'kernel = "6.18"') + '[[cue]]\nat = "1us"\ncaption = "x"\n'
    )
    new = open_scenario(str(file))
    assert what_changed(old, new) == f"kernel 6.18, {len(new.cue)} cues"
    assert not what_changed(old, old)


def test_a_complaint_quotes_the_line_and_hides_what_acts_on_terminals(file: Path) -> None:
    file.write_text("one = 1\n\x1b[2Jtwo = 2\n")
    said = complaint(ScenarioError(str(file), 2, "two is wrong"), file)
    assert said.splitlines()[0] == "race.toml:2: two is wrong"
    assert said.splitlines()[1].endswith("1 | one = 1")
    assert said.splitlines()[2].startswith("> 2 | ")
    assert "\x1b" not in said


async def test_saving_a_file_plays_it_anew_at_the_same_place(file: Path) -> None:
    app = LabApp(run=run_of(open_source(str(file), Overrides(seed=77))), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = lab_of(app)
        assert lab.file_watch is not None
        lab.player.go(len(lab.player.run.timeline) // 2)
        before, place = lab.player.run, WorkloadPosition.of(lab.player)
        save(file, RACE.replace('title = "A race"', 'title = "Another race"'))
        look(lab)
        await settle(pilot)
        assert lab.player.run is not before
        assert lab.player.run.title == "Another race"
        assert WorkloadPosition.of(lab.player) == place
        assert "Reloaded race.toml: title Another race" in text_of(app)
        recipe = lab.player.run.recipe
        assert recipe is not None
        assert (recipe.seed, recipe.overrides.seed) == (77, 77)


async def test_what_is_wrong_is_shown_until_it_is_right_and_the_run_plays_on(file: Path) -> None:
    app = LabApp(run=run_of(open_source(str(file))), play=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        lab = lab_of(app)
        before = lab.player.run
        save(file, RACE.replace("pages = 64", "pagse = 64"))
        look(lab)
        await pilot.pause()
        line = RACE.splitlines().index("pages = 64") + 1
        assert f"race.toml:{line}: " in problem(lab)
        assert 'did you mean "pages"' in problem(lab)
        assert f"> {line} | pagse = 64" in text_of(app)
        assert lab.player.run is before
        await pilot.press("right")
        file.unlink()
        look(lab)
        assert "no such file" in problem(lab)
        save(file, RACE)
        look(lab)
        await settle(pilot)
        assert not problem(lab)
        assert "nothing in it is new" in text_of(app)


async def test_a_change_that_does_not_fit_the_run_is_a_complaint_too(file: Path) -> None:
    from pfviz.scenario.overrides import Overrides

    opened = open_source(str(file), Overrides(without=("mapper",)))
    app = LabApp(run=run_of(opened), play=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        lab = lab_of(app)
        save(file, RACE.replace('name = "mapper"', 'name = "painter"'))
        look(lab)
        assert "painter" in problem(lab)


async def test_nobody_looks_when_that_is_not_wanted(file: Path) -> None:
    app = LabApp(run=run_of(open_source(str(file))), play=False)
    app.settings = Settings(watch=False)
    async with app.run_test():
        await asyncio.sleep(0)
        assert lab_of(app).file_watch is None
        assert os.fspath(file) == lab_of(app).player.run.path


async def test_the_gallery_lists_own_scenarios_as_they_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "pfviz" / "scenarios"
    app = LabApp(entries=entries())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        gallery = app.screen
        assert isinstance(gallery, Gallery)
        assert "Your own" not in text_of(app)
        folder.mkdir(parents=True)
        (folder / "mine.toml").write_text(RACE)
        gallery.look_at_own()
        await pilot.pause()
        assert "Your own" in text_of(app)
        assert "A race" in text_of(app)
        (folder / "mine.toml").write_text("title = 3")
        for _ in range(2):
            gallery.look_at_own()
        await pilot.pause()
        assert "! mine" in text_of(app)
        (folder / "mine.toml").unlink()
        gallery.look_at_own()
        await pilot.pause()
        assert "Your own" not in text_of(app)
