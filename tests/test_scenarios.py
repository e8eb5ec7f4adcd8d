"""Every scenario that ships is held to its claims; and each claim is shown to be able to fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pfviz.mm import rules
from pfviz.mm.presets import PRESETS
from pfviz.report.check import check
from pfviz.report.run import RULES_EVERY_STEPS
from pfviz.report.source import open_scenario
from pfviz.scenario.build import build, build_with
from pfviz.scenario.load import bundled
from pfviz.scenario.moments import Moments
from pfviz.scenario.overrides import NO_CHANGES, Overrides, mode_for, until_ns_of
from pfviz.scenario.schema import Cue, Policy, Scenario
from pfviz.scenario.write import to_toml
from pfviz.sim.machine import FOREVER_NS

NAMES = [path.stem for path in bundled()]

TYPICAL = ("6.1", "6.4", "6.12", "6.18")
"""Kernels that stand for the others where a cue names none."""

SLICE_STEPS = 4 * RULES_EVERY_STEPS

REQUIRED = {
    "hello-fault", "fault-storm", "one-vma-storm", "smaps-monitor", "writer-convoy", "two-mallocs",
    "fault-vs-munmap", "fork-vs-faults", "file-io-wait", "lockless-abort", "userfaultfd",
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
    mode = mode_for(scenario, NO_CHANGES)
    own = [cue for cue in scenario.cue if cue.comes_in(scenario.kernel, mode)]
    assert len(own) >= 2
    told = [cue for cue in own if mode in cue.modes or scenario.kernel in cue.kernels]
    come = cues_that_come(scenario, scenario.kernel, mode)
    assert [cue.when for cue in told if cue not in come] == []
    assert len(come) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_a_cue_comes_under_every_kernel_and_mode_that_it_names(name: str) -> None:
    scenario = open_scenario(name)
    told = [cue for cue in scenario.cue if cue.modes or cue.kernels]
    named = {kernel for cue in told for kernel in cue.kernels or (scenario.kernel, *TYPICAL)}
    missing, left = [], [cue for cue in scenario.cue if told]
    runs = [(kernel, mode) for kernel in sorted(named) for mode in PRESETS[kernel].modes]
    for kernel, mode in runs:
        meant = [cue for cue in told if cue.comes_in(kernel, mode)]
        found = cues_that_come(scenario, kernel, mode, [*meant, *left])
        missing += [(kernel, mode, cue.when) for cue in meant if cue not in found]
        left = [cue for cue in left if cue not in found]
    assert not missing
    for kernel in PRESETS if left else ():
        for mode in PRESETS[kernel].modes:
            if (kernel, mode) not in runs:
                found = cues_that_come(scenario, kernel, mode, left)
                left = [cue for cue in left if cue not in found]
    assert [cue.when for cue in left] == []


def cues_that_come(
    scenario: Scenario, kernel: str, mode: str, wanted: Sequence[Cue] = ()
) -> list[Cue]:
    """Which of the wanted cues (of all) come in a run of `kernel` in `mode`.

    The run ends with the last of them.
    """
    engine = build_with(scenario, Overrides(kernel=kernel, mode=mode))
    meant = [cue for cue in wanted or scenario.cue if cue.comes_in(kernel, mode) and cue.when]
    moments = Moments([cue.when for cue in meant])
    until_ns, ran = until_ns_of(scenario, NO_CHANGES) or FOREVER_NS, SLICE_STEPS
    while ran == SLICE_STEPS and None in moments.found:
        ran = rules.run(engine, until_ns, SLICE_STEPS, every_steps=RULES_EVERY_STEPS)
        moments.extend(engine.log)
    return [cue for cue, row in zip(meant, moments.found, strict=True) if row is not None]


def test_hello_fault_says_when_mmap_lock_is_taken_and_when_it_is_not() -> None:
    scenario = open_scenario("hello-fault")
    engine = build(scenario)
    engine.run()
    wanted = "lock_acquired lock=mmap_lock mode=read"
    moments = Moments([wanted, "page_fault_user #2"])
    moments.extend(engine.log)
    taken, second = moments.found
    assert moments.counts[0] == 1
    assert taken is not None
    assert second is not None
    assert taken < second
    captions = [cue.caption for cue in scenario.cue if cue.comes_in("6.12", "per-vma")]
    assert sum("mmap_lock" in caption for caption in captions) == 2


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
    "io-race": lambda s: replace(s, file=tuple(replace(one, cached="all") for one in s.file)),
    "driver-faults": lambda s: replace(
        s, file=tuple(replace(one, driver="opted_in") for one in s.file)
    ),
    "driver-mistakes": lambda s: replace(
        s, file=tuple(replace(one, driver="drops_fault_lock") for one in s.file)
    ),
    "driver-fork": lambda s: replace(s, file=tuple(replace(one, cached="all") for one in s.file)),
    "swap-in": lambda s: replace(s, swap=tuple(replace(one, kind="zram") for one in s.swap)),
    "swap-race": lambda s: group(s, "urgent", start="1ms"),
    "userfaultfd": lambda s: vma(s, "memory", uffd=()),
    "userfaultfd-hold": lambda s: group(s, "mapper", start="1ms"),
    "huge-pages": lambda s: vma(s, "heap", huge=False),
    "lockless-abort": lambda s: workload(s, "protector", pause="1ms"),
    "stack-growth": lambda s: vma(s, "stack", kind="anon"),
    "maps-vs-smaps": lambda s: vma(s, "lib", count=2),
    "proc-readers": lambda s: vma(s, "lib", count=2),
    "page-table-free": lambda s: replace(s, policy=Policy(page_table_free="rcu")),
    "beyond-mmap-lock": lambda s: group(s, "worker", count=1),
    "gc-scavenger": lambda s: group(s, "grower", start="10ms"),
    "lock-inversion-bpf": lambda s: group(s, "protector", start="10ms"),
    "madvise-convoy": lambda s: group(s, "open", start="10ms"),
    "per-vma-on-off": lambda s: group(s, "ebizzy", count=1),
    "tcmalloc-release": lambda s: group(s, "release", start="10ms"),
    "will-it-scale-brk": lambda s: group(s, "thread", count=1),
    "will-it-scale-files": lambda s: replace(s, kernel="6.4"),
    "tree-tour": lambda s: group(s, "starter", repeat=4),
    "rcu-lookup": lambda s: group(s, "mapper", start="1ms", repeat=1),
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
