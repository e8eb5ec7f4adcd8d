"""The rows around the panes, as the views paint them, for a player and the table of keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pfviz.views import bars
from pfviz.views.bars import Bar, Chrome, Standing, World, hints_of, tabs, too_small

from .keys import Key
from .player import Player

__all__ = ["Chrome", "header", "hints", "hints_of", "tabs", "too_small"]


def header(player: Player, width: int, lines: int, what: str = "") -> Chrome:
    """What runs, on what, in which mode; below it where we are in time.

    `what` stands in the place of the mode switch, where there is none.
    """
    return bars.header(_standing(player), width, lines, what)


def _standing(player: Player) -> Standing:
    run, recipe, timeline = player.run, player.run.recipe, player.run.timeline
    unit = player.units[0]
    return Standing(
        title=run.title,
        world=None if recipe is None else World(
            recipe.kernel, recipe.mode, recipe.seed, recipe.modes(), recipe.changed_policy()
        ),
        now_ns=player.now_ns,
        speed_ns=player.speed_ns,
        bar=Bar(
            run.origin, player.index, player.present, len(timeline), player.bar_events,
            run.finished, timeline.end_ns, _marks(player),
        ),
        steps=timeline.count(player.index, unit),
        unit=unit,
        arrows=player.unit if player.unit != unit else "",
        playing=player.playing,
        in_past=player.in_past,
        errand="" if player.errand is None else player.errand.what,
        meta=run.log.meta,
    )  # fmt: skip


HITS_SHOWN_MAX: Final = 200


def _marks(player: Player) -> Iterable[tuple[str, list[int]]]:
    known = len(player.run.timeline)
    hits = player.marks.hits
    if hits is not None:
        yield "seek-hit", [at for at in hits.everything()[:HITS_SHOWN_MAX] if at <= known]
    for point in player.marks.breakpoints:
        at = point.index.everything()[:HITS_SHOWN_MAX]
        yield "seek-break", [position for position in at if position <= known]
    yield "seek-cue", [c.position for c in player.run.cues.found() if c.position <= known]
    yield "seek-mark", [at for at in player.marks.bookmarks if at <= known]
    if player.marks.parted is not None:
        yield "seek-parted", [player.marks.parted]


def hints(keys: Iterable[Key], width: int) -> Chrome:
    """The keys that matter most, as many as fit; help always does, quit almost always."""
    return hints_of([(key.hint, key.label, key.action) for key in keys if key.hint], width)
