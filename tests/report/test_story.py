"""Runs and captures told in sentences: would somebody who only listens understand them?"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from pfviz.report import capture
from pfviz.report.run import Finished, Runs
from pfviz.report.source import open_scenario
from pfviz.report.story import scenario_story
from pfviz.scenario.overrides import Overrides
from pfviz.sim import event as ev
from pfviz.trace.samples import samples
from pfviz.views.story import LINES_MAX, run_lines, said, sentences

GOLDEN = Path(__file__).parent.parent / "golden"
CAPTURES = Path(__file__).parent.parent / "data" / "traces"
TOLD = ("hello-fault", "two-mallocs", "swap-in", "userfaultfd-hold", "fork-vs-faults")


@cache
def finished(name: str) -> Finished:
    return Runs(open_scenario(name)).finish(Overrides(), with_claims=name == "hello-fault")


@cache
def story(name: str) -> tuple[str, ...]:
    return tuple(scenario_story(finished(name)))


@pytest.mark.parametrize("name", ["hello-fault", "two-mallocs"])
def test_the_story_is_the_one_that_was_read_and_found_good(name: str) -> None:
    golden = GOLDEN / f"story-{name}.txt"
    assert story(name) == tuple(golden.read_text().splitlines())


@pytest.mark.parametrize("name", TOLD)
def test_it_is_short_and_made_of_words_alone(name: str) -> None:
    lines = story(name)
    assert 20 <= len(lines) <= LINES_MAX
    for line in lines:
        assert re.fullmatch(r"[\x20-\x7e]+", line), line
        assert not re.search(r"\d (ns|us|ms|s)\b", line), line
        assert line[-1] in ".?:!", line


@pytest.mark.parametrize("name", TOLD)
def test_every_caption_that_comes_and_every_question_is_said(name: str) -> None:
    run = finished(name)
    heard = "\n".join(story(name))
    log, scenario = run.log, run.scenario
    kernel, mode = run.object["kernel"], run.object["mode"]
    from pfviz.views.cues import Cues

    cues = tuple(cue for cue in scenario.cue if cue.comes_in(kernel, mode))
    for place in Cues(cues, log, lambda: run.object["last_event_ns"]).found():
        assert all(one in heard for one in sentences(place.caption))
    for question in scenario.question:
        if question.comes_in(kernel, mode):
            assert said(question.answers[question.right - 1]) in heard


@pytest.mark.parametrize("name", TOLD)
def test_whoever_waited_for_a_tenth_of_the_run_is_named_with_a_reason(name: str) -> None:
    log, end_ns = finished(name).log, finished(name).object["now_ns"]
    names = {task: log.texts[a] for _, kind, task, a, *_ in log if kind == ev.TASK_NEW}
    waited: Counter[int] = Counter()
    for _, kind, task, _, _, lasted, rest in log:
        if kind == ev.CONTENTION_END:
            waited[task] += lasted
        elif kind == ev.IO_END and task >= 0:
            waited[task] += rest
    long = [names[task] for task, lasted in waited.items() if lasted >= end_ns / 10]
    for who in long:
        assert any(re.search(rf"\b{re.escape(who)} (waits|spins) ", line) for line in story(name))


def test_many_lines_become_few_when_there_is_little_room() -> None:
    log = finished("fork-vs-faults").log
    short, full = list(run_lines(log, lines_max=30)), list(run_lines(log))
    assert len(short) <= 30
    assert len(full) > len(short)
    assert re.fullmatch(r"The run lasted [\d.]+ \w+\.", short[-1])


def test_a_capture_is_told_too_and_says_what_is_missing() -> None:
    lines = capture.story(str(CAPTURES / "private-t2" / "trace.txt.gz"))
    assert len(lines) <= LINES_MAX
    assert any(line.startswith("Process ") for line in lines)
    assert any(" faults" in line for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("after 412 µs", "after 412 microseconds"),
        ("1 ns, 2.5 ms and 3 s", "1 nanosecond, 2.5 milliseconds and 3 seconds"),
        ("in 6.12 s390", "in 6.12 s390"),
        ("a\x1b[31m b — c", "a?[31m b - c"),
    ],
)
def test_units_are_words_and_nothing_acts_on_a_terminal(text: str, read: str) -> None:
    assert said(text) == read


def test_a_claim_that_compares_runs_is_told_with_both_numbers() -> None:
    heard = scenario_story(Runs(open_scenario("first-touch")).finish())
    assert any(
        re.fullmatch(r"Faults in a second: [\d,]+ in this run, [\d,]+ in mode per-VMA\.", line)
        for line in heard
    )


def test_a_capture_that_ships_is_called_by_its_name() -> None:
    one = next(sample for sample in samples() if sample.name == "race-t3")
    first = capture.story(str(one.path))[0]
    assert first.startswith("race-t3: 2 faulting threads")
    assert "trace.txt" not in first
