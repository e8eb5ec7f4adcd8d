"""The shape of a talk file: every table and every key that may stand in one.

Types and bounds only; what they become is `talk`, whether names fit together is `talk_checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

from pfviz.scenario.operations import Table, Time
from pfviz.scenario.schema import Mode, Name, Number, Pane
from pfviz.scenario.times import PATTERN

SCHEMA_URL: Final = "./pfviz-talk-1.json"
END: Final = "end"
PANES_MAX: Final = 3

Shown = Literal["threads", "locks", "address", "tree", "latency", "steps", "counters"]
Panes = Annotated[
    tuple[Shown, ...],
    Meta(max_length=PANES_MAX, description="which panes are seen; the first is the largest"),
]
Caption = Annotated[str, Meta(description="what the audience reads from this moment on")]
Note = Annotated[str, Meta(description="for the speaker only")]
TimeOrEnd = Annotated[
    str, Meta(pattern=f"{PATTERN}|^{END}$", description='a time, or "end": when all is over')
]
Which = Literal["own", "scenario", "both"]


class StopTable(Table, frozen=True, kw_only=True):
    """A moment of a scene at which the speaker has something to say."""

    say: Caption = ""
    note: Note = ""
    at: TimeOrEnd | None = None
    when: Annotated[str, Meta(description='an event: "lock_acquired lock=mmap_lock"')] = ""
    kind: Annotated[str, Meta(description="in a matrix: the row to go to")] = ""
    kernel: Annotated[str, Meta(description="in a matrix: the column to go to")] = ""
    panes: Panes = ()
    focus: Annotated[Pane, Meta(description="the pane to look at, shown if it was not")] = ""
    speed: Time | None = None
    thread: Annotated[str, Meta(description="select this thread")] = ""
    pause: Annotated[bool, Meta(description="false: only the caption changes")] = True


class QuestionTable(Table, frozen=True, kw_only=True):
    """A question to the audience at a moment of a scene; `right` counts from 1."""

    ask: str
    answers: Annotated[tuple[str, ...], Meta(min_length=2, max_length=9)]
    right: Annotated[int, Meta(ge=1, le=9)]
    why: str
    note: Note = ""
    at: TimeOrEnd | None = None
    when: str = ""


class MatrixTable(Table, frozen=True, kw_only=True):
    """The matrix of faults and kernels instead of a scenario."""

    kind: Annotated[str, Meta(description="the row to begin at")] = ""
    kernel: Annotated[str, Meta(description="the column to begin at")] = ""
    kernels: Annotated[tuple[str, ...], Meta(description="columns; left out: all")] = ()
    kinds: Annotated[tuple[str, ...], Meta(description="rows; left out: all")] = ()


class SceneTable(Table, frozen=True, kw_only=True):
    """A part of a talk: a scenario with changes, a comparison, the matrix, or words alone."""

    title: Name
    card: Annotated[bool, Meta(description="show the title large on its own first")] = False
    topics: tuple[str, ...] = ()
    minutes: (
        Annotated[
            float, Meta(gt=0, le=600, description="planned; left out: a share of what is left")
        ]
        | None
    ) = None
    say: Caption = ""
    note: Note = ""
    scenario: Annotated[str, Meta(description="a name, or a path from the talk's folder")] = ""
    kernel: str = ""
    mode: Mode | Literal[""] = ""
    machine: str = ""
    threads: Number = 0
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] | None = None
    until: Time | None = None
    without: Annotated[tuple[str, ...], Meta(description="threads that stay out")] = ()
    policy: dict[str, bool | int | str] = field(default_factory=dict)
    compare: Annotated[
        tuple[str, ...],
        Meta(max_length=3, description='runs side by side: "per-vma", "6.4", "merge=false"'),
    ] = ()
    align: Annotated[
        Literal["work", "time"],
        Meta(description="compared runs stand where as much was done, or at the same time"),
    ] = "work"
    verdict: Annotated[
        bool, Meta(description="whether the stage says which of compared runs is ahead")
    ] = True
    matrix: MatrixTable | None = None
    panes: Panes = ()
    focus: Pane = ""
    begin: Annotated[str, Meta(description="where it begins: a time or an event")] = field(
        default="", name="from"
    )
    speed: Annotated[Time, Meta(description="simulated time in a second")] | None = None
    thread: Annotated[str, Meta(description="select this thread")] = ""
    cues: Annotated[
        Which | None, Meta(description="what stops it: its stops, the scenario's cues, both")
    ] = None
    stop: tuple[StopTable, ...] = ()
    question: tuple[QuestionTable, ...] = ()


class TalkTable(Table, frozen=True, kw_only=True):
    """A whole talk: scenes in the order in which they are shown."""

    schema_version: Literal[1]
    title: Name
    name: Annotated[str, Meta(description="short name; left out: that of the file")] = ""
    story: str = ""
    sources: tuple[str, ...] = ()
    minutes: Annotated[float, Meta(gt=0, le=600, description="how long it is meant to take")] = 20.0
    scene: Annotated[tuple[SceneTable, ...], Meta(min_length=1)]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a talk file, for editors (`#:schema` on its first line)."""
    schema = msgspec.json.schema(TalkTable)
    schema["title"] = "pfviz talk"
    return schema
