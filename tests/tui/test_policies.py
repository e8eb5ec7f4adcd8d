"""Policies on a running scenario: chosen at the same place, and measured on both sides."""

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from pfviz.report.policy_worker import answer, request
from pfviz.report.source import Source, open_scenario
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.policies import SWITCHES
from pfviz.tui import cost_table
from pfviz.tui.app import LabApp
from pfviz.tui.chrome import header
from pfviz.tui.cost_job import CostJob
from pfviz.tui.player import Player
from pfviz.tui.policy_words import about
from pfviz.tui.recipe import POLICY_CHOICES, Recipe
from pfviz.tui.screens.choice import Choice
from pfviz.tui.screens.cost import Cost, hidden_lines
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.tui.sources import run_of
from pfviz.views.rows import plain, row_width

from .screen_text import lab_of, settle, text_of


def io_app() -> LabApp:
    return LabApp(run=run_of(Source(open_scenario("file-io-wait"))), play=False)


async def choose(pilot: Pilot[None], name: str) -> None:
    """Choose the first other value of a switch."""
    await pilot.press("P")
    await pilot.pause(0.1)
    choice = pilot.app.screen
    assert isinstance(choice, Choice)
    number = [option[0] for option in choice.options].index(name)
    for _ in range(number):
        await pilot.press("j")
    await pilot.press("enter")


async def measured(app: LabApp, pilot: Pilot[None]) -> None:
    for _ in range(600):
        await pilot.pause(0.1)
        job = next(one.job for one in app.screen_stack if isinstance(one, Lab))
        if job is not None and job.done:
            break
    await pilot.pause(0.4)


def flat(app: LabApp) -> str:
    return " ".join(text_of(app).replace("│", " ").split())


def said_by(app: LabApp, name: str) -> str:
    """The words of a widget, wherever its lines were broken."""
    widget = app.screen.query_one(f"#{name}", Static)
    assert widget.region.height >= 2
    assert app.screen.region.contains_region(widget.region)
    return str(widget.render())


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_choice_goes_on_at_the_same_place_and_shows_what_it_costs_both_sides(
    size: tuple[int, int],
) -> None:
    app = io_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("f", "f")
        await settle(pilot)
        await choose(pilot, "io_wait_file")
        for _ in range(100):  # Until it says that it measures, or has done so already.
            await pilot.pause(0.02)
            if "in the background" in flat(app) or "faults begun again" in flat(app):
                break
        else:
            pytest.fail("the popup says neither that it measures nor what it measured")
        assert isinstance(app.screen, Cost)
        await measured(app, pilot)
        text = flat(app)
        assert "io_wait_file = restart io_wait_file = hold" in text
        assert "mprotect" in text
        assert "faults begun again 24 0" in text
        assert "whoever changes the VMA waits for the disk" in said_by(app, "explain")
        await pilot.press("escape")
        await settle(pilot)
        lab = lab_of(app)
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.policy()["io_wait_file"] == "hold"
        assert lab.player.run.timeline.count(lab.player.index, "fault") == 2
        await pilot.press("dollar_sign")
        await pilot.pause(0.1)
        assert isinstance(app.screen, Cost)


async def test_who_leaves_before_it_is_measured_is_told_the_result() -> None:
    app = io_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await choose(pilot, "io_wait_file")
        await pilot.press("escape")
        await measured(app, pilot)
        assert "Measured: io_wait_file = hold:" in flat(app)


async def test_without_a_choice_there_is_nothing_measured() -> None:
    app = io_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("dollar_sign")
        await pilot.pause(0.1)
        assert "No policy was chosen yet" in flat(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_chooser_lists_every_switch_and_says_what_it_is_about(
    size: tuple[int, int],
) -> None:
    app = io_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("P", "j")
        await pilot.pause(0.2)
        assert isinstance(app.screen, Choice)
        offered = {name for name, _ in app.screen.options}
        assert offered == {
            one.name for one in SWITCHES if one.values and one.name != "tree_in_place"
        }
        assert "restart → hold" in flat(app)
        about_it = said_by(app, "about")
        assert "It decides whether whoever changes the VMA waits for the disk." in about_it


async def test_the_matrix_is_run_anew_under_a_policy_and_marks_what_it_changes() -> None:
    app = LabApp(matrix=("file_read_miss", "6.12", ()))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.2)
        await choose(pilot, "restart_lock")
        for _ in range(400):
            await pilot.pause(0.02)
            screen = app.screen
            if isinstance(screen, Matrix) and not screen.store.work(0.05):
                break
        assert isinstance(app.screen, Matrix)
        app.screen.moved()
        await pilot.pause(0.3)
        assert app.screen.store.policy == (("restart_lock", "vma"),)
        assert "V(io)>V" in text_of(app)
        assert app.screen.store.turned("file_read_miss", "6.12") == "V(io)>M"
        assert "The policies make the difference" in flat(app)
        assert "restart_lock = vma" in flat(app)


SIZES = [(80, 24), (200, 60)]


def lines_of(app: LabApp) -> list[str]:
    """The lines in the box of the screen that lies on top."""
    box = app.screen.query_one("#choice").region
    lines = text_of(app).splitlines()[box.y : box.bottom]
    return [line[box.x : box.right].strip(" │").rstrip() for line in lines]


async def cost_of(app: LabApp, pilot: Pilot[None], name: str) -> list[str]:
    """Choose a policy and read all that is said of it, scrolling down as a person does."""
    await settle(pilot)
    await choose(pilot, name)
    await measured(app, pilot)
    assert isinstance(app.screen, Cost)
    read = lines_of(app)
    for key in ("down", "pagedown", "pagedown", "end"):
        await pilot.press(key)
        await pilot.pause(0.1)
        read += [line for line in lines_of(app) if line not in read]
    return read


@pytest.mark.parametrize("size", SIZES)
async def test_a_deadlock_is_painted_first_and_not_as_a_fast_result(size: tuple[int, int]) -> None:
    app = LabApp(run=run_of(Source(open_scenario("userfaultfd"))), play=False)
    async with app.run_test(size=size) as pilot:
        read = await cost_of(app, pilot, "uffd_notify")
        said = " ".join(read)
        at = next(at for at, line in enumerate(read) if "DEADLOCK: nobody goes on: mapper" in line)
        faults = next(at for at, line in enumerate(read) if line.startswith("faults ("))
        assert at < faults
        assert "worker waits for monitor (the userfaultfd monitor)" in said
        assert "(mmap_lock app)." in said
        assert read[faults].split() == [
            "faults", "(12", "→", "0)", "1.63", "µs", "19.5", "µs", "19.5", "µs", "-", "-", "-",
        ]  # fmt: skip
        assert any(line.startswith("until the end") and line.endswith("never") for line in read)
        assert said.index("0 of 12 faults ended.") < said.index("faults (12")
        await pilot.press("home")
        await pilot.pause(0.1)
        now = lines_of(app)
        assert "DEADLOCK" in " ".join(now)
        assert ("more lines below: arrow keys" in now[-2]) == (size[1] == 24)
        await pilot.press("end")
        await pilot.pause(0.1)
        now = lines_of(app)
        assert ("more lines above: arrow keys" in now[-2]) == (size[1] == 24)


@pytest.mark.parametrize("size", SIZES)
async def test_every_broken_rule_and_the_biggest_effect_can_be_read(size: tuple[int, int]) -> None:
    app = LabApp(run=run_of(Source(open_scenario("driver-faults"))), play=False)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await choose(pilot, "driver_opt_in")
        await measured(app, pilot)
        said = " ".join(lines_of(app))  # Without scrolling.
        assert "breaks rule I19" in said
        assert "breaks rule I24" in said
    app = LabApp(run=run_of(Source(open_scenario("io-race"))), play=False)
    async with app.run_test(size=size) as pilot:
        read = await cost_of(app, pilot, "io_wait_file")
        said = " ".join(read)
        assert "munmap p99 111 times slower (2.10 µs → 233 µs)." in said
        assert said.index("munmap p99 111") < said.index("0 faults start again")
        assert any(line.startswith("fell back to mmap_lock") for line in read)
        assert any(line.startswith("waited for locks") and "230 µs" in line for line in read)


@pytest.mark.parametrize("size", SIZES)
async def test_both_counts_are_painted_where_they_differ(size: tuple[int, int]) -> None:
    app = io_app()
    async with app.run_test(size=size) as pilot:
        read = await cost_of(app, pilot, "io_wait_file")
        assert any(line.startswith("mprotect (152 → 7) ") for line in read)
        assert any(line.startswith("faults (24) ") for line in read)


@pytest.mark.parametrize("size", SIZES)
async def test_what_nobody_feels_is_said_in_one_sentence(size: tuple[int, int]) -> None:
    app = LabApp(run=run_of(Source(open_scenario("hello-fault"))), play=False)
    async with app.run_test(size=size) as pilot:
        said = " ".join(await cost_of(app, pilot, "io_wait_swap"))
        assert "Neither side of this scenario feels it." in said
        assert ".." not in said


def test_one_more_line_is_one_line() -> None:
    assert hidden_lines(1, 0) == "1 more line above: arrow keys"
    assert hidden_lines(1, 2) == "1 more line above, 2 more lines below: arrow keys"


@pytest.mark.parametrize("size", SIZES)
async def test_the_header_names_the_policies_that_were_changed(size: tuple[int, int]) -> None:
    app = io_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "=" not in text_of(app).splitlines()[0]
        recipe = lab_of(app).player.run.recipe
        assert recipe is not None
        for name, value in (("io_wait_file", "hold"), ("merge", False)):
            recipe = recipe.with_policy(name, value)
            lab_of(app)._remake(recipe, "changed.")
            await settle(pilot)
            first = text_of(app).splitlines()[0]
            if name == "io_wait_file":
                assert "io_wait_file=hold" in first
            elif size[0] == 80:
                assert "merge=false +1" in first
            else:
                assert "merge=false, io_wait_file=hold" in first
            assert "kernel 6.12 " in first
            assert "per-VMA" in first
        back = recipe.with_policy("io_wait_file", "restart").with_policy("merge", True)
        lab_of(app)._remake(back, "changed back.")
        await settle(pilot)
        assert "=" not in text_of(app).splitlines()[0]


def test_a_long_policy_keeps_its_value_in_the_header() -> None:
    made = Player(Recipe(open_scenario("file-io-wait")).with_policy(
        "io_wait_userfaultfd", "hold").start())  # fmt: skip
    for width, said in ((80, " io_wait_use…=hold "), (120, " io_wait_userfaultfd=hold ")):
        bar = header(made, width, 2)
        assert said in plain(bar.rows[:1])
        assert bar.action_at(plain(bar.rows[:1]).index("=hold"), 0) == "policy"
        assert row_width(bar.rows[0]) == width


def test_all_kinds_of_waiting_changed_alike_are_one_policy() -> None:
    recipe = Recipe(open_scenario("file-io-wait")).with_policy("io_wait", "hold")
    assert recipe.changed_policy() == (("io_wait", "hold"),)


# What is behind it


def test_the_worker_measures_what_it_is_asked() -> None:
    scenario = open_scenario("file-io-wait")
    asked = request(scenario, Overrides(kernel="6.18"), "io_wait_file", ("restart", "hold"))
    cost = msgspec.json.decode(answer(asked))
    assert cost["kernel"] == "6.18"
    assert [one["value"] for one in cost["choices"]] == ["restart", "hold"]
    assert cost["choices"][0]["faults"]["retries"] > cost["choices"][1]["faults"]["retries"]
    for width in (40, 74, 120):
        rows = cost_table.rows(cost, width)
        assert "mprotect" in plain(rows)
        assert width < 70 or all(row_width(row) <= width for row in rows)


def test_what_cannot_be_measured_is_said() -> None:
    asked = request(open_scenario("hello-fault"), Overrides(kernel="5.4"), "merge", (True, False))
    assert "5.4" in msgspec.json.decode(answer(asked))["error"]


async def test_a_measurement_can_be_given_up() -> None:
    job = CostJob(Recipe(open_scenario("file-io-wait")), "merge", True, False)
    job.cancel()  # Before it began there is nothing to end.
    assert not job.done


def test_every_switch_that_is_offered_says_what_it_is_about() -> None:
    for name in POLICY_CHOICES:
        assert about(name).endswith(".")
