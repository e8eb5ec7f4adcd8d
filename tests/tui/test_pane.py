"""A pane paints only what changed, and nothing that acts on a terminal."""

from textual.app import App, ComposeResult
from textual.geometry import Region

from pfviz.tui.pane import Pane
from pfviz.tui.themes import style_table
from pfviz.views.palettes import DARK
from pfviz.views.rows import Row, fit


def row(text: str) -> Row:
    return fit(((text, "strong"),), 18)


class OnePane(App[None]):
    CSS = "Pane { width: 20; height: 6; } .framed { padding: 1; }"

    def compose(self) -> ComposeResult:
        yield Pane(id="only", number=2, title="Locks")

    def on_mount(self) -> None:
        self.query_one(Pane).dress(style_table(DARK))


def lines(pane: Pane) -> list[str]:
    return ["".join(s.text for s in strip) for strip in pane.render_lines(Region(0, 0, 20, 6))]


async def test_rows_stand_in_a_numbered_frame() -> None:
    async with OnePane().run_test(size=(30, 8)) as pilot:
        pane = pilot.app.query_one(Pane)
        pane.show((row("mmap_lock"), row("heap"), row(""), row("")))
        pane.entitle("Locks", "2 locks")
        await pilot.pause()
        assert lines(pane) == [
            "╭─ 2 Locks ────────╮",
            "│mmap_lock         │",
            "│heap              │",
            "│                  │",
            "│                  │",
            "╰──────── 2 locks ─╯",
        ]


async def test_only_the_lines_that_changed_are_painted_again() -> None:
    async with OnePane().run_test(size=(30, 8)) as pilot:
        pane = pilot.app.query_one(Pane)
        pane.show(tuple(row(text) for text in ("a", "b", "c", "d")))
        await pilot.pause()
        drawn: list[int] = []
        draw = pane._draw
        pane._draw = lambda y, w, h: drawn.append(y) or draw(y, w, h)  # type: ignore[method-assign]
        lines(pane)
        assert drawn == []
        pane.show(tuple(row(text) for text in ("a", "b", "X", "d")))
        await pilot.pause()
        lines(pane)
        assert drawn == [3]


async def test_showing_the_same_rows_costs_no_repaint() -> None:
    async with OnePane().run_test(size=(30, 8)) as pilot:
        pane = pilot.app.query_one(Pane)
        rows = tuple(row(text) for text in ("a", "b", "c", "d"))
        pane.show(rows)
        await pilot.pause()
        before = pane.repainted_lines
        pane.show(rows)
        pane.entitle("Locks")
        assert pane.repainted_lines == before


async def test_titles_cannot_speak_to_the_terminal() -> None:
    async with OnePane().run_test(size=(30, 8)) as pilot:
        pane = pilot.app.query_one(Pane)
        pane.entitle("\x1b[red]evil", "\x07")
        await pilot.pause()
        assert not any("\x1b" in line or "\x07" in line for line in lines(pane))
        assert "[red]evil" in lines(pane)[0]


async def test_a_pane_survives_every_size() -> None:
    async with OnePane().run_test(size=(30, 8)) as pilot:
        pane = pilot.app.query_one(Pane)
        pane.show(tuple(row(text) for text in ("a", "b", "c", "d")))
        for width in range(1, 24):
            for height in range(1, 8):
                strips = pane._drawn_for, pane._draw(0, width, height)
                assert strips[1].cell_length == width
