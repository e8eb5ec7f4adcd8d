"""From what is played to what is remembered of it, and to the gallery's shelf of such things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pfviz.report.share import log_check
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.load import find
from pfviz.trace.samples import samples
from pfviz.views.bars import MODE_TITLES
from pfviz.views.numbers import clock

from .player import Player
from .recent import CAPTURE, SHOWN_MAX, TALK, Recent, recents
from .shared_moment import token_at
from .sources import Entry


def recent_of(player: Player) -> Recent | None:
    """What to remember of a player's run and place; None for what has no name and no file."""
    run = player.run
    if not run.path:
        return None
    at = clock(player.now_ns)
    if run.recipe is None:
        kernel = run.log.meta.get("kernel", "")
        about = f"Linux {kernel}, left at {at}" if kernel else f"left at {at}"
        return Recent(
            _known_as(run.path, _sample_names()), run.title, CAPTURE, events=player.index,
            check=log_check(run.log, player.index), about=about,
        )  # fmt: skip
    recipe = run.recipe
    about = f"Linux {recipe.kernel}, {MODE_TITLES[recipe.mode]}, left at {at}"
    source = _known_as(run.path, {recipe.scenario.name: _found(recipe.scenario.name)})
    return Recent(source, run.title, token=token_at(player), about=about)


def recent_entries(known: Iterable[Entry]) -> tuple[Entry, ...]:
    """The first of what is remembered as entries of the gallery, told as the gallery knows them."""
    by_path = {entry.path: entry for entry in known} | {entry.name: entry for entry in known}
    found = []
    for one in recents()[:SHOWN_MAX]:
        twin = by_path.get(one.source)
        story = f"{one.about[:1].upper()}{one.about[1:]}. Enter goes on there."
        if twin is not None:
            found.append(replace(twin, story=f"{story} {twin.story}", recent=one))
        else:
            found.append(
                Entry(
                    Path(one.source).name,
                    one.title,
                    story,
                    one.source,
                    is_capture=one.kind == CAPTURE,
                    is_talk=one.kind == TALK,
                    recent=one,
                )
            )
    return tuple(found)


def _known_as(path: str, names: dict[str, str]) -> str:
    """The name under which a file is known here, or else its path."""
    return next((name for name, known in names.items() if name and known == path), path)


def _found(name: str) -> str:
    try:
        return str(find(name).absolute())
    except ScenarioError:
        return ""


def _sample_names() -> dict[str, str]:
    return {one.name: str(one.path) for one in samples()}
