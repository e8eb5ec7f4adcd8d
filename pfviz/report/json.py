"""One run as one JSON object (`pfviz.run/1`), made from the event log and what was asked for.

Keys may be added; those that are here keep their meaning. `threads` are those that --threads sets
(all where none scales), `threads_all` every one; `throughput_per_s`: faults.count / now_ns.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

import pfviz
from pfviz.report import measure
from pfviz.report.measure import Rows
from pfviz.report.share import token_of
from pfviz.scenario.overrides import NO_CHANGES, Overrides, thread_count, threads_of
from pfviz.scenario.schema import Scenario
from pfviz.sim import event
from pfviz.sim.event import EventLog

SCHEMA: Final = "pfviz.run/1"
RECORDED: Final = ("scenario", "kernel", "mode", "machine", "seed")
"""What a run's log says of itself."""


def run_object(
    log: EventLog, scenario: Scenario, overrides: Overrides = NO_CHANGES
) -> dict[str, Any]:
    """The object of a finished run, all keys but `expect` (see `pfviz.report.promises`)."""
    return {
        "schema": SCHEMA,
        "pfviz": pfviz.__version__,
        "scenario": scenario.name,
        "kernel": log.meta["kernel"],
        "mode": log.meta["mode"],
        "machine": log.meta["machine"],
        "seed": scenario.seed if overrides.seed is None else overrides.seed,
        "choices": overrides.choices,
        "token": token_of(scenario, overrides),
        "threads": thread_count(scenario, overrides),
        "threads_all": sum(group.count for group in threads_of(scenario, overrides)),
        **_figures(log),
        "expect": [],
    }


def recorded_object(log: EventLog) -> dict[str, Any]:
    """The object of a run that was exported and read again: what its log says of itself."""
    about: dict[str, Any] = {name: log.meta[name] for name in RECORDED if name in log.meta}
    found = {"schema": SCHEMA, "pfviz": pfviz.__version__, **about, **_figures(log)}
    if not found["steps"]:  # A capture: it lasts as long as its events do.
        span_ns = found["now_ns"] = found["last_event_ns"]
        count = found["faults"]["count"]
        found["throughput_per_s"] = round(count * 1e9 / span_ns, 1) if span_ns else 0.0
    return found


def _figures(log: EventLog) -> dict[str, Any]:
    """What the events alone count up to."""
    rows = Rows(log)
    return {
        "now_ns": measure.last_step_ns(rows),
        "last_event_ns": int(rows.all[-1, 0]) if len(rows.all) else 0,
        "steps": len(rows.where(event.STEP)),
        "events": len(rows.all),
        "digest": log.digest(),
        "faults": measure.faults(rows),
        "throughput_per_s": measure.throughput_per_s(rows),
        "latency_ns": measure.latency(rows.of(event.FAULT_END)[:, 4]),
        "locks": measure.locks(rows),
        "operations": measure.operations(rows),
        "vmstat": measure.vmstat(rows),
        "cache_lines": measure.cache_lines(rows),
        "broken_rules": _broken_rules(rows),
        "unfinished": _unfinished(rows),
    }


def encode(value: Any) -> str:
    """JSON text, indented, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def ascii_line(value: Any) -> bytes:
    """JSON in one line of printable ASCII: no name in it can act on a terminal or break a line."""
    line = msgspec.json.encode(value)
    if line.isascii() and b"\x7f" not in line:
        return line
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _broken_rules(rows: Rows) -> list[dict[str, Any]]:
    log = rows.log
    names = _task_names(rows)
    found = []
    for position in rows.where(event.RULE_BROKEN).tolist():
        now_ns, _, task, rule, step, _, _ = rows.all[position].tolist()
        step = _step_in_work(rows, position, task, step)
        function = log.steps[step].function if 0 <= step < len(log.steps) else ""
        name = names.get(task, "")
        found.append({"rule": log.texts[rule], "at_ns": now_ns, "step": function, "task": name})
    return found


def _step_in_work(rows: Rows, position: int, task: int, before: int) -> int:
    """The step that broke a rule: `before`, or the one whose own row comes only after that."""
    steps = rows.where(event.STEP)
    after = int(steps.searchsorted(position))
    near = [rows.all[index].tolist() for index in steps[max(after - 1, 0) : after + 1]]
    if len(near) == 2 and near[0][2] != task == near[1][2]:
        return int(near[1][3])
    return before


def _unfinished(rows: Rows) -> list[dict[str, str]]:
    """Threads that did not end, and why they sleep; "" when they were still at work."""
    log = rows.log
    ended = set(rows.of(event.TASK_END)[:, 2].tolist())
    alive = {task: name for task, name in _task_names(rows).items() if task not in ended}
    if not alive:
        return []
    asleep: dict[int, str] = {}
    where = [*rows.where(event.SLEEP).tolist(), *rows.where(event.SCHED_WAKEUP).tolist()]
    for position in sorted(where):
        _, kind, task, why, *_ = rows.all[position].tolist()
        asleep[task] = log.texts[why] if kind == event.SLEEP else ""
    return [{"task": name, "why": asleep.get(task, "")} for task, name in alive.items()]


def _task_names(rows: Rows) -> dict[int, str]:
    log = rows.log
    return {row[2]: log.texts[row[3]] for row in rows.of(event.TASK_NEW).tolist()}
