"""What a choice of policy costs: one scenario run with each value of a switch, both sides measured.

One side are the faults, the other the operations that change or watch the address space. Both are
measured from events: how long they took, and how much of that they waited for locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

import pfviz
from pfviz.report import measure
from pfviz.report.measure import Rows, durations, latency
from pfviz.report.policy_differences import RANKS, differences, stuck
from pfviz.report.run import Finished, Runs
from pfviz.report.text import exact_duration, table
from pfviz.scenario import policies
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import NO_CHANGES, Overrides, until_ns_of
from pfviz.scenario.schema import Scenario
from pfviz.sim import event
from pfviz.sim.told import Told, nobody, part
from pfviz.views.numbers import duration

SCHEMA: Final = "pfviz.policy/1"
NO_SIDE: Final = ("access", "compute", "sleep", "exit")
"""Operations that are neither writers nor monitors: accesses are told of as faults."""
MMAP_LOCK: Final = measure.REGIMES.index("mmap_lock")

Object = dict[str, Any]


def policy_cost(
    scenario: Scenario,
    name: str,
    values: Sequence[Any] = (),
    overrides: Overrides = NO_CHANGES,
    runs: Runs | None = None,
    told: Told = nobody,
) -> Object:
    """Run `scenario` with each value of the switch `name` (all it can have when none is given).

    Returns an object with one entry in `choices` for each value, in order; times in ns. Raises
    ValueError for an unknown switch or value, ScenarioError when a run cannot be made.
    """
    name = policies.named(name)
    switch = policies.BY_NAME.get(name)
    chosen = [policies.checked(name, value) for value in values or policies.values_of(name)]
    runs = runs or Runs(scenario)
    choices = []
    for number, value in enumerate(chosen):
        runs.told = part(told, number, len(chosen))
        others = tuple(pair for pair in overrides.policy if pair[0] != name)
        changed = overrides.and_also(policy=tuple(sorted((*others, (name, value)))))
        choices.append(_choice(value, runs.finish(changed, with_claims=False)))
    first = choices[0].pop("run")
    for choice in choices[1:]:
        choice.pop("run")
    return {
        "schema": SCHEMA,
        "pfviz": pfviz.__version__,
        **{key: first[key] for key in ("scenario", "kernel", "mode", "machine", "seed", "threads")},
        "policy": name,
        "meaning": switch.meaning if switch else "what a fault does with its lock while it waits",
        "choices": choices,
        "differences": list(differences(name, choices)),
    }


def _choice(value: Any, finished: Finished) -> Object:
    run, rows = finished.object, Rows(finished.log)
    back = rows.of(event.FAULT_FALLBACK)
    waits = _Waits(rows)
    ended = rows.of(event.FAULT_END)
    return {
        "value": value,
        "faults": {
            "count": len(ended),
            "latency_ns": latency(ended[:, 4]),
            "waited_ns": durations(_column(waits.of_faults)),
            "retries": waits.retries,
            "fell_back": int(((back[:, 4] != MMAP_LOCK) & (back[:, 5] == MMAP_LOCK)).sum()),
            "completed_under": run["faults"]["completed_under"],
            "fallbacks": run["faults"]["fallbacks"],
            "throughput_per_s": run["throughput_per_s"],
        },
        "operations": {
            name: one | {"waited_ns": durations(_column(waits.of_operations.get(name, [])))}
            for name, one in measure.operations(rows).items()
            if name not in NO_SIDE
        },
        "now_ns": run["now_ns"],
        "broken_rules": run["broken_rules"],
        "unfinished": run["unfinished"],
        "stopped": until_ns_of(finished.scenario, finished.overrides) is not None,
        "digest": run["digest"],
        "run": run,
    }


def _column(values: list[int]) -> measure.Column:
    return np.array(values, dtype=np.int64)


class _Waits:
    """How long each fault and each operation waited for locks, and how often faults began again."""

    KINDS: Final = (event.OP_BEGIN, event.OP_END, event.FAULT_BEGIN, event.FAULT_PATH,
                    event.FAULT_END, event.FAULT_FALLBACK, event.CONTENTION_END,
                    event.SPIN_END)  # fmt: skip

    def __init__(self, rows: Rows) -> None:
        self.texts = rows.log.texts
        self.of_faults: list[int] = []
        self.of_operations: dict[str, list[int]] = {}
        self.retries = 0
        self.in_fault: dict[int, int] = {}
        self.in_operation: dict[int, int] = {}
        self.path: dict[int, int] = {}
        where = np.sort(np.concatenate([rows.where(kind) for kind in self.KINDS]))
        for row in rows.all[where].tolist():
            self._take(row)

    def _take(self, row: list[int]) -> None:
        _, kind, task, a, b, c, d = row
        if kind == event.OP_BEGIN:
            self.in_operation[task] = 0
        elif kind == event.FAULT_BEGIN:
            self.in_fault[task] = 0
            self.path.pop(task, None)
        elif kind == event.FAULT_PATH:
            # A restart under mmap_lock after an attempt under mmap_lock has no fallback event.
            self.retries += self.path.get(task) == a == 0
            self.path[task] = a
        elif kind == event.FAULT_FALLBACK:
            self.retries += self.texts[d] == "vma_lock_retry"
        elif kind == event.FAULT_END:
            self.of_faults.append(self.in_fault.pop(task, 0))
        elif kind == event.OP_END:
            waited = self.in_operation.pop(task, 0)
            self.of_operations.setdefault(self.texts[a], []).append(waited)
        else:
            for waits in (self.in_fault, self.in_operation):
                if task in waits:
                    waits[task] += c
        del b


def table_of(cost: Object, title: str = "") -> list[str]:
    """The object of `policy_cost` as lines of text: a column for each value."""
    choices = cost["choices"]
    lines = [printable(title)] if title else []
    lines += [
        f"{cost['scenario']}: Linux {cost['kernel']}, {cost['mode']}, machine {cost['machine']}, "
        f"seed {cost['seed']}",
        f"{cost['policy']}: {cost['meaning']}",
        "",
        *table(("", *(policies.word(one["value"]) for one in choices)), list(_rows(choices))),
    ]
    if cost["differences"]:
        lines += ["", *cost["differences"]]
    return lines


def _rows(choices: list[Object]) -> Iterator[tuple[str, ...]]:
    faults = [one["faults"] for one in choices]
    yield ("faults", *(f"{one['count']:,}" for one in faults))
    yield from _side(faults)
    yield ("  started again", *(f"{one['retries']:,}" for one in faults))
    yield ("  fell back to mmap_lock", *(f"{one['fell_back']:,}" for one in faults))
    yield ("  a second", *(f"{one['throughput_per_s']:,.0f}" for one in faults))
    names = dict.fromkeys(name for one in choices for name in one["operations"])
    for name in sorted(names):
        sides = [one["operations"].get(name) for one in choices]
        yield (name, *(f"{one['count']:,}" if one else "0" for one in sides))
        yield from _side(sides)
    ends = [exact_duration(one["now_ns"]) for one in choices]
    never = [
        f"never (stands at {end})" if stuck(one) else end
        for end, one in zip(ends, choices, strict=True)
    ]
    yield ("until the last step", *never)
    if any(one["broken_rules"] for one in choices):
        # Their numbers: what they say stands below the table, where there is room.
        yield ("broken rules", *(_numbers_of_rules(one) or "none" for one in choices))
    if any(one["unfinished"] for one in choices):
        left = [", ".join(task["task"] for task in one["unfinished"]) for one in choices]
        yield ("not ended", *(text or "none" for text in left))


def _numbers_of_rules(choice: Object) -> str:
    numbers = (one["rule"].partition(":")[0] for one in choice["broken_rules"])
    return ", ".join(dict.fromkeys(numbers))


def _side(sides: Sequence[Object | None]) -> Iterator[tuple[str, ...]]:
    ended = [one if one and one["count"] else None for one in sides]
    for rank in RANKS:
        yield (f"  {rank}", *(duration(one["latency_ns"][rank]) if one else "-" for one in ended))
    for rank in ("p99", "total"):
        yield (
            f"  waited for locks, {rank}",
            *(duration(one["waited_ns"][rank]) if one else "-" for one in ended),
        )
