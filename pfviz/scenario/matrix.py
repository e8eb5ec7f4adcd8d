"""The matrix of faults and kernels: each cell is what a run of that fault in that kernel shows.

Nothing is looked up in a table: `cell` builds the kind's scenario under the kernel, runs it, and
reads the code from the events (`fault_code`). What a commit changed is found the same way, with its
knob turned back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from pfviz.mm.presets import PRESETS, Preset, preset
from pfviz.mm.releases import RELEASES, Change
from pfviz.scenario import fault_kinds
from pfviz.scenario.build import build_with
from pfviz.scenario.fault_code import code_of, read_fault
from pfviz.scenario.fault_kinds import APP, KINDS
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.sim.machine import FOREVER_NS

KERNELS: Final = tuple(PRESETS)
UNKNOWN: Final = "?"
"""The code of a kind that the model cannot play yet."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault in one kernel, as its run showed it."""

    kind: str
    kernel: str
    code: str
    """See `fault_code.CODES`; UNKNOWN when the model cannot play the kind."""
    check: str = ""
    """The kernel function whose check sent the fault back, or (T) that tried mmap_lock."""
    cause: str = ""
    """The check in words."""
    counters: tuple[str, ...] = ()
    """The counters of /proc/vmstat that told of fallbacks, in order."""
    fallbacks: tuple[tuple[str, str], ...] = ()
    """(function, cause) of each attempt that was given up, in order; `check` is the last one's."""
    steps: tuple[str, ...] = ()
    """The kernel functions that ran in the fault, in order."""
    fault_kind: str = ""
    """What FAULT_END called it."""
    latency_ns: int = 0
    holds_over_io: bool = False
    """It kept its lock while a device worked."""


Policies = tuple[tuple[str, Any], ...]
"""Switches of `[policy]` that are turned, (name, value) each."""


@lru_cache(maxsize=8192)
def cell(kind: str, kernel: str, policy: Policies = ()) -> Cell:
    """Run a kind of fault under a kernel; ScenarioError or ValueError for an unknown name."""
    return cell_under(kind, preset(kernel), Overrides(policy=policy))


def cell_under(kind: str, kernel: Preset, overrides: Overrides = NO_CHANGES) -> Cell:
    """The same for a kernel that may have no name, and with policies turned."""
    if fault_kinds.kind_named(kind).missing:
        return Cell(kind, kernel.name, UNKNOWN)
    scenario = fault_kinds.scenario_of(kind)
    engine = build_with(scenario, overrides, preset=kernel)
    engine.run(FOREVER_NS)
    task = next(task.id for task in engine.tasks if task.name == APP)
    story = read_fault(engine.log, task)
    fall = story.fallbacks[-1] if story.fallbacks else None
    return Cell(
        kind,
        kernel.name,
        code_of(story, engine.world.has_vma_lock),
        fall.check if fall else story.nested,
        fall.cause if fall else "",
        tuple(one.counter for one in story.fallbacks if one.counter),
        tuple((one.check, one.cause) for one in story.fallbacks),
        tuple(story.functions),
        story.kind,
        max(story.ended_ns - story.begun_ns, 0),
        story.io_begun and not any(one.io_begun for one in story.fallbacks),
    )


def cells(
    kinds: tuple[str, ...] = (), kernels: tuple[str, ...] = (), policy: Policies = ()
) -> Iterator[Cell]:
    """Cells row by row; () is every kind, or every kernel."""
    for kind in kinds or tuple(one.id for one in KINDS):
        for kernel in kernels or KERNELS:
            yield cell(kind, kernel, policy)


def changes_between(kernel_a: str, kernel_b: str) -> tuple[Change, ...]:
    """What the releases after the older of two kernels changed, up to the newer one."""
    first, last = sorted(KERNELS.index(preset(name).name) for name in (kernel_a, kernel_b))
    return tuple(change for release in RELEASES[first + 1 : last + 1] for change in release.changes)


def changed_kinds(kernel_a: str, kernel_b: str, policy: Policies = ()) -> tuple[str, ...]:
    """The kinds whose codes differ between two kernels, in the order of the rows."""
    return tuple(
        kind.id
        for kind in KINDS
        if cell(kind.id, kernel_a, policy).code != cell(kind.id, kernel_b, policy).code
    )


def turned_kinds(kernel: str, policy: Policies) -> tuple[str, ...]:
    """The kinds whose codes policies change in a kernel, in the order of the rows."""
    return tuple(
        kind.id
        for kind in KINDS
        if cell(kind.id, kernel, policy).code != cell(kind.id, kernel).code
    )


@lru_cache(maxsize=1024)
def causes(kind: str, kernel: str, policy: Policies = ()) -> tuple[Change, ...]:
    """The changes of a kernel's release without which the cell would be another.

    Each is found by turning its knob alone back and running the fault again; if no single one does
    it, all those that the release turned are named.
    """
    index = KERNELS.index(kernel)
    now = cell(kind, kernel, policy).code
    if index == 0 or now == cell(kind, KERNELS[index - 1], policy).code:
        return ()
    turned = [change for change in RELEASES[index].changes if change.knob]
    overrides = Overrides(policy=policy)
    found = [
        change
        for change in turned
        if cell_under(kind, without(preset(kernel), change), overrides).code != now
    ]
    return tuple(found or turned)


def without(kernel: Preset, change: Change) -> Preset:
    """A kernel with one change of its own release taken back."""
    before = PRESETS[KERNELS[KERNELS.index(kernel.name) - 1]]
    return replace(kernel, **{change.knob: getattr(before, change.knob)})
