"""The gallery: shelves on which a stranger finds a way in, and stories that are never cut off."""

from pathlib import Path

import pytest
from textual.widgets import OptionList

from pfviz.scenario.load import bundled
from pfviz.scenario.talk_load import talk_names
from pfviz.tui.app import LabApp
from pfviz.tui.screens import gallery as gallery_screen
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.matrix import Matrix
from pfviz.tui.screens.stage import Stage
from pfviz.tui.shelves import (
    BEGIN,
    MATRIX,
    MATRIX_ENTRY,
    OWN,
    RECORDED,
    SHELVES,
    TALKS,
    arranged,
)
from pfviz.tui.sources import Entry, entries

from .screen_text import settle, text_of

SIZES = ((80, 24), (120, 40), (200, 60))


def gallery_of(app: LabApp) -> Gallery:
    assert isinstance(app.screen, Gallery)
    return app.screen


def flat(app: LabApp) -> str:
    return " ".join(text_of(app).split())


@pytest.mark.parametrize("size", SIZES)
async def test_it_begins_with_the_first_lesson_on_the_first_shelf(size: tuple[int, int]) -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        assert BEGIN in text_of(app)
        assert "mmap_lock and VMA locks" in text_of(app)
        current = gallery_of(app).current()
        assert current is not None
        assert current.name == "hello-fault"


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_story_is_whole_or_says_that_it_goes_on(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_screen, "PREVIEW_DELAY_S", 600.0)  # Stories alone, and sooner.
    app = LabApp(entries=entries())
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.2)
        gallery = gallery_of(app)
        for _ in range(len(gallery.shown)):
            await pilot.press("down")
            await pilot.pause(0.02)
            entry = gallery.current()
            assert entry is not None, "the cursor stands on a shelf's name"
            rows = gallery.panes["text"].rows
            told = " ".join("".join(text for text, _ in row).strip() for row in rows).strip()
            story = " ".join(entry.story.split())
            assert told == story or told.endswith("… shift+↓"), entry.name
            assert story.startswith(told.partition(" …")[0])


async def test_a_long_story_scrolls_to_its_end() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"beyond")
        await pilot.pause(0.3)
        entry = gallery_of(app).current()
        assert entry is not None
        assert "shift+↓" in text_of(app)
        await pilot.press(*["shift+down"] * 20)
        await pilot.pause(0.2)
        assert "shift+↓" not in text_of(app)
        assert entry.story.split()[-1] in flat(app)


async def test_the_matrix_stands_among_the_first_things_and_opens() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"matrix")
        await pilot.pause(0.3)
        assert "every fault, every kernel" in flat(app)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Matrix)


async def test_a_filter_leaves_only_shelves_with_something_on_them() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*"userfaultfd")
        await pilot.pause(0.3)
        titles = gallery_of(app).query_one("#titles", OptionList)
        assert titles.option_count < 12
        assert "Device drivers" not in text_of(app)
        await pilot.press(*"zzzz")
        await pilot.pause(0.3)
        assert "Nothing matches" in text_of(app)


async def test_a_scenario_that_cannot_be_opened_says_why() -> None:
    broken = Entry("broken", "Broken", "", "/nowhere/broken.toml", "line 3: no such key")
    app = LabApp(entries=(*entries(), broken))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"broken")
        await pilot.pause(0.3)
        assert OWN in text_of(app)
        assert "Cannot be opened: line 3: no such key" in flat(app)


# What stands where


def test_everything_stands_on_one_shelf() -> None:
    shelves = arranged((*entries(), MATRIX_ENTRY))
    names = [entry.name for _, stand in shelves for entry in stand]
    assert sorted(names) == sorted(entry.name for entry in (*entries(), MATRIX_ENTRY))
    assert shelves[-1][0] == RECORDED


def test_a_shelf_names_only_what_there_is_and_once() -> None:
    named = [name for _, names in SHELVES for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= {path.stem for path in bundled()} | {MATRIX} | set(talk_names())


def test_ones_own_files_stand_on_a_shelf_of_their_own(tmp_path: Path) -> None:
    mine = Entry("hello-fault", "Mine", "", str(tmp_path / "hello-fault.toml"))
    assert arranged([mine]) == [(OWN, [mine])]


async def test_a_stranger_finds_the_talks_and_gives_one() -> None:
    shelf = next(stand for shelf, stand in arranged(entries()) if shelf == TALKS)
    assert [entry.name for entry in shelf] == ["talk-3min", "talk"]
    app = LabApp(entries=entries())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*"talk-3min")
        await settle(pilot)
        assert "A talk of 3 minutes" in text_of(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, Stage)
