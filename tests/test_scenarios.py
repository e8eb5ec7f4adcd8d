"""Every scenario that ships is held to its claims; and each claim is shown to be able to fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pfviz.report.check import check
from pfviz.report.source import open_scenario
from pfviz.scenario.build import build
from pfviz.scenario.load import bundled
from pfviz.scenario.moments import Moments
from pfviz.scenario.schema import Policy, Scenario
from pfviz.scenario.write import to_toml

NAMES = [path.stem for path in bundled()]

REQUIRED = {
    "hello-fault", "fault-storm", "one-vma-storm", "smaps-monitor", "writer-convoy", "two-mallocs",
    "fault-vs-munmap", "fork-vs-faults", "file-io-wait", "lockless-abort",
}  # fmt: skip


def test_the_stories_that_must_be_told_are_there() -> None:
    assert set(NAMES) >= REQUIRED


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_as_it_claims(name: str) -> None:
    verdict = check(open_scenario(name), name)
    assert verdict.holds, "\n".join(verdict.lines())


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_has_a_story_sources_and_cues_that_come(name: str) -> None:
    scenario = open_scenario(name)
    assert len(scenario.story.split()) > 30
    assert scenario.sources
    assert len(scenario.cue) >= 2
    engine = build(scenario)
    engine.run()
    moments = Moments([cue.when for cue in scenario.cue if cue.when])
    moments.extend(engine.log)
    missing = [when for when, row in zip(moments.texts, moments.found, strict=True) if row is None]
    assert not missing


def group(scenario: Scenario, name: str, **changes: Any) -> Scenario:
    """The scenario with one group of threads changed."""
    assert any(one.name == name for one in scenario.thread)
    groups = tuple(replace(one, **changes) if one.name == name else one for one in scenario.thread)
    return replace(scenario, thread=groups)


def workload(scenario: Scenario, name: str, **changes: Any) -> Scenario:
    """The scenario with the workload of one group changed."""
    work = next(one.workload for one in scenario.thread if one.name == name)
    assert not isinstance(work, str)
    return group(scenario, name, workload=replace(work, **changes))


def vma(scenario: Scenario, name: str, **changes: Any) -> Scenario:
    """The scenario with one VMA changed."""
    assert any(one.name == name for one in scenario.vma)
    vmas = tuple(replace(one, **changes) if one.name == name else one for one in scenario.vma)
    return replace(scenario, vma=vmas)


SPOILERS: dict[str, Callable[[Scenario], Scenario]] = {
    # name: what takes the effect away that the scenario is about
    "hello-fault": lambda s: replace(s, mode="mmap_lock"),
    "fault-storm": lambda s: replace(s, machine="single"),
    "one-vma-storm": lambda s: replace(s, machine="single"),
    "smaps-monitor": lambda s: vma(s, "cache", resident=0),
    "writer-convoy": lambda s: group(s, "churn", count=1),
    "two-mallocs": lambda s: replace(s, policy=Policy(merge=False)),
    "fault-vs-munmap": lambda s: group(s, "unmapper", start="1ms"),
    "fork-vs-faults": lambda s: vma(s, "cache", resident=0),
    "file-io-wait": lambda s: replace(s, file=tuple(replace(one, cached="all") for one in s.file)),
    "lockless-abort": lambda s: workload(s, "protector", pause="1ms"),
    "stack-growth": lambda s: vma(s, "stack", kind="anon"),
    "maps-vs-smaps": lambda s: vma(s, "lib", count=2),
    "first-touch": lambda s: group(
        s, "filler", op=tuple(replace(one, apart=512, stride=1) for one in s.thread[0].op)
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_fails_when_its_effect_is_taken_away(name: str) -> None:
    spoiled = SPOILERS[name](open_scenario(name))
    assert not check(spoiled, name).holds


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    scenario = open_scenario(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(to_toml(scenario))
    assert open_scenario(str(path)) == scenario


DIGESTS = """
import sys
from pfviz.scenario.build import build
from pfviz.scenario.load import load
for name in sys.argv[1:]:
    engine = build(load(name))
    while engine.run(steps_max=997):
        pass
    print(name, engine.log.digest())
"""


def digests(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, *NAMES],
        env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_runs_depend_neither_on_the_hash_seed_nor_on_how_they_are_cut_into_pieces() -> None:
    one = digests("1")
    assert one == digests("2")
    expected = dict(line.split() for line in one.splitlines())
    engine = build(open_scenario("two-mallocs"))
    engine.run()
    assert engine.log.digest() == expected["two-mallocs"]


@pytest.mark.parametrize("name", ["two-mallocs", "fork-vs-faults", "file-io-wait"])
def test_a_copied_world_goes_on_as_the_original(name: str) -> None:
    engine = build(open_scenario(name))
    engine.run(steps_max=500)
    twin = engine.copy(with_log=True)
    engine.run()
    twin.run()
    assert twin.log.digest() == engine.log.digest()
