"""A figure of a run in words, by the keys that lead to it: for where two runs are compared.

Knows the keys of `pfviz run --json`; it knows no run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pfviz.mm.operations import PROC_FILES
from pfviz.scenario.policies import word

from .bars import MODE_TITLES
from .fault_codes import linux
from .numbers import counted, duration
from .story import fault_words

_RANKS: Final = {
    "p50": "half of them at most", "p90": "the slowest of ten", "p99": "the slowest of a hundred",
    "p999": "the slowest of a thousand", "max": "the longest", "mean": "on average",
    "total": "all together",
}  # fmt: skip
_SINGLE: Final = {
    ("throughput_per_s",): "Faults in a second", ("now_ns",): "Time until the end",
    ("faults", "count"): "Faults", ("faults", "errors"): "Faults that failed",
    ("len", "broken_rules"): "Rules broken", ("len", "unfinished"): "Threads that never end",
}  # fmt: skip
_UNDER: Final = {"vma_lock": "under a VMA lock", "mmap_lock": "under mmap_lock",
                 "lockless": "without a lock"}  # fmt: skip
_LOCK: Final = {"contended": "Times that {} was waited for", "reads": "Read locks of {}",
                "writes": "Write locks of {}", "waiters_max": "Longest queue for {}"}  # fmt: skip
_LOCK_TIME: Final = {"wait_ns": "Waits for {}", "hold_ns": "Holds of {}"}


def figure_name(path: Sequence[str]) -> str | None:
    """What the keys mean, as the beginning of a sentence; None where there are no words."""
    if (single := _SINGLE.get(tuple(path))) is not None:
        return single
    match list(path):
        case ["latency_ns", rank] if rank in _RANKS:
            return f"Faults, {_RANKS[rank]}"
        case ["faults", "completed_under", regime] if regime in _UNDER:
            return f"Faults done {_UNDER[regime]}"
        case ["faults", "by_kind", kind]:
            return f"Faults, {fault_words(kind)}"
        case ["vmstat", counter]:
            return f"The counter {counter}"
        case ["operations", name, "count"]:
            return _calls(name)
        case ["operations", name, "latency_ns", rank] if rank in _RANKS:
            return f"{_calls(name)}, {_RANKS[rank]}"
        case ["locks", name, key] if key in _LOCK:
            return _LOCK[key].format(name)
        case ["locks", name, key, rank] if key in _LOCK_TIME and rank in _RANKS:
            return f"{_LOCK_TIME[key].format(name)}, {_RANKS[rank]}"
        case ["cache_lines", name, "transfers"]:
            return f"Moves of the cache line {name} between CPUs"
    return None


def figure_value(path: Sequence[str], value: float) -> str:
    """The number with its unit: times as durations, all else as they are."""
    if any(key.endswith("_ns") for key in path):
        return duration(round(value))
    return f"{value:,.0f}"


def other_run(changes: Mapping[str, Any]) -> str:
    """What another run has other than this one: `in mode mmap_lock, without smaps`."""
    return ", ".join(_change(name, value) for name, value in changes.items())


def _calls(name: str) -> str:
    if name == "access":
        return "Accesses to memory"
    return f"Reads of {name}" if name in PROC_FILES else f"Calls of {name}"


def _change(name: str, value: Any) -> str:
    match name:
        case "mode":
            return f"in mode {MODE_TITLES.get(value, value)}"
        case "kernel":
            return f"on {linux(value)}" if value != "beyond" else "with the locks beyond mmap_lock"
        case "without":
            return f"without {value}"
        case "threads":
            return f"with {counted(value, 'thread')}"
        case "machine" | "seed":
            return f"with {name} {value}"
    return f"with {name} set to {word(value)}"
