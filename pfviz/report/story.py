"""A scenario or a capture told as a story to be read aloud: title, threads, what happened, why.

Composes; the run itself is told by `views.story`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pfviz.report.run import Finished
from pfviz.scenario.overrides import kernel_of, mode_for
from pfviz.scenario.schema import Question
from pfviz.sim.event import EventLog
from pfviz.views.bars import MODE_TITLES
from pfviz.views.cues import Cues, Place
from pfviz.views.figure_words import figure_name, figure_value, other_run
from pfviz.views.numbers import counted, duration
from pfviz.views.story import LINES_MAX, run_lines, said, sentences

MODES_SAID: Final = {
    "mmap_lock": "faults take mmap_lock, the one lock of the whole address space",
    "per-vma": "faults take a lock of their own VMA, and mmap_lock only when that is not enough",
    "lockless": "faults take no lock while they look the VMA up",
}
UNDER: Final = {"vma_lock": "under a VMA lock", "mmap_lock": "under mmap_lock",
                "lockless": "without a lock"}  # fmt: skip
LOCKS_TOLD: Final = 3


def scenario_story(finished: Finished, lines_max: int = LINES_MAX) -> list[str]:
    """A finished run of a scenario, in at most about so many lines."""
    scenario, run = finished.scenario, finished.object
    kernel, mode = kernel_of(scenario, finished.overrides), mode_for(scenario, finished.overrides)
    opening = [
        said(f"{scenario.title}."),
        *sentences(scenario.story),
        said(f"This run: Linux {kernel}, mode {MODE_TITLES[mode]}: {MODES_SAID[mode]}."),
        said(f"The machine is called {run['machine']}; the seed is {run['seed']}."),
    ]
    asked = [one for one in scenario.question if one.comes_in(kernel, mode)]
    closing = [line for one in asked for line in _question(one)]
    closing += _take_away(run)
    cues = tuple(cue for cue in scenario.cue if cue.comes_in(kernel, mode))
    places = Cues(cues, finished.log, lambda: run["last_event_ns"]).found()
    room = max(lines_max - len(opening) - len(closing), 20)
    return [*opening, *run_lines(finished.log, places, room), *closing]


def capture_story(log: EventLog, name: str, lines_max: int = LINES_MAX) -> list[str]:
    """A capture, in at most about so many lines."""
    title = log.meta.get("title", "")
    kind = "a run of pfviz that was recorded" if title else "a recording of a real kernel"
    opening = [said(f"{title or name}; {kind}.")]
    if kernel := log.meta.get("kernel", ""):
        opening.append(said(f"It was made on Linux {kernel}."))
    if log.meta.get("lossy") == "yes":
        opening.append(
            said(f"Events are missing, so what is told is not all: {log.meta['losses']}.")
        )
    notes: tuple[Place, ...] = ()
    return [*opening, *run_lines(log, notes, lines_max - len(opening))]


def _question(one: Question) -> Iterator[str]:
    """A question, its answers, the right one and why."""
    yield from sentences(f"A question: {one.ask}")
    answers = "; ".join(f"{number}, {text}" for number, text in enumerate(one.answers, 1))
    yield said(f"Is it {answers}?")
    yield said(f"The right answer is {one.right}: {one.answers[one.right - 1]}.")
    yield from sentences(one.why)


def _take_away(run: dict[str, Any]) -> Iterator[str]:
    """The figures of the run, and what the scenario claims."""
    faults, took = run["faults"], run["latency_ns"]
    yield "What to take away."
    if faults["count"]:
        under = [f"{number:,} {UNDER[name]}"
                 for name, number in faults["completed_under"].items() if number]  # fmt: skip
        yield said(f"{counted(faults['count'], 'fault')}: {', '.join(under) or 'none ended well'}.")
        rare = f"one in a hundred {duration(took['p99'])} or more"
        half = f"Half of them took {duration(took['p50'])} or less"
        yield said(f"{half}, {rare}, the longest {duration(took['max'])}.")
    waited = sorted(run["locks"], key=lambda lock: -lock["wait_ns"]["total"])[:LOCKS_TOLD]
    for lock in waited:
        if lock["contended"] and lock["wait_ns"]["total"]:
            times = counted(lock["contended"], "time")
            most = duration(lock["wait_ns"]["max"])
            yield said(f"{lock['name']} was waited for {times}, {most} at most.")
    for one in run["broken_rules"]:
        yield said(f"A rule was broken: {one['rule']}.")
    yield from _claims(run["expect"])


def _claims(claims: list[dict[str, Any]]) -> Iterator[str]:
    """What the scenario claims, in its author's words; claims without words are counted."""
    if not claims:
        return
    hold = sum(one["holds"] for one in claims)
    all_hold = "all of them hold" if hold == len(claims) else f"{hold} of them hold"
    yield f"The scenario claims {counted(len(claims), 'thing')}; {all_hold}."
    told: set[str] = set()
    for one in claims:
        if one.get("because"):
            verdict = "Claimed" if one["holds"] else "Claimed, but it does not hold"
            yield from sentences(f"{verdict}: {one['because']}.")
        yield from _compared(one.get("compared", ()), told)


def _compared(figures: Iterable[dict[str, Any]], told: set[str]) -> Iterator[str]:
    """The numbers of this run and of the one that it is compared with, each once."""
    for one in figures:
        what = figure_name(one["path"])
        if what is None:
            continue
        there = f"{figure_value(one['path'], one['there'])} {other_run(one['other_run'])}"
        here = "" if one["here"] is None else figure_value(one["path"], one["here"])
        line = said(f"{what}: {here} in this run, {there}." if here else f"{what}: {there}.")
        if line not in told:
            told.add(line)
            yield line
