"""What people do with the app, by keyboard, from the gallery to the lab and back."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from pfviz.report.source import Source, open_scenario
from pfviz.tui import keys
from pfviz.tui.app import LabApp
from pfviz.tui.keymap import laid_over
from pfviz.tui.keys import KEYS
from pfviz.tui.screens.choice import Choice
from pfviz.tui.screens.compare import Compare
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.help import Help
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.prompt import Prompt
from pfviz.tui.sources import entries, run_of
from pfviz.views.workload_position import WorkloadPosition

from .runs import capture, race
from .screen_text import lab_of, settle, text_of

SIZE = (120, 40)


def app_of(**options: object) -> LabApp:
    return LabApp(run=race(), play=False, **options)  # type: ignore[arg-type]


async def typed(pilot: Pilot[None], text: str) -> None:
    names = {" ": "space", ">": "greater_than_sign", ".": "full_stop"}
    await pilot.press(*(names.get(char, char) for char in text))


async def test_a_stranger_finds_a_scenario_and_plays_it() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(0.6)
        assert isinstance(app.screen, Gallery)
        assert "Hello, fault" in text_of(app)
        assert "Preview" in text_of(app)
        await typed(pilot, "hello")
        await pilot.pause()
        assert [entry.name for entry in app.screen.shown] == ["hello-fault"]
        await pilot.press("enter")
        for _ in range(100):
            await pilot.pause(0.05)
            if isinstance(app.screen, Lab):
                break
        lab = lab_of(app)
        before = lab.player.index
        await pilot.pause(0.8)
        assert lab.player.playing
        assert lab.player.index > before
        await pilot.press("space", "escape")  # Paused, the run has nothing to say in between.
        await pilot.pause()
        assert isinstance(app.screen, Lab)
        assert "Esc again leaves" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Gallery)


async def test_escape_ends_a_search_before_it_asks_to_leave() -> None:
    app = LabApp(run=race(), entries=entries(), play=False)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        lab_of(app).player.search("munmap")
        await settle(pilot)
        await pilot.press("z", "escape")
        assert lab_of(app).player.marks.hits is None
        assert lab_of(app).zoomed
        await pilot.press("escape")
        assert not lab_of(app).zoomed
        await pilot.press("escape", "right", "escape")
        assert isinstance(app.screen, Lab)  # A key in between takes the question back.
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Gallery)


async def test_ctrl_c_quits_as_an_interrupt_does() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert app.return_code == 130


async def test_compare_begins_where_the_lab_stood_and_stays_paused() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("f", "f")
        await settle(pilot)
        place = WorkloadPosition.of(lab_of(app).player)
        await pilot.press("equals_sign")
        await settle(pilot)
        assert isinstance(app.screen, Compare)
        assert WorkloadPosition.of(app.screen.race.leader) == place
        assert not app.screen.race.leader.playing


async def test_a_step_and_a_step_back_show_the_same_screen() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for _ in range(12):
            await pilot.press("right")
        await settle(pilot)
        panes = {name: pane.rows for name, pane in lab_of(app).panes.items() if pane.number}
        await pilot.press("l", "h")
        await settle(pilot)
        assert "PAST" in text_of(app)
        assert {n: p.rows for n, p in lab_of(app).panes.items() if p.number} == panes


async def test_the_mode_changes_at_the_same_place_and_says_so() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("f", "f", "f")
        await settle(pilot)
        await pilot.press("m")
        await settle(pilot)
        lab = lab_of(app)
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.mode == "lockless"
        assert lab.player.run.timeline.count(lab.player.index, "fault") == 3
        assert "Now lockless, started again with the same seed 1." in text_of(app)


async def test_modes_are_compared_and_left_again() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("equals_sign")
        await pilot.pause(1.0)
        assert isinstance(app.screen, Compare)
        screen = text_of(app)
        for words in ("mmap_lock", "per-VMA", "lockless", "To get here", "First divergence"):
            assert words in screen
        await pilot.press("space", "D")
        await settle(pilot)
        faults = [p.run.timeline.count(p.index, "operation") for p in app.screen.players()]
        assert len(set(faults)) == 1
        await pilot.press("equals_sign")
        await pilot.pause()
        assert isinstance(app.screen, Lab)


async def test_every_size_is_a_clean_picture() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        sizes = [(200, 60), (80, 24), (1, 1), (1, 24), (40, 10), (24, 6), (60, 50), (300, 20)]
        for size in (*sizes, *reversed(sizes)):
            await pilot.resize_terminal(*size)
            await pilot.press("right")
            lines = text_of(app).split("\n")
            assert len(lines) == size[1]
            assert all(len(line) == size[0] for line in lines)


async def test_one_column_says_that_it_is_too_little() -> None:
    app = app_of()
    async with app.run_test(size=(1, 12)) as pilot:
        await settle(pilot)
        assert "".join(text_of(app).split()) == "toosmall"
        await pilot.resize_terminal(*SIZE)
        await pilot.pause(0.1)
        assert "1 Threads" in text_of(app)


async def test_a_small_screen_shows_the_pane_that_is_asked_for() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "2 Lock wait queues" in text_of(app)
        await pilot.press("7")
        await pilot.pause()
        assert "7 Counters" in text_of(app)
        assert "Lock wait queues" not in text_of(app)
        await pilot.press("z")
        await pilot.pause()
        assert lab_of(app).plan.visible == ("counters",)
        await pilot.press("escape")
        await pilot.pause()
        assert "1 Threads ─" in text_of(app)


async def test_a_wrong_condition_can_be_mended() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("b")
        await pilot.pause()
        await typed(pilot, "stp x")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, Prompt)
        assert "nearest: 'step'" in text_of(app)
        await pilot.press("ctrl+u")
        await typed(pilot, "fallback")
        await pilot.press("enter")
        await pilot.pause()
        assert [point.text for point in lab_of(app).player.marks.breakpoints] == ["fallback"]
        assert "Play will stop when" in text_of(app)


async def test_the_viewer_decides_who_runs() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("f", "c")
        await settle(pilot)
        assert isinstance(app.screen, Choice)
        position = app.screen_stack[-2].player.index  # type: ignore[attr-defined]
        await pilot.press("1" if app.screen.current else "2")
        await settle(pilot)
        lab = lab_of(app)
        assert lab.player.run.recipe is not None
        assert len(lab.player.run.recipe.overrides.choices) == 1
        assert lab.player.index == position
        assert "runs first now" in text_of(app)


async def test_help_names_every_key() -> None:
    app = app_of()
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Help)
        assert "How to read the screen" in text_of(app)
        seen = ""
        for _ in range(40):
            seen += text_of(app)
            await pilot.press("pagedown")
        for key in KEYS:
            assert keys.spelled(key.keys) in seen, key.id
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Lab)


async def test_the_palette_offers_every_action() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert any(title.startswith("compare") for title in titles)
        assert any("(m)" in title for title in titles)
        await pilot.press("ctrl+p")
        await pilot.pause(0.2)
        await typed(pilot, "maximise")
        await pilot.pause(0.4)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert lab_of(app).zoomed


async def test_what_a_recording_cannot_do_is_said() -> None:
    app = LabApp(run=capture(), play=False)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for key in ("m", "K", "P", "c", "R", "equals_sign"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, Lab)
            assert "recording of a real kernel" in text_of(app), key
        await pilot.press("right", "right", "left")
        await settle(pilot)
        assert "PAST" in text_of(app)


async def test_nothing_is_painted_while_paused() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        while lab_of(app).work(0.05):
            pass
        await pilot.pause(0.3)
        lab = lab_of(app)
        before = lab.frames, sum(pane.repainted_lines for pane in lab.panes.values())
        await pilot.pause(0.5)
        assert (lab.frames, sum(p.repainted_lines for p in lab.panes.values())) == before


async def test_the_gallery_rests_while_the_lab_is_seen() -> None:
    app = LabApp(run=race(), entries=entries(), play=False)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.pause(0.6)
        gallery = app.screen_stack[-2]
        assert isinstance(gallery, Gallery)
        before = gallery.frames
        await pilot.pause(0.6)
        assert gallery.frames == before


async def test_the_frame_rate_has_a_cap() -> None:
    app = LabApp(run=race(), play=True, fps=5)
    async with app.run_test(size=SIZE) as pilot:
        lab = lab_of(app)
        before = lab.frames
        await pilot.pause(1.0)
        assert 1 <= lab.frames - before <= 7


async def test_a_screenshot_is_saved_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("s", "s")
        await pilot.pause()
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["pfviz-1.svg", "pfviz-2.svg"]
        assert "Threads" in (tmp_path / "pfviz-1.svg").read_text()


async def test_the_theme_changes_and_ascii_stays_ascii() -> None:
    app = app_of(ascii_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("T", "j", "enter", "f", "f")
        await settle(pilot)
        assert app.theme == "pfviz-light"
        update = app.export_screenshot()
        assert "╭" not in update
        assert text_of(app).isascii()


async def test_a_key_can_be_rebound() -> None:
    app = app_of(keymap=laid_over({"step.forward": ["p"]}))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        before = lab_of(app).player.index
        await pilot.press("right")
        assert lab_of(app).player.index == before
        await pilot.press("p")
        assert lab_of(app).player.index > before


async def test_the_mouse_selects_a_thread_and_switches_the_mode() -> None:
    app = app_of()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        rows = ["".join(text for text, _ in row) for row in lab_of(app).panes["threads"].rows]
        y = next(number for number, row in enumerate(rows) if row.startswith("mapper"))
        await pilot.click("#threads", offset=(4, y + 1))
        await pilot.pause()
        lab = lab_of(app)
        assert lab.player.frame.tasks[lab.look.selected].name == "mapper"
        x = text_of(app).index("mmap_lock")
        await pilot.click("#header", offset=(x + 2, 0))
        await settle(pilot)
        recipe = lab_of(app).player.run.recipe
        assert recipe is not None
        assert recipe.mode == "mmap_lock"


async def test_every_first_screen_says_that_one_column_is_too_little() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=(1, 12)) as pilot:
        await pilot.pause(0.2)
        assert "".join(text_of(app).split()) == "toosmall"
        await pilot.resize_terminal(*SIZE)
        await pilot.pause(0.3)
        assert "Hello, fault" in text_of(app)


async def test_compared_columns_show_the_same_threads_and_count_the_others() -> None:
    run = run_of(Source(open_scenario("smaps-monitor")))
    app = LabApp(run=run, play=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("equals_sign")
        await settle(pilot)
        assert isinstance(app.screen, Compare)
        columns = [app.screen.panes[f"lanes{number}"].rows for number in range(3)]
        names = [[row[0][0].strip() for row in rows] for rows in columns]
        assert names[0] == names[1] == names[2]
        assert "smaps" in names[0]
        hidden = len(app.screen.race.leader.frame.people()) - len(names[0])
        assert f"+{hidden} thread" in text_of(app)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        told = text_of(app).splitlines()[-4]
        assert told.startswith(("To get here", "So far:"))
        assert told.rstrip().endswith(")"), told
