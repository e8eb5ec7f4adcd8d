"""The tree of a real process on the screens of real terminals: a Python with numpy, 240 VMAs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pfviz.sim.event import EventLog
from pfviz.tui.app import LabApp
from pfviz.tui.run import Run
from tests.real_processes import Replay

from .screen_text import lab_of, settle, text_of

if TYPE_CHECKING:
    from textual.pilot import Pilot

SMALL, LARGE = (80, 24), (200, 60)
SIZES = (SMALL, LARGE)
NODE = re.compile(
    r"(arange_64|leaf_64) +#\d+ +[▮▯]+ +\d+/(10|16) +"
    r"(gap [\d.,]+ [KMGTE]iB +)?([0-9a-f]+…([0-9a-f]+|max)?|◂)"
)
"""A live node as it must be legible: type, number, fill, slots, largest gap, where it begins."""


@pytest.fixture(scope="module")
def log() -> EventLog:
    return Replay("real/python-numpy").run(is_checked=False).scene.engine.log


async def open_tree(pilot: Pilot[None], *keys: str) -> None:
    await settle(pilot)
    await pilot.press("G", "4", "z", *keys)
    await settle(pilot)


def app_of(log: EventLog) -> LabApp:
    return LabApp(run=Run(log, "python with numpy"), play=False)


def painted(app: LabApp) -> list[str]:
    """The rows inside the pane's border, as they stand on the screen."""
    return [row[1:-1].rstrip() for row in text_of(app).splitlines() if row[:1] == "│"]


def vmas_of(app: LabApp) -> int:
    mm = next(iter(lab_of(app).player.frame.mms.values()))
    leaves = [node for node in mm.nodes.values() if node.is_leaf and node.dead_ns < 0]
    return sum(slot >= 0 for leaf in leaves for slot in leaf.slots)


@pytest.mark.parametrize("size", SIZES)
async def test_every_node_is_legible(log: EventLog, size: tuple[int, int]) -> None:
    app = app_of(log)
    async with app.run_test(size=size) as pilot:
        await open_tree(pilot)
        rows = [row for row in painted(app) if "_64 " in row and " dead " not in row]
        assert len(rows) >= 9
        for row in rows:
            assert NODE.search(row), row
            assert len(row) <= size[0] - 2
        assert sum("gap " in row.split("…")[0] for row in rows) >= 3


async def test_a_small_screen_folds_what_it_counts(log: EventLog) -> None:
    app = app_of(log)
    async with app.run_test(size=SMALL) as pilot:
        await open_tree(pilot, "j", "x")
        assert painted(app)[0].endswith(f"… {vmas_of(app)} VMAs")


async def test_a_large_screen_names_what_each_leaf_holds(log: EventLog) -> None:
    app = app_of(log)
    async with app.run_test(size=LARGE) as pilot:
        await open_tree(pilot)
        rows = painted(app)
        leaves = [at for at, row in enumerate(rows) if "leaf_64" in row and "dead" not in row]
        assert len(leaves) > 15
        assert all("│m" in rows[at] or " m" in rows[at] or "gap│" in rows[at] for at in leaves)


@pytest.mark.parametrize("size", SIZES)
async def test_keys_lead_through_all_of_it(log: EventLog, size: tuple[int, int]) -> None:
    app = app_of(log)
    async with app.run_test(size=size) as pilot:
        await open_tree(pilot, "X")
        mm = next(iter(lab_of(app).player.frame.mms.values()))
        seen = set()
        for _ in range(len(mm.nodes)):
            await pilot.press("j")
            cursor = lab_of(app).look.tree.cursor
            assert [row for row in painted(app) if row.startswith("▸") and f"#{cursor} " in row]
            seen.add(cursor)
        alive = {node.id for node in mm.nodes.values() if node.dead_ns < 0}
        assert alive - seen <= {mm.root}


@pytest.mark.parametrize("size", SIZES)
async def test_a_jump_opens_a_leaf_with_its_slots_and_words(
    log: EventLog, size: tuple[int, int]
) -> None:
    app = app_of(log)
    async with app.run_test(size=size) as pilot:
        await open_tree(pilot)
        mm = next(iter(lab_of(app).player.frame.mms.values()))
        await pilot.press("A")
        await pilot.pause()
        leaf = sorted(
            (node for node in mm.nodes.values() if node.is_leaf and node.dead_ns < 0),
            key=lambda node: node.min,
        )[7]
        slot = next(slot for slot in range(3, 16) if leaf.slots[slot] >= 0)
        first, last = leaf.pivots[slot - 1] + 1, leaf.pivots[slot]
        await pilot.press(*f"{first:x}", "enter")
        await settle(pilot)
        await pilot.press("x")
        slots = [row for row in painted(app) if re.search(r"[├└]─ +\d+ ", row)]
        assert any(f"{first:x}…{last:x}" in row for row in slots), slots
        await pilot.press("d")
        shown = "\n".join(painted(app))
        name = mm.vmas[leaf.slots[slot]].label
        assert re.search(rf"{slot}  {first:x} {last:x} +{name} ", shown)
        if size == LARGE:
            assert "+0f8 " in shown
        else:
            assert "rows below" in shown
