"""Small runs for the app's tests, built from a scenario that has everything in it."""

from __future__ import annotations

from pathlib import Path

from pfviz.report.source import Source
from pfviz.scenario.load import parse
from pfviz.scenario.overrides import Overrides
from pfviz.sim.event import EventLog
from pfviz.tui.player import Player
from pfviz.tui.recipe import Recipe
from pfviz.tui.run import Run
from pfviz.tui.sources import run_of

CAPTURE = Path(__file__).parent.parent / "data" / "traces" / "private-t2" / "trace.txt.gz"

RACE = """
schema_version = 1
name = "race"
title = "A race"
story = "Two threads touch a block; a third one unmaps it and maps another."
kernel = "6.12"
mode = "per-vma"
machine = "demo"

[[vma]]
name = "block"
pages = 64

[[thread]]
name = "toucher"
count = 2
repeat = 6

[[thread.op]]
do = "write"
at = "block"
pages = 8

[[thread]]
name = "mapper"
repeat = 4

[[thread.op]]
do = "mmap"
pages = 16
slot = "mine"

[[thread.op]]
do = "munmap"
at = "mine"
pages = 16

[[cue]]
when = "page_fault_user"
caption = "The first fault."

[[cue]]
when = "op_begin op=munmap"
caption = "The memory goes."
focus = "locks"
pause = true
"""


LONG_RACE = RACE.replace("repeat = 6", "repeat = 2000")


def recipe(text: str = RACE, **changes: object) -> Recipe:
    """The race, with changes to kernel, mode, seed."""
    return Recipe(parse(text, "race.toml"), Overrides().and_also(**changes))


def race(**changes: object) -> Run:
    """A run of the race at its beginning."""
    return recipe(**changes).start()


def player(whole: bool = True, **changes: object) -> Player:
    """A player of the race, computed to its end, or else of a longer one that is not."""
    run = recipe(RACE if whole else LONG_RACE, **changes).start()
    said: list[str] = []
    made = Player(run, said.append)
    made.said = said  # type: ignore[attr-defined]
    while whole and not run.finished:
        run.advance(1.0)
    return made


def said(made: Player) -> str:
    """The last thing that a player had to say."""
    words = [text for text in made.said if text]  # type: ignore[attr-defined]
    return words[-1] if words else ""


def log_of(*rows: tuple[int, ...]) -> EventLog:
    """A log of bare rows."""
    log = EventLog()
    for row in rows:
        log.append(*row)
    return log


def source(**changes: object) -> Source:
    """The race as the command line would hand it over."""
    made = recipe(**changes)
    return Source(made.scenario, made.overrides)


def capture() -> Run:
    """A real kernel's capture."""
    return run_of(Source(capture=str(CAPTURE)))
