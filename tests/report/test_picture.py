"""What an export paints is what the lab shows at the same moment."""

from __future__ import annotations

from pfviz.report.camera import Size
from pfviz.report.footage import footage_of
from pfviz.report.picture import LabCamera
from pfviz.report.reel import Shot
from pfviz.report.source import open_source
from pfviz.tui.app import LabApp
from pfviz.tui.screens.lab import Lab
from pfviz.tui.sources import run_of
from pfviz.views.layout import PANES
from pfviz.views.rows import plain
from tests.report.runs import recorded


async def test_the_picture_of_a_moment_is_what_the_lab_shows() -> None:
    app = LabApp(run=run_of(open_source("hello-fault")))
    async with app.run_test(size=(120, 40)) as pilot:
        lab = app.screen
        assert isinstance(lab, Lab)
        lab.player.pause()
        while not lab.player.run.finished:
            lab.player.run.advance(0.1)
        lab.player.go(lab.player.run.cues.found()[1].position)
        lab.moved()
        await pilot.pause()
        index = lab.player.index
        shown = {name: plain(lab.panes[name].rows) for name in (*PANES, "header")}
        focus, speed_ns = lab.pane_name, lab.player.speed_ns
    footage = footage_of(recorded("hello-fault"))
    assert footage.speed_ns == speed_ns
    camera = LabCamera(footage, Size(120, 39), speed_ns, focus=focus)
    rows = camera.rows(Shot(0, index, footage.timeline.time_at(index), playing=False))
    picture = plain(rows)
    assert all(shown[name].strip() for name in PANES)
    for name in PANES:
        for line in shown[name].splitlines():
            assert line in picture, (name, line)
    assert shown["header"].splitlines()[0] in picture
