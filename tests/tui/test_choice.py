"""A list to choose from, as it is painted."""

from pfviz.tui.app import LabApp
from pfviz.tui.screens.choice import Choice

from .screen_text import text_of


async def test_a_long_meaning_goes_on_under_itself_and_nothing_peeks_out_at_the_sides() -> None:
    options = [(f"6.{number}", "what this kernel does otherwise " * 4) for number in range(9)]
    app = LabApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(Choice("Kernel", "Another one.", options, current=8))
        await pilot.pause(0.2)
        for width in (80, 60):
            await pilot.resize_terminal(width, 24)
            await pilot.pause(0.2)
            rows = [row for row in text_of(app).split("\n") if "this kernel" in row]
            named = [row for row in rows if "6." in row]
            column = named[0].index("what this")
            assert len(rows) > len(named), "it takes more than a row"
            assert all(not row[3:column].strip() for row in rows if row not in named)
            assert all(row.startswith("│") and row.rstrip().endswith("│") for row in rows)
            assert any("6.8" in row for row in named), "the chosen one stays in sight"
