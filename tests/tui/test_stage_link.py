"""The link between stage and notes: who may listen, what is told, what comes when one dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pfviz.tui import stage_link
from pfviz.tui.stage_link import FILE, HOST, Heard, StageFollower, StageLink


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_link, "RETRY_S", 0.02)
    monkeypatch.setattr(stage_link, "BEAT_S", 0.05)


async def heard_until(heard: list[Heard], wanted: Any) -> None:
    async with asyncio.timeout(5):
        while not any(wanted(one) for one in heard):
            await asyncio.sleep(0.01)


def has(heard: Heard, **wanted: object) -> bool:
    """Whether a state was heard with these values in it."""
    state = heard.state or {}
    return all(state.get(name) == value for name, value in wanted.items())


async def test_the_talk_has_begun_when_it_leaves_its_beginning_or_when_the_speaker_says_so(
    tmp_path: Path,
) -> None:
    link = StageLink(print, tmp_path)
    await link.open()
    link.tell({"scene": 1, "station": 0})
    link.tell({"scene": 1, "station": 0, "blank": True})
    assert link.elapsed_s == 0.0
    link.tell({"scene": 1, "station": 1})
    await asyncio.sleep(0.15)
    elapsed_s = link.elapsed_s
    assert elapsed_s >= 0.1
    heard: list[Heard] = []
    follower = StageFollower(heard.append, tmp_path)
    following = asyncio.create_task(follower.follow())
    await heard_until(heard, lambda one: has(one, began=True))
    assert follower.ask(stage_link.RESTART_CLOCK)
    await heard_until(heard, lambda one: (one.state or {"elapsed_s": 9})["elapsed_s"] < elapsed_s)
    following.cancel()
    await link.close()


async def test_notes_hear_what_the_stage_tells_and_may_answer(tmp_path: Path) -> None:
    asked: list[str] = []
    heard: list[Heard] = []
    link, follower = StageLink(asked.append, tmp_path), StageFollower(heard.append, tmp_path)
    following = asyncio.create_task(follower.follow())
    await heard_until(heard, lambda one: one.why == "no stage is running")
    assert not follower.ask("next")
    await link.open()
    link.tell({"scene": 1, "station": 0})
    await heard_until(heard, lambda one: has(one, scene=1, station=0, began=False))
    link.tell({"scene": 2, "station": 1})
    await heard_until(heard, lambda one: has(one, scene=2, station=1, began=True))
    assert follower.ask("next")
    assert follower.ask("rm -rf /")
    assert follower.ask("previous")
    async with asyncio.timeout(5):
        while len(asked) < 2:
            await asyncio.sleep(0.01)
    assert asked == ["next", "previous"]
    await link.close()
    assert not (tmp_path / FILE).exists()
    heard.clear()
    await heard_until(heard, lambda one: one.state is None)
    again = StageLink(asked.append, tmp_path)
    await again.open()
    again.tell({"scene": 3})
    await heard_until(heard, lambda one: has(one, scene=3))
    following.cancel()
    await again.close()


async def test_only_who_can_read_the_file_is_told_anything(tmp_path: Path) -> None:
    asked: list[str] = []
    link = StageLink(asked.append, tmp_path)
    await link.open()
    link.tell({"note": "private"})
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    port = json.loads(path.read_text())["port"]
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    for hello in (b'{"secret": "guess"}\n{"do": "next"}\n', b"[]\n", b"GET / HTTP/1.1\r\n\r\n",
                  b"x" * 200_000 + b"\n", b"[" * 60_000 + b"\n", b'{"secret": "\\ud800"}\n',
                  b'{"secret": []}\n', b"\xff\n"):  # fmt: skip
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(hello)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    assert asked == []
    assert link.followers == 0
    assert complaints == [], "nothing may be printed over the talk"
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection("127.0.0.2", port)  # It listens on one address alone.
    await link.close()


async def test_a_stage_that_ends_leaves_the_file_of_a_later_one_alone(tmp_path: Path) -> None:
    first, second = StageLink(print, tmp_path), StageLink(print, tmp_path)
    await first.open()
    await second.open()
    await first.close()
    assert (tmp_path / FILE).exists()
    await second.close()
    assert not (tmp_path / FILE).exists()


async def test_a_link_that_cannot_be_opened_says_so_and_is_silent(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    link = StageLink(print, blocked)
    await link.open()
    assert link.error.startswith("notes cannot follow")
    link.tell({"scene": 1})
    await link.close()


async def test_a_file_left_by_a_stage_that_died_does_not_stop_the_notes(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"port": 1, "secret": "x"}')
    heard: list[Heard] = []
    following = asyncio.create_task(StageFollower(heard.append, tmp_path).follow())
    await heard_until(heard, lambda one: one.why == "the stage does not answer")
    for text in ("{", "[" * 60_000, '{"port": 99999999999, "secret": "x"}', '{"port": "x"}', "[]"):
        (tmp_path / FILE).write_text(text)
        heard.clear()
        await heard_until(heard, lambda one: one.why == "the stage does not answer")
    link = StageLink(print, tmp_path)
    await link.open()
    link.tell({"scene": 1})
    await heard_until(heard, lambda one: has(one, scene=1))
    following.cancel()
    await link.close()


async def test_a_stage_that_says_nothing_any_more_is_called_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_link, "SILENCE_S", 0.05)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / FILE).write_text(json.dumps({"port": port, "secret": "x"}))
    heard: list[Heard] = []
    following = asyncio.create_task(StageFollower(heard.append, tmp_path).follow())
    await heard_until(heard, lambda one: one.why == "the stage is silent")
    following.cancel()
    server.close()
