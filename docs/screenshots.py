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
from collections.abc import Awaitable, Callable
from pathlib import Path

from pfviz.config.theme_files import theme_names
from pfviz.report.source import Source, open_source
from pfviz.scenario.overrides import Overrides
from pfviz.tui import terminal
from pfviz.tui.app import LabApp
from pfviz.tui.sources import entries, run_of

SIZES = ((120, 40), (80, 24))
SCENARIO = "smaps-monitor"
AT = "60%"
SETTLE_S = 0.6

Keys = tuple[str, ...]


def lab_app(**more: object) -> LabApp:
    source: Source = open_source(SCENARIO, Overrides())
    return LabApp(run=run_of(source), play=False, **more)  # type: ignore[arg-type]


def gallery_app(**more: object) -> LabApp:
    return LabApp(entries=entries(()), **more)  # type: ignore[arg-type]


def matrix_app(**more: object) -> LabApp:
    return LabApp(matrix=("", "6.12", ()), **more)  # type: ignore[arg-type]


def stage_app(**more: object) -> LabApp:
    source: Source = open_source("talk", Overrides())
    return LabApp(talk=source.talk, stage=True, **more)  # type: ignore[arg-type]


SCREENS: dict[str, tuple[Callable[..., LabApp], Keys]] = {
    "gallery": (gallery_app, ("down", "down")),
    "lab": (lab_app, ("colon", *AT.replace("%", ""), "%", "enter")),
    "card": (stage_app, ()),
    "stage": (stage_app, ("pagedown",) * 9),
    "compare": (lab_app, ("equals_sign", "space")),
    "matrix": (matrix_app, ("down", "down", "right")),
    "help": (lab_app, ("question_mark",)),
    "chooser": (lab_app, ("K",)),
    "themes": (lab_app, ("T",)),
    "prompt": (lab_app, ("b",)),
}


async def picture(
    name: str, size: tuple[int, int], folder: Path, stem: str, **more: object
) -> Path:
    """Open a screen, let it come to rest, export it."""
    make, keys = SCREENS[name]
    app = make(**more)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_S)
        await _computed(app, pilot.pause)
        for key in keys:
            await pilot.press(key)
        await pilot.pause(SETTLE_S)
        await _computed(app, pilot.pause)
        svg = app.export_screenshot(title=f"pfviz {name}")
    path = folder / f"{stem}.svg"
    path.write_text(svg.replace("<text ", '<text xml:space="preserve" '), encoding="utf-8")
    return path


async def _computed(app: LabApp, pause: Callable[[float], Awaitable[None]]) -> None:
    for _ in range(100):
        players = getattr(app.screen, "players", tuple)()
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
    sizes = SIZES
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
                more = {"theme": theme, "depth": chosen.depth, "ascii_only": chosen.ascii}
                made.append(asyncio.run(picture(name, size, folder, stem, **more)))
                sys.stderr.write(f"{made[-1]}\n")
    convert(made)


if __name__ == "__main__":
    main()
