"""The kinds of the matrix as scenarios: they keep the rules, and their captions come true."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.presets import PRESETS
from pfviz.scenario import load
from pfviz.scenario.build import build_with
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_kinds import APP, KINDS, kind_named, scenario_of
from pfviz.scenario.moments import Moments
from pfviz.scenario.overrides import Overrides
from pfviz.sim.machine import FOREVER_NS

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
    path = load.kinds_folder() / f"{kind}.toml"
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


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match='did you mean "anon_write"'):
        kind_named("anon_wrte")


def test_no_two_kinds_share_a_title_or_an_id() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    assert len({kind.title for kind in KINDS}) == len(KINDS)
