"""A talk as the pages of its notes: paged by hand, or turned by what the stage tells.

Knows no link, no clock and no screen; what they say is given to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pfviz.scenario.talk import Asked, Scene, Stop, Talk
from pfviz.views.notes import NotesMoment
from pfviz.views.stage_walk import CARD, WHY, is_words_only

LATER: Final = 12
"""So many captions beyond the next one are shown where there is room."""


@dataclass(frozen=True, slots=True)
class Page:
    """A place of a talk: where a scene begins, one of its stops, or a question in it."""

    scene: Scene
    number: int
    """How many beats of the scene are behind, this one included; 0 where it begins."""
    beat: Stop | Asked | None = None

    @property
    def caption(self) -> str:
        """What the audience reads there."""
        if isinstance(self.beat, Asked):
            return self.beat.ask
        return self.scene.view(self._reached).say or self.scene.title

    @property
    def note(self) -> str:
        """What the speaker says there."""
        return self.scene.note if self.beat is None else self.beat.note

    @property
    def _reached(self) -> list[Stop]:
        return [one for one in self.scene.beats[: self.number] if isinstance(one, Stop)]


class Pages:
    """All pages of a talk, and the one that is open."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.pages = tuple(
            Page(scene, number, beat)
            for scene in talk.scenes
            for number, beat in enumerate((None, *scene.beats))
        )
        self.at = 0
        self._told: Mapping[str, Any] = {}

    def renewed(self, talk: Talk) -> Pages:
        """The pages of the talk as it was written anew, open at the same place."""
        pages = Pages(talk)
        pages.at = min(self.at, len(pages.pages) - 1)
        if self._told:
            pages.follow(self._told)
        return pages

    @property
    def page(self) -> Page:
        """The page that is open."""
        return self.pages[self.at]

    def turn(self, pages: int) -> None:
        """So many pages on, by hand."""
        self._told = {}
        self.at = min(max(self.at + pages, 0), len(self.pages) - 1)

    def follow(self, state: Mapping[str, Any]) -> None:
        """Open the page of what the stage shows; a state of another talk opens none."""
        self._told = {}
        if not self.is_of_talk(state):
            return
        found = [index for index, page in enumerate(self.pages) if _is_shown(page, state)]
        if found:
            self.at = found[0]
            self._told = state

    def is_of_talk(self, state: Mapping[str, Any]) -> bool:
        """Whether the stage shows this talk."""
        return state.get("talk") == self.talk.path or state.get("title") == self.talk.title

    def moment(self) -> NotesMoment:
        """What the page says; times, link and keys are for others to fill in."""
        page, scene, told = self.page, self.page.scene, self._told
        beats = scene.beats
        asked = page.beat if isinstance(page.beat, Asked) else None
        coming = next((one for one in beats[page.number :] if isinstance(one, Asked)), None)
        station, stations = _number(told, "station"), _number(told, "stations")
        share = station / stations if stations else page.number / (len(beats) + 1)
        # While the title stands alone, where the scene begins is still to come.
        alone = told.get("kind") == CARD and not is_words_only(scene) and bool(scene.say)
        coming_at = self.at if alone else self.at + 1
        following = self.pages[coming_at] if coming_at < len(self.pages) else None
        return NotesMoment(
            title=self.talk.title,
            scene=scene.number,
            scenes=len(self.talk.scenes),
            scene_title=scene.title,
            place=f"{page.number} of {len(beats)}" if page.number else "",
            share=share,
            caption=str(told.get("caption") or page.caption),
            note=str(told.get("note") or page.note),
            following=str(told.get("next") or (following.caption if following else "")),
            later=tuple(
                ("" if one.number else f"scene {one.scene.number}", one.caption)
                for one in self.pages[coming_at + 1 : coming_at + 1 + LATER]
            ),
            asked=asked,
            coming=coming,
            minutes=self.talk.minutes,
            said=_elsewhere(told),
            is_warning=bool(told.get("blank") or told.get("manual")),
        )

    def behind_s(self, elapsed_s: float) -> float:
        """Seconds behind the plan, negative ahead of it; 0 within what the page may take."""
        page, scene = self.page, self.page.scene
        beats = len(scene.beats) + 1
        begins_s = self.talk.begins_min(scene) * 60
        first_s = begins_s + scene.minutes * 60 * page.number / beats
        last_s = begins_s + scene.minutes * 60 * (page.number + 1) / beats
        return min(elapsed_s - first_s, 0.0) + max(elapsed_s - last_s, 0.0)


def _is_shown(page: Page, state: Mapping[str, Any]) -> bool:
    """Whether a page is the one for a state of the stage (`stage_state`)."""
    if page.scene.number != state.get("scene"):
        return False
    asked = _number(state, "asked", -1)
    if asked >= 0:
        return asked < len(page.scene.questions) and page.beat is page.scene.questions[asked]
    if isinstance(page.beat, Asked):
        return False
    reached = sum(isinstance(one, Stop) for one in page.scene.beats[: page.number])
    return reached == _number(state, "reached")


def _elsewhere(state: Mapping[str, Any]) -> str:
    if state.get("manual"):
        return "the lab is shown: F5 goes back to the talk"
    if state.get("blank"):
        return "the screen is blank"
    if state.get("kind") == WHY:
        return "the answer is shown"
    return "following the stage" if state else ""


def _number(state: Mapping[str, Any], name: str, otherwise: int = 0) -> int:
    value = state.get(name)
    return value if isinstance(value, int) else otherwise
