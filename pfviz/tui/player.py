"""The player: a cursor in simulated time over a run that is still being computed, and its speed.

It knows no screen and no wall clock: `tick` is told how much time went by, `work` how much it may
take. All moments are positions, counts of events that have happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.scenario.schema import Question
from pfviz.views import timeline as grains
from pfviz.views.bars import speed_text
from pfviz.views.frame import Frame
from pfviz.views.numbers import clock, count
from pfviz.views.speeds import IDLE_S, LADDER_NS, first_rung
from pfviz.views.threads import round_up

from .landmarks import Landmarks
from .run import Run

if TYPE_CHECKING:
    from .chooser import Decision

UNITS: Final = (grains.STEP, grains.EVENT, grains.FAULT, grains.HANDOVER)
"""What the arrows can step by, in the order in which the unit key goes through them."""

EVENTS_PER_TICK_MAX: Final = 4_000
AHEAD_S: Final = 1.5
AHEAD_EVENTS: Final = 60_000
"""How far the engine runs ahead of the cursor: so many seconds of play, at most so many events."""


@dataclass(slots=True)
class Errand:
    """Something that is looked for in the part of the run that is not computed yet."""

    what: str
    find: Callable[[], int | None]
    arrived: str = ""
    """What to say once there."""
    play_on: bool = False
    """Whether to play from there."""
    after_ns: int = 0
    """How long after the event at that place, if the next one is not there before."""


class Player:
    """Where in a run we are, and everything that moves that place."""

    def __init__(self, run: Run, say: Callable[[str], None] = lambda _: None) -> None:
        self.run = run
        self.say = say
        self.index = run.origin
        self.now_ns = 0
        """The play cursor; never behind the event at `index`."""
        self.present = run.origin
        """The furthest position that was ever shown."""
        self.playing = False
        self.heeds_stops = True
        """Whether breakpoints and pausing cues stop it; a preview runs through."""
        self.asks = False
        """Whether the scenario's questions stop it, too; who looks at `asked` asks them."""
        self.asked: Question | None = None
        """The question that has stopped it."""
        self.errand: Errand | None = None
        self.unit = self.units[0]
        self.skipped_ns = 0
        """The stretch without events that the last tick skipped; 0 when it did not."""
        self.marks = Landmarks(run.log)
        self._ns_left = 0.0
        run.prepare()
        # Grace periods end long after the last thread did: the busy part is what should be seen.
        busy_ns = run.timeline.time_at(self.at_share(9, 10))
        self.rung = first_rung(run.step_ns, busy_ns, run.wanted_speed_ns)

    # What is seen

    @property
    def frame(self) -> Frame:
        """Everything known at the cursor; lent until the next call."""
        return self.run.timeline.at(self.index)

    @property
    def units(self) -> tuple[str, ...]:
        """What the arrows can step by here: a capture has no steps."""
        return UNITS if self.run.has_steps else UNITS[1:]

    def next_unit(self) -> str:
        """Let the arrows step by the next unit; its name."""
        self.unit = self.units[(self.units.index(self.unit) + 1) % len(self.units)]
        return self.unit

    @property
    def in_past(self) -> bool:
        """Whether a later moment was already shown."""
        return self.index < self.present

    @property
    def at_end(self) -> bool:
        """Whether nothing comes after the cursor, now or ever."""
        return self.run.finished and self.index >= len(self.run.timeline)

    @property
    def speed_ns(self) -> int:
        """Simulated nanoseconds per second of play."""
        return LADDER_NS[self.rung]

    def at_share(self, part: int, whole: int) -> int:
        """The position at a share of the events that are known: what the seek bar shows."""
        origin = self.run.origin
        return origin + (len(self.run.timeline) - origin) * part // max(whole, 1)

    @property
    def bar_events(self) -> int:
        """How many events the seek bar is long: all, or a round number while not all are known."""
        known = max(len(self.run.timeline) - self.run.origin, 1)
        return known if self.run.finished else round_up(known + known // 10)

    # Playing

    def toggle(self) -> None:
        """Play or pause; at the end of the run, play says that it has ended."""
        self.errand = None
        if not self.playing and self.at_end:
            self.say("The run has ended here. {go.g} goes to its start, {step.back} steps back.")
            return
        self.playing = not self.playing

    def pause(self) -> None:
        """Stop playing and whatever is being looked for."""
        self.playing = False
        self.errand = None

    def faster(self, rungs: int) -> None:
        """Change the speed by so many rungs of the ladder."""
        before = self.rung
        self.rung = max(0, min(self.rung + rungs, len(LADDER_NS) - 1))
        if self.rung == before:
            self.say("There is no speed beyond this one.")

    def tick(self, wall_s: float) -> bool:
        """Let so much of the viewer's time pass; whether anything moved."""
        self.skipped_ns = 0
        if not self.playing or self.errand:
            return False
        timeline = self.run.timeline
        self._ns_left += self.speed_ns * wall_s
        whole = int(self._ns_left)
        self._ns_left -= whole
        until_ns = self.now_ns + whole
        if self.index < len(timeline):
            next_ns = timeline.time_at(self.index + 1)
            if next_ns - self.now_ns > self.speed_ns * IDLE_S:
                self.skipped_ns = next_ns - until_ns
                until_ns = next_ns
        until_ns = min(until_ns, self.run.known_ns)
        if until_ns < self.now_ns or (until_ns == self.now_ns and not self.at_end):
            return False
        target = min(timeline.index_at(until_ns), self.index + EVENTS_PER_TICK_MAX)
        self._arrive(target, until_ns)
        return True

    def _arrive(self, target: int, until_ns: int) -> None:
        """Move on to `target`, or to what stops us before it."""
        stop = None
        if self.heeds_stops:
            stop = self.marks.first_stop(self.run.cues.found(), self.index, target)
        if self.asks and self._stopped_by_question(target if stop is None else stop[0]):
            return
        if stop is not None:
            target, why = stop
            self._place(target)
            self.playing = False
            self.say(why)
            return
        moved_all = target == self.run.timeline.index_at(until_ns)
        self._place(target)
        if moved_all:
            self.now_ns = max(self.now_ns, until_ns)
        if self.at_end:
            self.playing = False
            self.say(self.run.words_of_end())

    def _stopped_by_question(self, upto: int) -> bool:
        """Stop at the first question in what is played next, a stop at the same place included."""
        for place in self.run.askings.found():
            if self.index < place.position <= upto:
                self._place(place.position)
                self.playing = False
                self.asked = self.run.questions[place.number - 1]
                return True
        return False

    # Moving

    def _place(self, index: int) -> None:
        self.index = index
        self.now_ns = self.run.timeline.time_at(index)
        self.present = max(self.present, index)

    def go(self, index: int) -> None:
        """Show another position; playing stops."""
        self.pause()
        self._place(max(self.run.origin, min(index, len(self.run.timeline))))

    def by(self, unit: str, direction: int) -> None:
        """Go to the next or previous step, event, fault, hand-over or cue."""
        if unit == grains.STEP and not self.run.has_steps:
            unit = grains.EVENT
        if unit == grains.CUE:
            self._by_cue(direction)
        elif direction < 0:
            self._back(unit)
        else:
            self._forward(unit)

    def _back(self, unit: str) -> None:
        if self.index <= self.run.origin:
            self.say("This is the start of the run.")
            return
        timeline = self.run.timeline
        if not timeline.count(self.index - 1, unit) and unit not in (grains.STEP, grains.EVENT):
            self.say(f"There is no {unit} before this moment.")
            return
        self.go(timeline.previous(self.index, unit))

    def _forward(self, unit: str) -> None:
        timeline, start = self.run.timeline, self.index
        seen = timeline.count(start, unit)

        def find() -> int | None:
            known = timeline.count(len(timeline), unit) > seen
            return timeline.next(start, unit) if known else None

        self.look_for(Errand(f"the next {unit}", find))

    def _by_cue(self, direction: int) -> None:
        cues = self.run.cues
        if not cues:
            self.say("This run has no cues: a scenario's author sets them with [[cue]].")
            return
        if direction < 0:
            before = [cue for cue in cues.found() if cue.position < self.index]
            self.go(before[-1].position) if before else self.say("No cue comes before this one.")
            return
        start = self.index

        def find() -> int | None:
            later = [cue.position for cue in cues.found() if cue.position > start]
            return min(later, default=None)

        self.look_for(Errand("the next cue", find))

    def look_for(self, errand: Errand) -> None:
        """Go where an errand leads, now or as soon as the run is known that far."""
        self.pause()
        self.errand = errand
        self._pursue()

    def _pursue(self) -> None:
        errand = self.errand
        if errand is None:
            return
        found = errand.find()
        if found is not None:
            self.go(found)
            self.now_ns = max(self.now_ns, min(self.now_ns + errand.after_ns, self._next_ns() - 1))
            self.playing = errand.play_on
            self.say(errand.arrived)
        elif self.run.finished:
            self.errand = None
            self.say(f"The run ends without {errand.what}.")

    def _next_ns(self) -> int:
        """When the next event comes, as far as that is known."""
        timeline = self.run.timeline
        if self.index < len(timeline):
            return timeline.time_at(self.index + 1)
        return self.run.known_ns + 1

    def go_along_bar(self, column: int, width: int) -> None:
        """To a column of the seek bar, or as far as the run is known."""
        origin, last = self.run.origin, len(self.run.timeline)
        self.go(min(origin + self.bar_events * column // max(width - 1, 1), last))

    def go_start(self) -> None:
        """To the start of the run."""
        self.go(self.run.origin)

    def go_end(self) -> None:
        """From the past to the present; from there to the end of the run."""
        if self.in_past:
            self.go(self.present)
            return
        timeline, run = self.run.timeline, self.run
        if self.at_end:
            self.say("This is the end of the run.")
            return
        end = Errand("an end", lambda: len(timeline) if run.finished else None)
        self.look_for(end)

    # Search, bookmarks

    def search(self, text: str) -> None:
        """Look for rows that answer to every word, and go to the first one from here on."""
        self.marks.search(text)
        if self.marks.hits is not None:
            self.found(1)

    def found(self, direction: int) -> None:
        """To the next or the previous hit of the search."""
        marks, start = self.marks, self.index
        if marks.hits is None:
            self.say("Nothing was searched yet: / starts a search.")
            return
        if direction < 0:
            at = marks.hit_before(start)
            if at is None:
                self.say(f"No {marks.query!r} before this moment.")
            else:
                self.go(at)
                self._tell_hit(at)
            return

        def find() -> int | None:
            at = marks.hit_after(start)
            if at is None or at > len(self.run.timeline):
                return None
            self._tell_hit(at)
            return at

        self.look_for(Errand(f"another {marks.query!r}", find))

    def _tell_hit(self, position: int) -> None:
        who = self.frame.label(self.run.log.row(position - 1)[2])
        self.say(self.marks.words_of_hit(position, who, self.run.finished))

    def toggle_bookmark(self) -> None:
        """Set a bookmark here, or take away the one that is here."""
        self.say(self.marks.toggle_bookmark(self.index))

    def next_bookmark(self) -> None:
        """To the next bookmark, then round to the first."""
        mark = self.marks.next_bookmark(self.index)
        if mark is None:
            self.say("There are no bookmarks yet: {mark.set} sets one.")
        else:
            self.go(mark)

    # Deciding who runs

    def next_decision(self, ask: Callable[[Decision], None]) -> None:
        """Go to the next moment at which several tasks could run, and ask about it there."""
        chooser, start = self.run.chooser, self.index
        if chooser is None:
            self.say("A capture has happened already: nobody can choose who runs.")
            return

        def find() -> int | None:
            decision = chooser.after(start)
            if decision is None or decision.position > len(self.run.timeline):
                return None
            self.go(decision.position)
            ask(decision)
            return decision.position

        self.look_for(Errand("a moment at which several threads could run", find))

    # The engine

    def work(self, seconds: float) -> bool:
        """Compute ahead for at most so long; whether there is more to compute soon."""
        if self.run.finished:
            self._pursue()
            return False
        self.run.advance(seconds)
        self._pursue()
        return not self.run.finished and (self.errand is not None or not self._far_enough())

    def _far_enough(self) -> bool:
        timeline = self.run.timeline
        if len(timeline) - self.index > AHEAD_EVENTS:
            return True
        ahead_ns = self.run.known_ns - self.now_ns
        return ahead_ns > self.speed_ns * AHEAD_S and len(timeline) - self.index > AHEAD_EVENTS // 2

    def where(self) -> str:
        """The moment in words: `12.431 µs, step 412`."""
        steps = self.run.timeline.count(self.index, grains.STEP)
        return f"{clock(self.now_ns)}, step {count(steps)}"

    def speed_text(self) -> str:
        """The speed as the header writes it: `1 s = 2 µs`."""
        return speed_text(self.speed_ns)
