"""A talk as it is given: scenes in order, each with its run, its stops and what is said at them.

Plain values made of a talk file (`talk_schema`); reading one is `talk_load`. Knows no run and no
screen: where in a run a stop comes is found by `stops`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.schema import Question, Scenario

PANES: Final = ("threads", "locks")
"""What is seen where a scene does not say."""
READ_CHARACTERS_PER_S: Final = 14
"""How fast an audience reads a caption while it looks at something else."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A moment of a scene with its caption; "", () and None leave things as they were before."""

    say: str
    note: str = ""
    at_ns: int | None = None
    """A simulated time; None when the moment is an event or the end."""
    when: str = ""
    """An event (`moments`); "" when the moment is a time or the end."""
    kind: str = ""
    kernel: str = ""
    """In a scene of the matrix: the cell to go to."""
    panes: tuple[str, ...] = ()
    focus: str = ""
    speed_ns: int | None = None
    thread: str = ""
    pause: bool = True
    is_cue: bool = False
    """It is a cue of the scenario, not a stop that the talk has written."""
    line: int = 0
    """Where in the talk's file it stands; 0 for what it has from elsewhere."""

    @property
    def is_end(self) -> bool:
        """Whether it comes when the scene's run is over."""
        return self.at_ns is None and not self.when and not self.kind and not self.kernel

    @property
    def read_s(self) -> float:
        """Seconds that it takes to read the caption."""
        return len(self.say) / READ_CHARACTERS_PER_S


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the audience and the moment for it, told as in a Stop; `right` is from 1."""

    ask: str
    answers: tuple[str, ...]
    right: int
    why: str
    note: str = ""
    at_ns: int | None = None
    when: str = ""
    is_of_scenario: bool = False
    line: int = 0

    @property
    def is_end(self) -> bool:
        """Whether it comes when the scene's run is over."""
        return self.at_ns is None and not self.when


@dataclass(frozen=True, slots=True)
class MatrixPart:
    """What a scene shows of the matrix; () is all of it, "" the first row or the last column."""

    kind: str = ""
    kernel: str = ""
    kernels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """How the screen stands at a moment of a scene, all things said."""

    say: str
    note: str
    panes: tuple[str, ...]
    focus: str
    """The pane to look at; always one of the panes."""
    speed_ns: int | None
    """Simulated ns in a second; None is the scenario's own."""
    thread: str
    kind: str = ""
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of a talk, with everything in it that does not depend on its run."""

    number: int
    """From 1."""
    title: str
    card: bool
    topics: tuple[str, ...]
    minutes: float
    say: str
    note: str
    scenario: str
    """Its name or its path, as `open_scenario` takes it; "" for a card or the matrix."""
    overrides: Overrides = NO_CHANGES
    compare: tuple[Overrides, ...] = ()
    """The runs side by side, `overrides` in each; () is one run."""
    labels: tuple[str, ...] = ()
    """What the compared runs are called, as the file has it."""
    align: str = "work"
    """Whether compared runs stand where as much was done, or ("time") at the same time."""
    verdict: bool = True
    """Whether the stage says which of the compared runs is ahead, and how far."""
    matrix: MatrixPart | None = None
    panes: tuple[str, ...] = PANES
    focus: str = ""
    begin_ns: int | None = None
    begin_when: str = ""
    """Where it begins; None and "" is the run's beginning."""
    speed_ns: int | None = None
    thread: str = ""
    stops: tuple[Stop, ...] = ()
    """All that stop it, in the order of the file; cues come after the talk's own stops.

    After the last one that comes the scene is over, so that a scene with stops of its own ends
    where its last caption does.
    """
    questions: tuple[Asked, ...] = ()

    @property
    def beats(self) -> tuple[Stop | Asked, ...]:
        """Stops and questions in the order of the file, which is that in which they should come.

        What is the scenario's own stands behind them.
        """
        beats: list[Stop | Asked] = [*self.stops, *self.questions]
        return tuple(sorted(beats, key=lambda one: (not one.line, one.line)))

    @property
    def runs(self) -> tuple[Overrides, ...]:
        """The changes of each of its runs; () when it shows none. Stops come in the first."""
        if not self.scenario:
            return ()
        return self.compare or (self.overrides,)

    @property
    def begin(self) -> View:
        """How it begins."""
        part = self.matrix or MatrixPart()
        focus = self.focus if self.focus in self.panes else self.panes[0]
        return View(
            self.say, self.note, self.panes, focus, self.speed_ns, self.thread,
            part.kind, part.kernel,
        )  # fmt: skip

    def view(self, reached: Iterable[Stop]) -> View:
        """How the screen stands after stops, given in the order in which they came."""
        now = self.begin
        for stop in reached:
            panes = stop.panes or now.panes
            focus = stop.focus or (now.focus if now.focus in panes else panes[0])
            if focus not in panes:
                # It takes the place of the smallest, so that the others stay where they were.
                panes = (*panes[:-1], focus) if len(panes) > 1 else (focus,)
            now = View(
                stop.say or now.say,
                stop.note,
                panes,
                focus,
                now.speed_ns if stop.speed_ns is None else stop.speed_ns,
                stop.thread or now.thread,
                stop.kind or now.kind,
                stop.kernel or now.kernel,
            )
        return now


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk."""

    name: str
    """Short, as `pfviz play` takes it."""
    path: str
    title: str
    story: str
    sources: tuple[str, ...]
    minutes: float
    """How long it is meant to take."""
    scenes: tuple[Scene, ...]
    scenarios: dict[str, Scenario] = field(repr=False, compare=False)
    """The scenarios of its scenes by `Scene.scenario`, as their files say."""

    def begins_min(self, scene: Scene) -> float:
        """Minutes of the talk that are planned before a scene."""
        return sum(one.minutes for one in self.scenes[: scene.number - 1])

    def questions(self) -> tuple[Asked, ...]:
        """Everything that the audience is asked."""
        return tuple(one for scene in self.scenes for one in scene.questions)


def asked_of(question: Question, at_ns: int | None) -> Asked:
    """A scenario's own question as a talk asks it."""
    return Asked(
        question.ask, question.answers, question.right, question.why, "", at_ns, question.when, True
    )
