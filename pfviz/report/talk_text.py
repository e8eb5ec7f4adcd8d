"""A talk as text: its scenes, what is read on the screen, what the speaker says, the questions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pfviz.scenario.talk import Asked, Scene, Stop, Talk
from pfviz.views.numbers import duration, minutes

_WIDTH = 78


def lines(talk: Talk) -> Iterator[str]:
    """The whole talk, to be printed: one block per stop."""
    yield f"{talk.title} ({talk.minutes:g} minutes)"
    yield from _told("", talk.story)
    for scene in talk.scenes:
        yield ""
        yield from _scene(talk, scene)


def plain(talk: Talk) -> dict[str, Any]:
    """The same as JSON."""
    scenes = []
    for scene in talk.scenes:
        one = asdict(scene)
        one["stops"] = [asdict(stop) | {"is_end": stop.is_end} for stop in scene.stops]
        scenes.append(one)
    names = ("name", "path", "title", "story", "sources", "minutes")
    return {name: getattr(talk, name) for name in names} | {"scenes": scenes}


def _scene(talk: Talk, scene: Scene) -> Iterator[str]:
    topics = f", {' '.join(scene.topics)}" if scene.topics else ""
    begins = minutes(talk.begins_min(scene) * 60)
    yield f"{scene.number} of {len(talk.scenes)}  {scene.title}"
    yield f"  from {begins}, {minutes(scene.minutes * 60)} long{topics}"
    yield from _block("begin", scene.say, scene.note)
    number = 0
    for beat in scene.beats:
        yield ""
        if isinstance(beat, Asked):
            yield from _question(beat)
            continue
        number += 1
        yield from _block(f"stop {number}: {moment(beat)}", beat.say, beat.note)


def _block(title: str, say: str, note: str) -> Iterator[str]:
    yield f"  [{title}]"
    yield from _told("  > ", say)
    yield from _told("    ", note)


def _question(asked: Asked) -> Iterator[str]:
    yield f"  [question: {moment(asked)}]"
    yield from _told("  ? ", asked.ask)
    for number, answer in enumerate(asked.answers, 1):
        yield from _told(f"    {number}{'*' if number == asked.right else ' '} ", answer)
    yield from _told("    ", asked.why)
    yield from _told("    ", asked.note)


def moment(stop: Stop | Asked) -> str:
    """When a stop or a question comes, in words."""
    if stop.is_end:
        return "the end"
    if stop.at_ns is not None:
        return duration(stop.at_ns)
    if stop.when:
        return stop.when
    assert isinstance(stop, Stop)
    return " ".join(word for word in (stop.kind, stop.kernel) if word)


def _told(begin: str, text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n") if text.strip() else ():
        words = " ".join(paragraph.split())
        rest = " " * len(begin)
        yield from textwrap.wrap(words, _WIDTH, initial_indent=begin, subsequent_indent=rest)
        begin = rest
