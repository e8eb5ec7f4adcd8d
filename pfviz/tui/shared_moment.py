"""From where a player stands to a share token, and from a token's moment back to there.

A run of a changed file, or of a pfviz that models something else, is shown at the same place in its
workload, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pfviz.report.share import log_check, token_of
from pfviz.report.source import Shared
from pfviz.scenario.token import Moment
from pfviz.views.workload_position import WorkloadPosition

from .player import Errand, Player

RUNS_DIFFERENTLY: Final = "This pfviz runs it differently from the one that made the token."


def token_at(player: Player, modes: Sequence[str] = ()) -> str:
    """The token of what a player shows; "" for a capture, which cannot be made again."""
    recipe = player.run.recipe
    if recipe is None:
        return ""
    return token_of(recipe.scenario, recipe.overrides, moment_of(player), modes)


def moment_of(player: Player) -> Moment:
    """Where a player stands."""
    place = WorkloadPosition.of(player)
    return Moment(
        events=player.index,
        after_ns=max(player.now_ns - player.run.timeline.time_at(player.index), 0),
        operations=place.operations,
        faults=place.faults,
        check=log_check(player.run.log, player.index),
    )


def errand_to(shared: Shared, player: Player) -> Errand | None:
    """The way to a shared moment; None when the token says none: it is the start."""
    moment = shared.moment
    if moment is None:
        player.say(_sentence(shared.note))
        return None
    place = WorkloadPosition(moment.operations, moment.faults)
    errand = Errand("the shared moment", lambda: None)
    errand.arrived = f"{_sentence(shared.note)} {place.words()}".lstrip()

    def find() -> int | None:
        if not shared.is_exact:
            return place.find(player)
        run = player.run
        if moment.events > len(run.timeline) and not run.finished:
            return None
        if log_check(run.log, moment.events) == moment.check:
            errand.after_ns, errand.arrived = moment.after_ns, ""
            return moment.events
        errand.arrived = f"{RUNS_DIFFERENTLY} {place.words()}"
        return place.find(player)

    errand.find = find
    return errand


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}." if note else ""
