"""Pictures of every screen in every theme, to be looked at: `make screenshots` fills out/screens.

Made by Textual's own export, without a terminal; SVG, and PNG where rsvg-convert is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from pfviz.config.settings import Settings
from pfviz.config.theme_files import theme_names
from pfviz.report.source import Source, open_scenario, open_source
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import Overrides
from pfviz.tui import recent, terminal
from pfviz.tui.app import LabApp
from pfviz.tui.reload_words import complaint
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.stage import Stage
from pfviz.tui.sources import entries, run_of
from pfviz.views import stage_walk

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pfviz.tui.player import Player

SIZES = ((120, 40), (80, 24))
SCENARIO = "smaps-monitor"
AT = "60%"
SETTLE_S = 0.6

Keys = tuple[str, ...]
ASK, PROBLEM, POSED = "(ask)", "(problem)", "(posed)"
"""No keys: next until the talk asks, what is said of a wrong file, and a scenario's question."""


class Wear(TypedDict, total=False):
    """What is the same of every picture of a theme."""

    theme: str
    depth: str
    ascii_only: bool


def lab_app(**wear: Unpack[Wear]) -> LabApp:
    source: Source = open_source(SCENARIO, Overrides())
    return LabApp(run=run_of(source), play=False, **wear)


def gallery_app(**wear: Unpack[Wear]) -> LabApp:
    return LabApp(entries=entries(()), **wear)


def matrix_app(**wear: Unpack[Wear]) -> LabApp:
    return LabApp(matrix=("", "6.12", ()), **wear)


def stage_app(**wear: Unpack[Wear]) -> LabApp:
    source: Source = open_source("talk", Overrides())
    return LabApp(talk=source.talk, stage=True, **wear)


def recent_app(**wear: Unpack[Wear]) -> LabApp:
    """The gallery of somebody who has played some: its first shelf is theirs."""
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
    for name in ("fault-storm", SCENARIO):
        title = open_scenario(name).title
        recent.remember(recent.Recent(name, title, about="Linux 6.12, per-VMA, left at 1.213 ms"))
    app = gallery_app(**wear)
    app.settings = Settings()
    return app


def notes_app(**wear: Unpack[Wear]) -> LabApp:
    talk = open_source("talk", Overrides()).talk
    return LabApp(notes=talk, **wear)


def go(place: str) -> Keys:
    """The keys that go to a moment, `:60%`."""
    names = {":": "colon", ".": "full_stop"}
    return ("colon", *(names.get(letter, letter) for letter in place), "enter")


def scene(number: int) -> Keys:
    """The keys that go to a scene of the talk."""
    return (*str(number), "enter")


SCREENS: dict[str, tuple[Callable[..., LabApp], Keys]] = {
    "gallery": (gallery_app, ("down", "down")),
    "recent": (recent_app, ("down",)),
    "lab": (lab_app, go(AT)),
    "lab-cue": (lab_app, ("right_square_bracket",) * 2),
    "lab-past": (lab_app, ("right_square_bracket", *("right",) * 45)),
    "lab-tree": (lab_app, (*go(AT), "4", "z")),
    "card": (stage_app, ()),
    "stage": (stage_app, (*scene(3), "pagedown", "pagedown", "pagedown", "pagedown")),
    "stage-compare3": (stage_app, (*scene(4), "pagedown", "pagedown", "pagedown", "pagedown")),
    "stage-compare2": (stage_app, (*scene(5), "pagedown", "pagedown", "pagedown", "pagedown")),
    "stage-matrix": (stage_app, (*scene(8), "pagedown")),
    "question": (stage_app, (*scene(2), ASK)),
    "answer": (stage_app, (*scene(2), ASK, "pagedown")),
    "compare": (lab_app, ("equals_sign", "space")),
    "compare-later": (lab_app, (*go(AT), "equals_sign")),
    "matrix": (matrix_app, ("down", "down", "right")),
    "help": (lab_app, ("question_mark",)),
    "kernels": (lab_app, ("K",)),
    "policies": (lab_app, ("P", "down")),
    "cost": (lab_app, ("dollar_sign",)),
    "themes": (lab_app, ("T",)),
    "export": (lab_app, ("e",)),
    "prompt": (lab_app, ("b",)),
    "problem": (lab_app, (PROBLEM,)),
    "lab-question": (lab_app, (POSED,)),
    "notes": (notes_app, ("pagedown", "pagedown")),
}


async def _press(app: LabApp, pilot: Pilot[None], key: str) -> None:
    screen = app.screen
    if key == ASK:  # Until the question is asked: how often "next" that takes is the talk's affair.
        for _ in range(30):
            if isinstance(screen, Stage) and screen.show.act.station.kind == stage_walk.ASK:
                return
            await pilot.press("pagedown")
            await pilot.pause(0.1)
    elif key == PROBLEM:
        error = ScenarioError(SCENARIO + ".toml", 4, "title: expected text, found 7")
        assert isinstance(screen, Lab)
        screen._complain(complaint(error, Path(SCENARIO + ".toml")))
    elif key == POSED:
        assert isinstance(screen, Lab)
        recipe = screen.player.run.recipe
        assert recipe is not None
        screen._ask_question(recipe.scenario.question[0])
    else:
        await pilot.press(key)


async def picture(
    name: str, size: tuple[int, int], folder: Path, stem: str, **wear: Unpack[Wear]
) -> Path:
    """Open a screen, let it come to rest, export it."""
    make, keys = SCREENS[name]
    app = make(**wear)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_S)
        await _computed(app, pilot.pause)
        for key in keys:
            await _press(app, pilot, key)
        await pilot.pause(SETTLE_S)
        await _computed(app, pilot.pause)
        svg = app.export_screenshot(title=f"pfviz {name}")
    path = folder / f"{stem}.svg"
    path.write_text(svg.replace("<text ", '<text xml:space="preserve" '), encoding="utf-8")
    return path


async def _computed(app: LabApp, pause: Callable[[float], Awaitable[None]]) -> None:
    for _ in range(100):
        players: tuple[Player, ...] = getattr(app.screen, "players", tuple)()
        if not any(player.errand or not player.run.finished for player in players):
            break
        await pause(0.05)


def convert(paths: list[Path]) -> None:
    """PNGs beside the SVGs."""
    tool = shutil.which("rsvg-convert")
    for path in paths if tool else ():
        subprocess.run([str(tool), "-w", "1400", str(path), "-o", str(path.with_suffix(".png"))],
                       check=True, timeout=60)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("screens", nargs="*", choices=[[], *SCREENS], default=[])
    parser.add_argument("--theme", action="append", help="only this theme (can be repeated)")
    parser.add_argument("--size", help="COLUMNSxLINES; else 120x40 and 80x24")
    parser.add_argument("--depth", choices=terminal.DEPTHS, default=terminal.TRUE)
    parser.add_argument("--term", help="TERM to imitate: linux for its marks")
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("-o", "--output", default="out/screens", metavar="FOLDER")
    chosen = parser.parse_args()
    if chosen.term:
        os.environ["TERM"] = chosen.term
    folder = Path(chosen.output)
    folder.mkdir(parents=True, exist_ok=True)
    sizes: tuple[tuple[int, int], ...] = SIZES
    if chosen.size:
        columns, _, lines = chosen.size.partition("x")
        sizes = ((int(columns), int(lines)),)
    made: list[Path] = []
    for name in chosen.screens or SCREENS:
        for theme in chosen.theme or theme_names():
            for size in sizes:
                stem = f"{name}-{theme}-{size[0]}x{size[1]}"
                if chosen.depth != terminal.TRUE or chosen.ascii or chosen.term:
                    stem += f"-{chosen.depth}" + ("-ascii" if chosen.ascii else "")
                wear = Wear(theme=theme, depth=chosen.depth, ascii_only=chosen.ascii)
                made.append(asyncio.run(picture(name, size, folder, stem, **wear)))
                sys.stderr.write(f"{made[-1]}\n")
    convert(made)


if __name__ == "__main__":
    main()
