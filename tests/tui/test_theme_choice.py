"""T: themes are tried on while they are looked at."""

from pathlib import Path

import pytest

from pfviz.config.settings import Settings
from pfviz.tui.app import LabApp
from pfviz.tui.screens.choice import Choice
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.stage import Stage
from pfviz.views.palettes import CONTRAST, DARK, LIGHT
from tests.tui.runs import race
from tests.tui.screen_text import lab_of, text_of


async def test_a_highlighted_theme_is_worn_and_esc_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = tmp_path / "pfviz" / "themes" / "mine.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[colors]\nmmap = "#ff0088"\n')
    app = LabApp(run=race(), play=False, depth="true")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert app.theme == DARK.name
        await pilot.press("T")
        await pilot.pause()
        assert isinstance(app.screen, Choice)
        assert "projector" in text_of(app)
        assert "mine" in text_of(app)
        await pilot.press("down")
        await pilot.pause()
        assert app.theme == LIGHT.name
        await pilot.press("escape")
        await pilot.pause()
        assert app.theme == DARK.name
        await pilot.press("T", "3")
        await pilot.pause()
        assert app.theme == CONTRAST.name
        pane = lab_of(app).panes["threads"]
        assert pane.rich_style.bgcolor is not None
        assert pane.rich_style.bgcolor.name == CONTRAST.ground
        await pilot.press("T", "6")
        await pilot.pause()
        assert app.styles_by_name["warn"].color is not None
        assert app.styles_by_name["warn"].color.name == "#ff0088"
        assert app.worn == "mine"


async def test_the_stage_wears_its_own_theme_and_the_lab_below_keeps_the_other() -> None:
    app = LabApp(run=race(), play=False)
    app.settings = Settings(stage_theme="projector")
    async with app.run_test(size=(80, 24)) as pilot:
        before = app.worn
        await pilot.press("S")
        await pilot.pause()
        assert isinstance(app.screen, Stage)
        assert app.worn == "projector"
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Lab)
        assert app.worn == before != "projector"
