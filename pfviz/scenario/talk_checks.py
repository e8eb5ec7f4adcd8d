"""Whether the names in a talk fit together: scenarios, kernels, modes, policies, moments, rows.

What only a run can say (whether a moment comes, how threads are called) is said by `report.talk`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pfviz.mm.presets import PRESETS
from pfviz.places import expanded
from pfviz.scenario import load, moments, overrides, policies
from pfviz.scenario.checks import Problem
from pfviz.scenario.errors import ScenarioError, hint, version_hint
from pfviz.scenario.fault_kinds import BY_ID
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.positions import Path as Key
from pfviz.scenario.schema import MODES, Scenario
from pfviz.scenario.talk_schema import END, QuestionTable, SceneTable, StopTable, TalkTable
from pfviz.scenario.times import nanoseconds

_RUN_KEYS: Final = (
    "kernel", "mode", "machine", "threads", "seed", "until", "without", "policy", "compare",
    "begin", "speed", "thread", "cues",
)  # fmt: skip
"""What only a scene with a scenario can have."""


def problems(talk: TalkTable, folder: Path, scenarios: dict[str, Scenario]) -> Iterator[Problem]:
    """Everything that does not fit, in the order of the file.

    The scenarios that are read on the way are put into `scenarios`, by what opens them.
    """
    planned = sum(scene.minutes or 0.0 for scene in talk.scene)
    if planned > talk.minutes + 0.05:
        reason = f"minutes = {talk.minutes:g}, but the scenes have {planned:g} minutes together"
        yield Problem(("minutes",), reason)
    for index, scene in enumerate(talk.scene):
        yield from _scene(("scene", index), scene, folder, scenarios)


def scenario_path(name: str, folder: Path) -> str:
    """What opens a scene's scenario: its name, or its path from where the talk is."""
    if name.endswith(".toml") or os.sep in name:
        return str(folder / expanded(name))
    return name


def overrides_of(scene: SceneTable) -> Overrides:
    """The changes that a scene makes to its scenario; ValueError for a wrong policy."""
    policy = {policies.named(name): value for name, value in scene.policy.items()}
    return Overrides(
        kernel=scene.kernel or None,
        mode=scene.mode or None,
        machine=scene.machine or None,
        seed=scene.seed,
        threads=scene.threads or None,
        until_ns=None if scene.until is None else nanoseconds(scene.until),
        without=scene.without,
        policy=tuple(sorted(policy.items())),
    )


def compared(general: Overrides, words: str) -> Overrides:
    """The changes of one of the runs side by side: "6.4 lockless", "merge=false".

    ValueError for a word that is no kernel, no mode and no switch of a policy.
    """
    changed = general
    for word in words.split():
        name, equals, value = word.partition("=")
        if equals:
            switch, parsed = policies.parse(name, value)
            policy = {**dict(changed.policy), switch: parsed}
            changed = replace(changed, policy=tuple(sorted(policy.items())))
        elif word in MODES:
            changed = replace(changed, mode=word)
        elif word in PRESETS:
            changed = replace(changed, kernel=word)
        else:
            known = (*MODES, *PRESETS, *(f"{name}=" for name in policies.NAMES))
            raise ValueError(f'"{word}" is no mode, no kernel and no policy{hint(word, known)}')
    return changed


def _scene(
    path: Key, scene: SceneTable, folder: Path, scenarios: dict[str, Scenario]
) -> Iterator[Problem]:
    if scene.scenario and scene.matrix is not None:
        yield Problem((*path, "matrix"), "a scene shows a scenario or the matrix, not both")
    if not scene.scenario:
        for key in _RUN_KEYS:
            if getattr(scene, key) not in ("", 0, None, (), {}):
                name = "from" if key == "begin" else key
                yield Problem((*path, name), f"{name} needs a scenario in the scene")
        if scene.question:
            yield Problem((*path, "question", 0), "a question needs a scenario in the scene")
    for key in ("panes", "focus"):
        yield from _panes((*path, key), scene.panes)
    if scene.scenario:
        yield from _run(path, scene, folder, scenarios)
    if scene.matrix is not None:
        yield from _cells((*path, "matrix"), (scene.matrix.kind, *scene.matrix.kinds),
                          (scene.matrix.kernel, *scene.matrix.kernels))  # fmt: skip
    for index, stop in enumerate(scene.stop):
        yield from _stop((*path, "stop", index), stop, scene)
    for index, question in enumerate(scene.question):
        where = (*path, "question", index)
        yield from _moment(where, question)
        if question.right > len(question.answers):
            reason = f"right = {question.right}, but there are {len(question.answers)} answers"
            yield Problem((*where, "right"), reason)


def _run(
    path: Key, scene: SceneTable, folder: Path, scenarios: dict[str, Scenario]
) -> Iterator[Problem]:
    name = scenario_path(scene.scenario, folder)
    try:
        scenario = scenarios[name] = scenarios.get(name) or load.load(name)
    except ScenarioError as error:
        said = str(error) if error.line else f'scenario "{scene.scenario}" {error.reason}'
        yield Problem((*path, "scenario"), said)
        return
    if scene.kernel and scene.kernel not in PRESETS:
        known = version_hint(scene.kernel, PRESETS)
        yield Problem((*path, "kernel"), f'kernel "{scene.kernel}" is not known here{known}')
        return
    for key, value in scene.policy.items():
        try:
            policies.checked(key, value)
        except ValueError as error:
            yield Problem((*path, "policy", key), str(error))
            return
    runs: list[tuple[Key, Overrides]] = [(path, overrides_of(scene))]
    if len(scene.compare) == 1:
        yield Problem((*path, "compare"), "compare needs two runs or three")
    for index, words in enumerate(scene.compare):
        where = (*path, "compare", index)
        try:
            runs.append((where, compared(runs[0][1], words)))
        except ValueError as error:
            yield Problem(where, str(error))
    for where, changes in runs:
        yield from _possible(where, scenario, changes)
    if scene.begin and not _is_time(scene.begin):
        wrong = moments.error_in(scene.begin)
        if wrong:
            yield Problem((*path, "from"), wrong)


def _possible(path: Key, scenario: Scenario, changes: Overrides) -> Iterator[Problem]:
    """Whether a run can have its kernel, mode, machine and threads."""
    keys: tuple[tuple[str, Any], ...] = (
        ("mode", overrides.mode_for),
        ("machine", overrides.machine_for),
        ("threads", overrides.threads_of),
    )
    for key, look in keys:
        try:
            look(scenario, changes)
        except ScenarioError as error:
            yield Problem((*path, key), error.reason)


def _stop(path: Key, stop: StopTable, scene: SceneTable) -> Iterator[Problem]:
    yield from _panes((*path, "panes"), stop.panes)
    if scene.matrix is not None:
        if stop.when or stop.at is not None:
            yield Problem(path, "in the matrix a stop is a cell: say `kind`, `kernel` or both")
        elif not stop.kind and not stop.kernel:
            yield Problem(path, "say which cell: `kind`, `kernel` or both")
        yield from _cells(path, (stop.kind,), (stop.kernel,))
        part = scene.matrix
        if part is not None and part.kinds and stop.kind and stop.kind not in part.kinds:
            yield Problem((*path, "kind"), f'row "{stop.kind}" is not among those shown')
        if part is not None and part.kernels and stop.kernel and stop.kernel not in part.kernels:
            yield Problem((*path, "kernel"), f'column "{stop.kernel}" is not among those shown')
        return
    if not scene.scenario:
        yield Problem(path, "a stop needs a scenario in the scene, or a matrix")
        return
    for key in ("kind", "kernel"):
        if getattr(stop, key):
            yield Problem((*path, key), f"{key} is for scenes of the matrix")
    yield from _moment(path, stop)


def _moment(path: Key, moment: StopTable | QuestionTable) -> Iterator[Problem]:
    if bool(moment.when) == (moment.at is not None):
        reason = f'say when: either `at` (a time, or "{END}") or `when` (an event), not both'
        yield Problem(path, reason)
    elif moment.when:
        error = moments.error_in(moment.when)
        if error:
            yield Problem((*path, "when"), error)


def _panes(path: Key, panes: tuple[str, ...]) -> Iterator[Problem]:
    for index, pane in enumerate(panes):
        if pane in panes[:index]:
            yield Problem((*path, index), f'pane "{pane}" is named twice')


def _cells(path: Key, kinds: tuple[str, ...], kernels: tuple[str, ...]) -> Iterator[Problem]:
    for kind in kinds:
        if kind and kind not in BY_ID:
            yield Problem((*path, "kind"), f'kind "{kind}" is not known here{hint(kind, BY_ID)}')
    for kernel in kernels:
        if kernel and kernel not in PRESETS:
            reason = f'kernel "{kernel}" is not known here{version_hint(kernel, PRESETS)}'
            yield Problem((*path, "kernel"), reason)


def _is_time(text: str) -> bool:
    try:
        nanoseconds(text)
    except ValueError:
        return False
    return True
