"""What was played lately: remembered, shown on top of the gallery, and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pfviz.cli import cli
from pfviz.config.settings import Settings
from pfviz.places import state_home
from pfviz.report.source import open_source
from pfviz.scenario.overrides import Overrides
from pfviz.tui.app import LabApp
from pfviz.tui.recent import (
    CAPTURE,
    KEPT_MAX,
    TALK,
    Recent,
    forget,
    recent_file,
    recents,
    remember,
    reopened,
)
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.stage import Stage
from pfviz.tui.sources import entries, run_of
from tests.tui.runs import CAPTURE as CAPTURE_FILE
from tests.tui.runs import RACE
from tests.tui.screen_text import lab_of, settle, text_of


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where nothing is remembered yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "pfviz"


def app_at(source: str, overrides: Overrides | None = None) -> LabApp:
    app = LabApp(
        run=run_of(open_source(source, overrides or Overrides())), entries=entries(), play=False
    )
    app.settings = Settings()
    return app


def test_the_newest_stands_first_and_nothing_twice(state: Path) -> None:
    for name in ("hello-fault", "two-mallocs", "hello-fault"):
        remember(Recent(name, name))
    assert [one.source for one in recents()] == ["hello-fault", "two-mallocs"]
    assert recent_file().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.iterdir()] == ["recent.json"]
    forget()
    assert recents() == ()


def test_what_is_gone_is_left_out_and_the_list_stays_short(tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    gone.write_text(RACE)
    remember(Recent(str(gone), "Gone"))
    remember(Recent("no-such-scenario", "Never there"))
    remember(Recent("public/none", "No such capture", CAPTURE))
    assert [one.title for one in recents()] == ["Gone"]
    gone.unlink()
    assert recents() == ()
    for number in range(KEPT_MAX + 5):
        remember(Recent(f"scenario-{number}", ""))
    assert recent_file().read_text().count('"source"') == KEPT_MAX


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"recent": 3}', b"\xff\x00", b"[" * 100_000])
def test_a_damaged_file_is_as_good_as_none(state: Path, text: bytes) -> None:
    state.mkdir(parents=True)
    recent_file().write_bytes(text)
    assert recents() == ()
    remember(Recent("hello-fault", "Hello"))
    assert len(recents()) == 1


def test_a_list_that_cannot_be_written_whole_leaves_the_one_before(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(Recent("hello-fault", "Hello"))
    before = recent_file().read_bytes()

    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("msgspec.json.format", full)
    remember(Recent("two-mallocs", "Two"))
    assert recent_file().read_bytes() == before
    assert [path.name for path in state.iterdir()] == ["recent.json"]


def test_a_source_that_no_file_can_have_is_left_out(state: Path) -> None:
    remember(Recent("hello-fault", "Hello"))
    for kind in (CAPTURE, TALK, "scenario"):
        for source in ("a" * 5_000, f"/{'a' * 5_000}", "~nobody-of-that-name/x", "\0"):
            remember(Recent(source, "Odd", kind))
    assert [one.source for one in recents()] == ["hello-fault"]
    assert state.is_dir()


def test_a_home_that_cannot_be_written_is_no_reason_to_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember(Recent("hello-fault", "Hello"))
    assert recents() == ()
    assert not state_home().exists()


async def test_a_scenario_is_gone_on_with_as_it_was_changed_and_where_it_was_left() -> None:
    app = app_at("two-mallocs", Overrides(kernel="6.18", seed=7))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab_of(app).player.go(2_000)
        app.exit()
    assert app.return_code == 0
    (one,) = recents()
    assert (one.source, one.kind) == ("two-mallocs", "scenario")
    assert "Linux 6.18" in one.about
    again = LabApp(run=run_of(reopened(one)), play=False)
    async with again.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        player = lab_of(again).player
        assert player.index == 2_000
        assert player.run.recipe is not None
        assert player.run.recipe.overrides.seed == 7


async def test_the_gallery_begins_with_it_and_enter_goes_on() -> None:
    app = app_at("two-mallocs")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab_of(app).player.go(2_000)
        app.leave_screen()
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, Gallery)
        gallery = app.screen
        assert text_of(app).index("Recent") < text_of(app).index("Begin here")
        gallery.query_one("#titles").highlighted = 1  # type: ignore[attr-defined]
        await pilot.press("enter")
        for _ in range(100):
            await pilot.pause(0.02)
            if isinstance(app.screen, Lab):
                break
        await settle(pilot)
        assert lab_of(app).player.index == 2_000


async def test_a_capture_is_gone_on_with_too(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt.gz"
    shutil.copy(CAPTURE_FILE, path)
    app = app_at(str(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab_of(app).player.go(500)
        app.exit()
    (one,) = recents()
    assert (one.source, one.kind, one.events) == (str(path), CAPTURE, 500)
    again = LabApp(run=run_of(reopened(one)), play=False)
    async with again.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert lab_of(again).player.index == 500


async def test_a_talk_is_given_again() -> None:
    talk = Path(__file__).parent.parent / "data" / "talks" / "small.toml"
    remember(Recent(str(talk), "A small talk", TALK))
    app = LabApp(entries=entries())
    app.settings = Settings()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "A small talk" in text_of(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, Stage)


def test_the_command_line_lists_what_was_played() -> None:
    run = CliRunner()
    assert "Nothing has been played yet" in run.invoke(cli, ["play", "--recent"]).output
    assert run.invoke(cli, ["play", "--last"]).exit_code == 2
    assert "SOURCE is missing" in run.invoke(cli, ["play"]).output
    remember(Recent("two-mallocs", "Two mallocs", about="left at 2 ms"))
    assert "two-mallocs  Two mallocs: left at 2 ms" in run.invoke(cli, ["play", "--recent"]).output
    assert "Two mallocs, one VMA" in run.invoke(cli, ["play", "--last"]).output
    assert run.invoke(cli, ["play", "--last", "hello-fault"]).exit_code == 2
