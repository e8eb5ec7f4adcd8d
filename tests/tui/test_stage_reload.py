"""A talk's files are saved while it is given, or while its notes are read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pfviz.config.settings import Settings
from pfviz.scenario.talk_load import open_talk, parse
from pfviz.tui.app import LabApp
from pfviz.tui.notes_pages import Pages
from pfviz.tui.screens.notes import Notes
from pfviz.tui.screens.stage import Stage
from pfviz.tui.screens.stage_reload import StageReload, files_of_talk

from .screen_text import text_of
from .test_notes import TALK
from .test_reload import save
from .test_stage import SMALL, caption, press, stage_of, to_scene, until


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shutil.copy(SMALL.parent / "race.toml", tmp_path)
    return Path(shutil.copy(SMALL, tmp_path))


def look(screen: StageReload | Notes) -> None:
    """Two looks: half a file is no change yet."""
    screen.look_at_files()
    screen.look_at_files()


async def test_the_present_scene_begins_at_the_same_stop_and_others_stay(file: Path) -> None:
    async with LabApp(talk=open_talk(str(file)), fps=30).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        stage = stage_of(pilot)
        await press(pilot, "pagedown", 2)
        await until(pilot, lambda: stage.show.act.at == 1)
        first, second = stage.show._acts[0], stage.show.act
        save(file, file.read_text().replace("The first fault comes.", "Here it comes."))
        look(stage)
        await until(pilot, lambda: caption(pilot) == "Here it comes.")
        assert (stage.show.number, stage.show.act.at) == (1, 1)
        assert stage.show._acts[0] is first
        assert stage.show.act is not second
        # The scenario of the scene is watched, too.
        other = file.with_name("race.toml")
        save(other, other.read_text().replace('title = "', 'title = "Another ', 1))
        third = stage.show.act
        look(stage)
        assert stage.show.act is not third


async def test_a_mistake_is_a_quiet_line_and_the_talk_goes_on(file: Path) -> None:
    async with LabApp(talk=open_talk(str(file)), fps=30).run_test(size=(80, 24)) as pilot:
        stage = stage_of(pilot)
        act, good = stage.show.act, file.read_text()
        save(file, good.replace("minutes = 2", "minuets = 2"))
        look(stage)
        await pilot.pause(0.05)
        assert 'small.toml:5: key "minuets" is not known here' in text_of(pilot.app)
        assert stage.show.act is act
        save(file, good)
        look(stage)
        assert not stage.file_problem
        assert stage.show.act is act


async def test_nobody_looks_where_the_settings_say_so(file: Path) -> None:
    app = LabApp(talk=open_talk(str(file)), fps=30)
    app.settings = Settings(watch=False)
    async with app.run_test(size=(80, 24)):
        assert isinstance(app.screen, Stage)
        assert app.screen.file_watch is None


async def test_the_notes_are_read_again_at_the_same_page(file: Path) -> None:
    async with LabApp(notes=open_talk(str(file))).run_test(size=(80, 24)) as pilot:
        notes = pilot.app.screen
        assert isinstance(notes, Notes)
        notes.pages.turn(2)
        good = file.read_text()
        save(file, good.replace("Point at the lane.", "Point at T1."))
        look(notes)
        assert notes.pages.page.note == "Point at T1."
        save(file, good + "x")
        look(notes)
        assert notes.file_problem.startswith("small.toml:")
        assert notes.pages.page.note == "Point at T1."


def test_pages_that_are_gone_leave_the_last_one_open() -> None:
    pages = Pages(parse(TALK, "/nowhere/t.toml"))
    pages.turn(99)
    shorter = parse(TALK[: TALK.rindex("[[scene]]")], "/nowhere/t.toml")
    assert pages.renewed(shorter).at == len(pages.pages) - 2


def test_every_file_that_a_talk_is_made_of_is_watched(file: Path) -> None:
    assert {path.name for path in files_of_talk(open_talk(str(file)))} == {
        "small.toml", "race.toml",
    }  # fmt: skip
