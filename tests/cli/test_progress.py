"""The line on standard error while long work goes on."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest

from pfviz.cli.output import Complaint, write
from pfviz.cli.progress import PATIENCE_S, Progress, make_room
from pfviz.report.run import Runs
from pfviz.report.source import open_scenario
from pfviz.scenario.overrides import Overrides

ENDLESS = """
schema_version = 1
title = "x"
until = "1000s"
[[thread]]
name = "a"
[thread.workload]
name = "compute"
rounds = 0
"""


class Clock:
    """A clock that is set by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("PFVIZ_ASCII", raising=False)
    return Clock()


def told_at(seconds: float, clock: Clock, progress: Progress, done: int, total: int) -> None:
    clock.now_s = 100.0 + seconds
    progress(done, total)


def test_short_work_says_nothing(clock: Clock) -> None:
    shown = io.StringIO()
    progress = Progress("running x", stream=shown, now=clock)
    told_at(PATIENCE_S / 2, clock, progress, 9, 10)
    assert not shown.getvalue()


def test_the_line_says_what_how_far_how_long_and_how_to_stop(clock: Clock) -> None:
    shown = io.StringIO()
    progress = Progress("running x", stream=shown, now=clock)
    told_at(2.0, clock, progress, 1, 4)
    line = shown.getvalue()
    assert line.startswith("\rrunning x  ━━━━━───────────────   25%  6 s left  ctrl-C stops")
    assert line.endswith("\x1b[K")
    progress.clear()
    assert shown.getvalue().endswith("\r\x1b[K")


def test_without_a_total_it_counts(clock: Clock) -> None:
    shown = io.StringIO()
    progress = Progress("reading a pipe", "lines", shown, clock)
    told_at(2.0, clock, progress, 24_000, 0)
    assert "reading a pipe  24,000 lines, 12,000 a second  ctrl-C stops" in shown.getvalue()


def test_the_share_never_falls_and_parts_are_shares_of_the_whole(clock: Clock) -> None:
    progress = Progress("", now=clock)
    second = progress.part(1, 4, "second")
    second(1, 2)
    assert " 38%" in progress.line(0, 1, 0.0, 80)


def test_it_is_redrawn_seldom_and_fits_narrow_terminals(clock: Clock) -> None:
    shown = io.StringIO()
    progress = Progress("checking a scenario with a long name", stream=shown, now=clock)
    for tick in range(100):
        told_at(1.0 + tick / 1000, clock, progress, tick, 100)
    assert shown.getvalue().count("\r") == 1
    assert all(len(progress.line(1, 2, 9.0, width)) <= width for width in range(80))


def test_a_dumb_terminal_gets_one_plain_line(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    shown = io.StringIO()
    progress = Progress("running x", stream=shown, now=clock)
    for seconds in (1, 2, 3):
        told_at(seconds, clock, progress, seconds, 10)
    progress.clear()
    assert shown.getvalue() == "pfviz: running x; ctrl-C stops\n"


def test_a_run_tells_how_much_of_its_work_is_done_and_is_the_same_run() -> None:
    scenario = open_scenario("fault-storm")
    heard: list[tuple[int, int]] = []
    silent = Runs(scenario).finish(with_claims=False).object["digest"]
    told = Runs(scenario, told=lambda *far: heard.append(far)).finish(with_claims=False)
    assert told.object["digest"] == silent
    shares = [done / total for done, total in heard]
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_run_of_endless_work_tells_its_time(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(ENDLESS)
    heard: list[tuple[int, int]] = []
    runs = Runs(open_scenario(str(path)), told=lambda *far: heard.append(far))
    runs.finish(Overrides(until_ns=1_000_000), with_claims=False)
    assert heard[-1][1] > 0
    assert heard[-1][0] / heard[-1][1] > 0.9


def test_a_file_is_replaced_by_a_whole_one_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(AttributeError):
        write(None, str(path))  # type: ignore[arg-type]
    assert path.read_text() == "old"
    write("new", str(path))
    assert [one.name for one in tmp_path.iterdir()] == ["out.json"]
    assert path.read_text() == "new"
    with pytest.raises(Complaint, match="cannot be written"):
        write("x", str(tmp_path / "no" / "such" / "folder"))


def test_making_room_without_any_work_is_fine() -> None:
    make_room()


@pytest.mark.terminal
def test_ctrl_c_leaves_a_clean_terminal_no_file_and_130(tmp_path: Path) -> None:
    path = tmp_path / "endless.toml"
    path.write_text(ENDLESS)
    out = tmp_path / "out.json"
    said = pexpect.spawn(
        sys.executable, ["-m", "pfviz", "run", str(path), "--json", "-o", str(out)],
        env={**os.environ, "TERM": "xterm"}, dimensions=(24, 80), timeout=30,
    )  # fmt: skip
    said.expect("running endless .*ctrl-C stops")
    said.sendintr()
    said.expect(pexpect.EOF)
    said.close()
    assert b"\r\x1b[K" in said.before
    assert said.before.rstrip().endswith(b"interrupted")
    assert said.exitstatus == 130
    assert not out.exists()


@pytest.mark.terminal
def test_quiet_shows_no_line(tmp_path: Path) -> None:
    path = tmp_path / "endless.toml"
    path.write_text(ENDLESS)
    said = pexpect.spawn(
        sys.executable, ["-m", "pfviz", "run", "-q", str(path)],
        env={**os.environ, "TERM": "xterm"}, dimensions=(24, 80), timeout=30,
    )  # fmt: skip
    time.sleep(2.0)
    said.kill(signal.SIGINT)
    said.expect(pexpect.EOF)
    assert b"running" not in said.before
