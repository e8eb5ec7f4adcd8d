"""What a person changes about a scenario without editing it: kernel, mode, threads, who stays out.

Plain data, so that one set of changes can be kept while another is varied (`compare`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from pfviz.mm.presets import PRESETS, mode_of, preset
from pfviz.scenario.errors import ScenarioError, hint, version_hint
from pfviz.scenario.machines import machine_kind
from pfviz.scenario.schema import Scenario, Thread
from pfviz.scenario.times import nanoseconds

SEED_MAX: Final = (1 << 63) - 1
THREADS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Overrides:
    """Changes to a scenario; None and () leave it as it is."""

    kernel: str | None = None
    mode: str | None = None
    machine: str | None = None
    seed: int | None = None
    threads: int | None = None
    until_ns: int | None = None
    without: tuple[str, ...] = ()
    policy: tuple[tuple[str, Any], ...] = ()
    choices: tuple[tuple[int, int], ...] = ()
    """(decision, who of those due ran there), in order: where somebody overruled the dice."""

    def and_also(self, **changes: Any) -> Overrides:
        """These changes and some more, the later ones winning."""
        return replace(self, **changes)

    def under(self, others: Overrides) -> Overrides:
        """These changes with `others` put over them; who ran where is lost when they differ."""
        if others == NO_CHANGES:
            return self
        said = {
            name: value for name in self.__slots__
            if (value := getattr(others, name)) not in (None, ())
        }  # fmt: skip
        if others.policy:
            said["policy"] = tuple(sorted({**dict(self.policy), **dict(others.policy)}.items()))
        whole = replace(self, **said)
        return whole if whole == self else replace(whole, choices=others.choices)

    def keeps_promises_of(self, scenario: Scenario) -> bool:
        """Whether the run is still the one that the scenario's own claims are about.

        Kernel and mode are not asked here: each claim says for which it is made.
        """
        return (
            not self.without
            and not self.policy
            and not self.choices
            and self.threads is None
            and self.until_ns is None
            and self.machine in (None, scenario.machine)
        )


NO_CHANGES: Final = Overrides()


def kernel_of(scenario: Scenario, overrides: Overrides) -> str:
    """The kernel preset of the run; ScenarioError with a hint when it is unknown."""
    name = overrides.kernel or scenario.kernel
    if name not in PRESETS:
        reason = f'kernel "{name}" is not known here{version_hint(name, PRESETS)}'
        raise ScenarioError(scenario.name or "scenario", 0, reason)
    return name


def mode_for(scenario: Scenario, overrides: Overrides) -> str:
    """The lock mode of the run: the one asked for, the scenario's, or the kernel's own.

    A scenario's mode that the kernel cannot have gives way silently; one asked for does not.
    """
    kernel = preset(kernel_of(scenario, overrides))
    try:
        if overrides.mode:
            return mode_of(overrides.mode, kernel)
        if scenario.mode and scenario.mode not in kernel.modes:
            return kernel.default_mode
        return mode_of(scenario.mode, kernel)
    except ValueError as error:
        raise ScenarioError(scenario.name or "scenario", 0, str(error)) from None


def machine_for(scenario: Scenario, overrides: Overrides) -> str:
    """The machine of the run by name; ScenarioError with a hint when it is unknown."""
    name = overrides.machine or scenario.machine
    try:
        machine_kind(name)
    except ValueError as error:
        raise ScenarioError(scenario.name or "scenario", 0, str(error)) from None
    return name


def until_ns_of(scenario: Scenario, overrides: Overrides = NO_CHANGES) -> int | None:
    """When the run ends at the latest; None when it ends by itself."""
    if overrides.until_ns is not None:
        return overrides.until_ns
    return None if scenario.until is None else nanoseconds(scenario.until)


def threads_of(scenario: Scenario, overrides: Overrides) -> tuple[Thread, ...]:
    """The groups of threads that take part, with as many threads as were asked for.

    A number of threads is shared out over the groups that scale, in proportion to their counts,
    at least one each. ScenarioError when nobody scales, or a name in `without` is unknown.
    """
    groups = _without(scenario, overrides)
    if overrides.threads is None:
        return groups
    scaling = [group for group in groups if group.scales]
    if not scaling:
        reason = "no thread of it says scales = true, so their number is fixed"
        raise ScenarioError(scenario.name or "scenario", 0, reason)
    if overrides.threads < len(scaling):
        reason = f"{overrides.threads} threads are too few: {len(scaling)} groups scale"
        raise ScenarioError(scenario.name or "scenario", 0, reason)
    counts = _shared_out(overrides.threads, [group.count for group in scaling])
    by_name = dict(zip((group.name for group in scaling), counts, strict=True))
    return tuple(_of_count(group, by_name.get(group.name, group.count)) for group in groups)


def thread_count(scenario: Scenario, overrides: Overrides) -> int:
    """How many threads scale, or take part when none does: the x axis of a sweep."""
    groups = threads_of(scenario, overrides)
    scaling = [group.count for group in groups if group.scales]
    return sum(scaling) if scaling else sum(group.count for group in groups)


def _of_count(group: Thread, count: int) -> Thread:
    if count == group.count:
        return group
    fields = {name: getattr(group, name) for name in group.__struct_fields__}
    return Thread(**{**fields, "count": count})


def _shared_out(total: int, weights: list[int]) -> list[int]:
    """Largest remainders, one at least for each; the sum is `total`."""
    spare = total - len(weights)
    parts = [spare * weight // sum(weights) for weight in weights]
    remainders = [spare * weight % sum(weights) for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in order[: spare - sum(parts)]:
        parts[index] += 1
    return [part + 1 for part in parts]


def _without(scenario: Scenario, overrides: Overrides) -> tuple[Thread, ...]:
    names = {group.name for group in scenario.thread}
    for name in overrides.without:
        if name not in names:
            reason = f'thread "{name}" to leave out is not known here{hint(name, names)}'
            raise ScenarioError(scenario.name or "scenario", 0, reason)
    groups = tuple(group for group in scenario.thread if group.name not in overrides.without)
    if all(group.background for group in groups):
        reason = f"without {', '.join(overrides.without)} nobody is left to keep the run going"
        raise ScenarioError(scenario.name or "scenario", 0, reason)
    return groups
