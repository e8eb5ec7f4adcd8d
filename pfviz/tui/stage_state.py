"""Where a talk is, as a plain table for the speaker's notes."""

from __future__ import annotations

from typing import Any

from pfviz.views.stage_walk import CARD, WHY, is_words_only

from .stage_show import Show


def state_of(show: Show, is_blank: bool, is_manual: bool) -> dict[str, Any]:
    """What the link tells."""
    act, station = show.act, show.act.station
    view = show.scene.view(station.reached)
    asked = station.asked
    return {
        "talk": show.talk.path,
        "title": show.talk.title,
        "scene": show.scene.number,
        "scenes": len(show.talk.scenes),
        "station": act.at,
        "kind": station.kind,
        "reached": len(station.reached),
        "caption": _caption(show),
        "note": asked.note if asked else view.note,
        "next": _next(show),
        "asked": show.scene.questions.index(asked) if asked else -1,
        "stations": act.stations.count_in_all,
        "moving": act.heading,
        "blank": is_blank,
        "manual": is_manual,
    }


def _caption(show: Show) -> str:
    """What the audience reads now."""
    station, scene = show.act.station, show.scene
    if station.asked is not None:
        return station.asked.why if station.kind == WHY else station.asked.ask
    if station.kind == CARD and not is_words_only(scene):
        return scene.title
    return scene.view(station.reached).say


def _next(show: Show) -> str:
    """What the audience will read next; "" at the end of the talk, and while nobody knows."""
    target = show.act.target
    if target is None:
        following = show.talk.scenes[show.scene.number :]
        return (following[0].say or following[0].title) if show.act.is_over and following else ""
    if target.asked is not None:
        return target.asked.why if target.kind == WHY else target.asked.ask
    return show.scene.view(target.reached).say
