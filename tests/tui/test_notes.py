"""The notes follow the stage and turn it; without one they are paged by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pfviz.scenario.talk_load import parse
from pfviz.tui import stage_link
from pfviz.tui.app import LabApp
from pfviz.tui.notes_pages import Pages
from pfviz.tui.screens.notes import Notes
from pfviz.tui.stage_link import StageLink
from pfviz.tui.stage_show import Show
from pfviz.tui.stage_state import state_of

TALK = """\
schema_version = 1
title = "t"
minutes = 10
[[scene]]
title = "one"
minutes = 4
say = "begin"
note = "hello"
scenario = "fault-storm"
[[scene.stop]]
at = "1us"
say = "first"
note = "say first"
[[scene.question]]
at = "2us"
ask = "Why?"
answers = ["a", "b"]
right = 2
why = "so"
[[scene.stop]]
at = "3us"
pause = false
note = "and on"
[[scene]]
title = "two"
say = "the end"
"""
GONE = "the stage does not answer"
STATE = {"talk": "/nowhere/t.toml", "scene": 1, "station": 0, "reached": 0, "asked": -1}


def pages() -> Pages:
    return Pages(parse(TALK, "/nowhere/t.toml"))


def test_pages_are_in_the_order_of_the_file() -> None:
    opened = pages()
    assert [(page.caption, page.note) for page in opened.pages] == [
        ("begin", "hello"), ("first", "say first"), ("Why?", ""), ("first", "and on"),
        ("the end", ""),
    ]  # fmt: skip
    opened.turn(1)
    moment = opened.moment()
    assert (moment.caption, moment.following, moment.place) == ("first", "Why?", "1 of 3")
    assert moment.coming is not None
    opened.turn(99)
    assert opened.moment().following == ""
    opened.turn(-99)
    assert opened.page.caption == "begin"


def test_the_stage_turns_them_also_to_a_question() -> None:
    opened = pages()
    opened.follow(STATE | {"reached": 1, "caption": "as seen", "next": "after", "station": 1})
    assert opened.page.number == 1
    assert (opened.moment().caption, opened.moment().following) == ("as seen", "after")
    opened.follow(STATE | {"reached": 1, "asked": 0})
    assert opened.moment().asked is not None
    opened.follow(STATE | {"scene": 2, "blank": True})
    assert opened.moment().said == "the screen is blank"
    opened.follow(STATE | {"talk": "/other.toml", "scene": 1})
    assert opened.page.scene.number == 2, "another talk turns no page"
    opened.follow({"scene": None, "talk": "/nowhere/t.toml", "reached": "x", "asked": "y"})
    assert opened.page.scene.number == 2


def test_while_a_title_stands_alone_the_beginning_of_its_scene_is_what_comes_next() -> None:
    opened = pages()
    opened.follow(STATE | {"kind": "card", "caption": "one", "next": ""})
    moment = opened.moment()
    assert (moment.caption, moment.note, moment.following) == ("one", "hello", "begin")
    assert [text for _, text in moment.later] == ["first", "Why?", "first", "the end"]
    opened.follow(STATE | {"kind": "begin", "caption": "begin", "next": ""})
    assert opened.moment().following == "first"
    opened.follow(STATE | {"scene": 2, "kind": "card", "caption": "the end", "next": ""})
    assert opened.moment().following == "", "words alone are read at once"


def test_the_stage_tells_of_a_title_while_it_stands_alone() -> None:
    talk = parse(TALK, "/nowhere/t.toml")
    first, words_only = talk.scenes
    show = Show(replace(talk, scenes=(replace(first, card=True),)))
    told = state_of(show, is_blank=False, is_manual=False)
    assert (told["kind"], told["caption"]) == ("card", "one")
    show = Show(replace(talk, scenes=(words_only,)))
    told = state_of(show, is_blank=False, is_manual=False)
    assert (told["kind"], told["caption"]) == ("card", "the end")


@pytest.mark.parametrize(
    ("page", "elapsed_s", "behind_s"),
    [(0, 30, 0), (0, 90, 30), (1, 30, -30), (1, 100, 0), (4, 240, 0), (4, 200, -40)],
)
def test_behind_is_later_than_the_page_may_last(
    page: int, elapsed_s: float, behind_s: float
) -> None:
    opened = pages()
    opened.turn(page)
    assert opened.behind_s(elapsed_s) == pytest.approx(behind_s)


async def test_notes_follow_a_stage_that_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(stage_link, "RETRY_S", 0.05)
    asked: list[str] = []
    app = LabApp(notes=parse(TALK, "/nowhere/t.toml"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, Notes)

        async def until(wanted: str) -> None:
            async with asyncio.timeout(8):
                while wanted not in shown():
                    await pilot.pause(0.02)

        def shown() -> str:
            return "\n".join(
                "".join(text for text, _ in row) for row in screen.query_one("#notes").rows
            )

        await until("no stage is running: paged by hand")
        await pilot.press("pagedown")
        await until("say first")
        link = StageLink(asked.append)
        await link.open()
        link.tell(STATE | {"scene": 2, "caption": "from the stage"})
        await until("from the stage")
        await pilot.press("space", "pageup")
        async with asyncio.timeout(8):
            while len(asked) < 2:
                await pilot.pause(0.02)
        assert asked == ["next", "previous"]
        await pilot.press("r")
        await until("The clock runs from now on.")
        await link.close()
        screen.say("")
        await until("paged by hand")
        await pilot.press("pageup")
        await until("and on")


@pytest.mark.parametrize("leaves", [False, True])
async def test_the_clock_goes_on_over_a_stage_that_dies_but_not_over_one_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(stage_link, "RETRY_S", 0.02)
    where = stage_link.state_home() / stage_link.FILE
    app = LabApp(notes=parse(TALK, "/nowhere/t.toml"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, Notes)

        async def until(wanted: Callable[[], bool]) -> None:
            async with asyncio.timeout(8):
                while not wanted():
                    await pilot.pause(0.02)

        first = StageLink(print)
        await first.open()
        first.tell(STATE)
        first.tell(STATE | {"station": 1})
        await until(lambda: screen.elapsed_s > 0.2)
        told = where.read_text(encoding="utf-8")
        await first.close()
        if not leaves:
            where.write_text(told, encoding="utf-8")  # Who is killed takes nothing away.
        await until(lambda: screen.why == ("no stage is running" if leaves else GONE))
        again = StageLink(print)
        await again.open()
        again.tell(STATE)
        await until(lambda: not screen.why)
        if leaves:
            assert (screen.elapsed_s, again.elapsed_s) == (0.0, 0.0)
        else:
            await until(lambda: again.elapsed_s > 0.2)
            assert screen.elapsed_s > 0.2
        await again.close()
