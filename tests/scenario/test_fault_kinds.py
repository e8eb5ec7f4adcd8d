"""The kinds of the matrix as scenarios: they keep the rules, and their captions come true."""

from __future__ import annotations

import re

import pytest

from pfviz.mm import rules
from pfviz.mm.presets import PRESETS
from pfviz.scenario import load
from pfviz.scenario.build import build_with
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_code import CODES
from pfviz.scenario.fault_kinds import APP, KINDS, kind_named, scenario_of
from pfviz.scenario.moments import Moments
from pfviz.scenario.names import kinds_folder
from pfviz.scenario.overrides import Overrides
from pfviz.sim.machine import FOREVER_NS
from pfviz.views.fault_codes import meaning

PLAYABLE = [kind.id for kind in KINDS if not kind.missing]
MODES = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]

BROKEN = {
    # What 6.4.0 broke: fork does not lock the parent's VMAs, stacks grow under the read lock.
    ("cow_after_fork", "6.4"): {"F1"},
    ("anon_reuse", "6.4"): {"F1"},
    ("stack_growth", "6.4"): {"I9"},
}


@pytest.mark.parametrize("kind", PLAYABLE)
def test_every_kind_keeps_all_rules_under_every_kernel_and_mode(kind: str) -> None:
    for kernel, mode in MODES:
        engine = build_with(scenario_of(kind), Overrides(kernel=kernel, mode=mode))
        rules.run(engine, FOREVER_NS, every_steps=16)
        broken = {one.rule for one in engine.world.broken}
        assert broken <= BROKEN.get((kind, kernel), set()), (kernel, mode, engine.world.broken)


@pytest.mark.parametrize("kind", PLAYABLE)
def test_what_a_kinds_own_captions_speak_of_happens(kind: str) -> None:
    path = kinds_folder() / f"{kind}.toml"
    own = load.parse(path.read_text(), str(path)).cue
    happened: set[str] = set()
    for kernel in PRESETS:
        engine = build_with(scenario_of(kind), Overrides(kernel=kernel))
        engine.run(FOREVER_NS)
        moments = Moments([cue.when for cue in own])
        moments.extend(engine.log)
        came = zip(own, moments.found, strict=True)
        happened |= {cue.when for cue, row in came if row is not None}
    assert happened == {cue.when for cue in own}


@pytest.mark.parametrize("kind", PLAYABLE)
def test_app_takes_one_fault_or_none(kind: str) -> None:
    none = {"populate", "mlock", "gup"}
    for kernel in PRESETS:
        engine = build_with(scenario_of(kind), Overrides(kernel=kernel))
        engine.run(FOREVER_NS)
        app = next(task for task in engine.tasks if task.name == APP)
        assert getattr(app, "faults", -1) == (0 if kind in none else 1), kernel


def test_a_kind_opens_by_its_name_with_the_cues_that_all_have() -> None:
    scenario = load.load("anon_write")
    assert scenario.name == "anon_write"
    assert any(cue.when == "fault_end task=app" for cue in scenario.cue)


GAVE_UP = "The VMA lock has been dropped inside the handler"
REFUSED = "The handler refuses with the VMA locked"
AGAIN = "The VMA lock is taken again, not mmap_lock"


@pytest.mark.parametrize(
    ("kind", "kernel", "restart", "told"),
    [
        ("swap_cached", "6.4", "mmap", REFUSED),
        ("swap_cached", "6.5", "mmap", REFUSED),
        ("file_read_miss", "6.6", "mmap", GAVE_UP),
        ("file_read_miss", "6.12", "mmap", GAVE_UP),
        ("file_read_miss", "7.2", "mmap", GAVE_UP),
        ("file_read_miss", "6.12", "vma", AGAIN),
        ("swap_async", "6.6", "vma", AGAIN),
    ],
)
def test_a_fault_that_starts_again_is_told_as_its_kernel_does_it(
    kind: str, kernel: str, restart: str, told: str
) -> None:
    policy = (("restart_lock", restart),)
    engine = build_with(scenario_of(kind), Overrides(kernel=kernel, mode="per-vma", policy=policy))
    engine.run(FOREVER_NS)
    cues = [cue for cue in scenario_of(kind).cue if cue.comes_in(kernel, "per-vma") and cue.when]
    moments = Moments([cue.when for cue in cues])
    moments.extend(engine.log)
    came = [cue.caption for cue, row in zip(cues, moments.found, strict=True) if row is not None]
    about = [one for one in came if one.startswith((GAVE_UP, REFUSED, AGAIN))]
    assert [one.startswith(told) for one in about] == [True]


def test_some_caption_tells_of_a_fault_that_starts_again_in_every_kernel_with_vma_locks() -> None:
    """A kernel that is added must be put on one of the lists of kernels, and on one only."""
    retries = [cue for cue in scenario_of("file_read_miss").cue if "vma_lock_retry" in cue.when]
    for name, kernel in PRESETS.items():
        if "per-vma" not in kernel.modes:
            continue
        meant = [cue.caption for cue in retries if cue.comes_in(name, "per-vma")]
        under_mmap = [one for one in meant if not one.startswith(AGAIN)]
        assert len(under_mmap) == 1, name
        assert under_mmap[0].startswith(GAVE_UP if kernel.handler_unlocks else REFUSED), name


@pytest.mark.parametrize("kind", PLAYABLE)
def test_no_caption_says_that_mmap_lock_is_held_where_there_is_none(kind: str) -> None:
    cues = [cue for cue in scenario_of(kind).cue if cue.when]
    for mode in PRESETS["beyond"].modes:
        engine = build_with(scenario_of(kind), Overrides(kernel="beyond", mode=mode))
        engine.run(FOREVER_NS)
        moments = Moments([cue.when for cue in cues])
        moments.extend(engine.log)
        for cue, row in zip(cues, moments.found, strict=True):
            if row is not None and cue.comes_in("beyond", mode):
                named = re.search(r"(under|with|so) mmap_lock", cue.caption)
                assert named is None or "in beyond: " in cue.caption, cue.caption


def test_a_file_drops_the_lock_before_its_read_is_submitted_swap_after_it() -> None:
    order = {}
    for kind in ("file_read_miss", "swap_async"):
        engine = build_with(scenario_of(kind), Overrides(kernel="6.12", mode="per-vma"))
        engine.run(FOREVER_NS)
        moments = Moments(["lock_released lock=vma_lock task=app", "io_begin task=app"])
        moments.extend(engine.log)
        released, submitted = moments.found
        assert released is not None
        assert submitted is not None
        order[kind] = "released first" if released < submitted else "submitted first"
    assert order == {"file_read_miss": "released first", "swap_async": "submitted first"}
    # The code is the same for both, so what it is said to mean must be true of both.
    for code in ("V(io)>M", "V(io)>V"):
        told = "; ".join(text for _, text in meaning(code))
        assert "got as far as the device" in told
        assert "asked" not in told
    assert "had got as far as the device" in CODES["V(io)>M"]


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match='did you mean "anon_write"'):
        kind_named("anon_wrte")


def test_no_two_kinds_share_a_title_or_an_id() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    assert len({kind.title for kind in KINDS}) == len(KINDS)
