"""The keys of the maple tree pane, on the screen: cursor, opening, folding, jumping, detail."""

import re

from textual.pilot import Pilot

from pfviz.tui.app import LabApp
from pfviz.tui.screens.prompt import Prompt

from .runs import RACE, capture, recipe
from .screen_text import lab_of, settle, text_of

FOREST = RACE.replace(
    '[[vma]]\nname = "block"',
    '[[vma]]\nname = "lib"\npages = 1\ncount = 40\ngap = 1\n\n[[vma]]\nname = "block"',
)


async def tree_at(pilot: Pilot[None], *keys: str) -> None:
    """Go into the run, to the tree pane, give it the screen, and press keys."""
    await settle(pilot)
    await pilot.press("f", "4", "z", *keys)
    await settle(pilot)


async def jump(pilot: Pilot[None], place: str) -> None:
    """The cursor to the leaf of a place."""
    await pilot.press("A")
    await pilot.pause()
    await pilot.press(*place, "enter")
    await settle(pilot)


def app_of(text: str = FOREST) -> LabApp:
    return LabApp(run=recipe(text).start(), play=False)


def rows_of(app: LabApp) -> list[str]:
    pane = lab_of(app).panes["tree"]
    return ["".join(text for text, _ in row).rstrip() for row in pane.rows]


async def test_the_cursor_goes_from_node_to_node() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot, "j")
        assert rows_of(app)[0].startswith("▸ arange_64")
        await pilot.press("j", "down")
        assert rows_of(app)[2].startswith("▸ ├─ leaf_64")
        await pilot.press("k", "k", "k")
        assert rows_of(app)[0].startswith("▸")


async def test_a_node_is_folded_and_opened_again() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot)
        whole = rows_of(app)
        await pilot.press("x")
        folded = rows_of(app)
        assert "… 41 VMAs" in folded[0] or "… 42 VMAs" in folded[0]
        assert not any("leaf_64" in row and "dead" not in row for row in folded)
        await pilot.press("x")
        assert [row[2:] for row in rows_of(app)] == [row[2:] for row in whole]


async def test_an_opened_leaf_lists_its_slots() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot)
        await jump(pilot, "lib20")
        await pilot.press("x")
        slots = [row for row in rows_of(app) if re.search(r"[├└]─ +\d+ (NULL|lib)", row)]
        assert len(slots) >= 7
        assert any("4 KiB" in row for row in slots)


async def test_a_jump_goes_to_the_leaf_of_an_address() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot, "A")
        assert isinstance(app.screen, Prompt)
        await pilot.press(*"lib33x", "enter")
        await pilot.pause()
        assert 'did you mean "lib33"?' in text_of(app)
        await pilot.press("backspace", "enter")
        await settle(pilot)
        lab = lab_of(app)
        mm = next(iter(lab.player.frame.mms.values()))
        cursor = mm.nodes[lab.look.tree.cursor]
        names = [lab.player.frame.vmas[slot].name for slot in cursor.slots if slot >= 0]
        assert "lib33" in names
        assert [row for row in rows_of(app) if row.startswith("▸")]


async def test_how_a_name_begins_is_enough_for_a_jump() -> None:
    app = app_of(FOREST.replace('"lib"', '"libgfortran-040039e1.so.5.0.0"'))
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot)
        await jump(pilot, "libgf")
        lab = lab_of(app)
        mm = next(iter(lab.player.frame.mms.values()))
        cursor = mm.nodes[lab.look.tree.cursor]
        lowest = min(vma.start for vma in mm.vmas.values() if vma.name.startswith("libgf"))
        assert cursor.min <= lowest <= cursor.max


async def test_a_node_is_read_slot_by_slot_and_word_by_word() -> None:
    app = app_of()
    async with app.run_test(size=(120, 44)) as pilot:
        await tree_at(pilot)
        await jump(pilot, "lib20")
        await pilot.press("d")
        shown = "\n".join(rows_of(app))
        assert "slot first" in shown
        assert "+000 parent" in shown
        assert "+0f8 " in shown
        assert "parent: #" in shown
        await pilot.press("escape")
        await settle(pilot)
        assert rows_of(app)[0].strip().startswith("arange_64")
        assert lab_of(app).zoomed


async def test_the_detail_follows_the_cursor_beside_a_wide_tree() -> None:
    app = app_of()
    async with app.run_test(size=(200, 60)) as pilot:
        await tree_at(pilot, "enter")
        assert "arange_64 #" in rows_of(app)[0].partition("│")[2]
        await pilot.press("j")
        assert "leaf_64 #" in rows_of(app)[0].rpartition("│")[2]


async def test_the_cursor_goes_to_the_node_under_a_thread() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await tree_at(pilot, "w")
        lab = lab_of(app)
        walked = {task.walk_at for task in lab.player.frame.people()}
        assert lab.look.tree.cursor in walked
        assert "walked here last" in text_of(app)


async def test_the_node_is_shown_as_it_was_in_the_past() -> None:
    app = app_of()
    async with app.run_test(size=(120, 44)) as pilot:
        await tree_at(pilot, "w", "d", "right")
        before = rows_of(app)
        await pilot.press("right", "right", "right", "left", "left", "left")
        await settle(pilot)
        assert rows_of(app) == before


async def test_tree_keys_say_where_they_act() -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("x", "X", "d", "w", "A"):
            await pilot.press("1", key)
            assert "4 goes there" in text_of(app), key
    app = LabApp(run=capture(), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("4", "x")
        assert "No tree is known here" in text_of(app)
