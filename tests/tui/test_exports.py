"""`e` in the lab: a format is chosen, the file is written whole while the lab goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pfviz.report import jsonl
from pfviz.report.formats import FORMATS, format_named
from pfviz.report.recording import record
from pfviz.report.source import open_source
from pfviz.trace.read_log import read_log
from pfviz.tui.app import LabApp
from pfviz.tui.export_job import ExportJob
from pfviz.tui.screens.choice import Choice
from pfviz.tui.sources import run_of

from .screen_text import lab_of, settle, text_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_e_writes_the_run_that_is_watched_and_says_where(elsewhere: Path) -> None:
    app = LabApp(run=run_of(open_source("hello-fault")), play=False)
    async with app.run_test(size=(100, 32)) as pilot:
        await settle(pilot)
        await pilot.press("e")
        await pilot.pause(0.1)
        choice = app.screen
        assert isinstance(choice, Choice)
        assert [name for name, _ in choice.options] == [one.name for one in FORMATS]
        choice.dismiss([one.name for one in FORMATS].index("jsonl"))
        await pilot.pause(0.1)
        job = lab_of(app).export_job
        assert job is not None
        for _ in range(100):
            if job.done:
                break
            await pilot.pause(0.05)
        await settle(pilot)
        assert job.outcome.startswith(f"Saved {elsewhere / 'hello-fault.jsonl'}")
        assert "Saved" in text_of(app)
    log = read_log(elsewhere / "hello-fault.jsonl")
    assert log.digest() == record(open_source("hello-fault")).log.digest()


def job_for(name: str, position: int = 0) -> ExportJob:
    run = run_of(open_source("hello-fault"))
    run.prepare()
    while not run.finished:
        run.advance(0.1)
    return ExportJob(format_named(name), run, position)


def test_a_second_file_gets_another_name(elsewhere: Path) -> None:
    for _ in range(2):
        asyncio.run(job_for("csv").run())
    assert sorted(path.name for path in elsewhere.iterdir()) == [
        "hello-fault-2.csv",
        "hello-fault.csv",
    ]


def test_an_export_that_is_stopped_leaves_nothing(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for("jsonl")

    def pieces(_recording: object) -> object:
        yield 10, b"half"
        job.cancel()
        yield 20, b"more"

    monkeypatch.setattr(jsonl, "pieces", pieces)
    asyncio.run(job.run())
    assert job.done
    assert list(elsewhere.iterdir()) == []
    assert job.outcome == "The export was stopped; nothing was written."


def test_what_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for("jsonl")

    def pieces(_recording: object) -> object:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(jsonl, "pieces", pieces)
    asyncio.run(job.run())
    assert job.outcome == "The export failed: No space left on device."


async def test_an_exported_run_plays_again_step_by_step(elsewhere: Path) -> None:
    job = job_for("jsonl")
    await job.run()
    app = LabApp(run=run_of(open_source(str(elsewhere / "hello-fault.jsonl"))), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab = lab_of(app)
        await pilot.press("right", "right", "right")
        await settle(pilot)
        assert lab.player.run.count() == job.run_shown.count()
        assert "a recorded run · Linux" in text_of(app)
        assert lab.player.units[0] == "step"
