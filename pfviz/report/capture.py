"""A kernel capture as text: what it counts up to, and its events line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pfviz.report.json import recorded_object
from pfviz.report.source import capture_named
from pfviz.report.text import recorded_summary, table
from pfviz.scenario.errors import printable
from pfviz.sim.told import Told, nobody
from pfviz.trace.capture_stats import capture_stats
from pfviz.trace.read_log import read_log, recorded_log
from pfviz.trace.samples import samples
from pfviz.trace.shortcomings import losses
from pfviz.views.narrator import plain_lines

THREADS_SHOWN: Final = 12
COUNTS_SHOWN: Final = 8


def stats(name: str, told: Told = nobody) -> dict[str, Any]:
    """The statistics of a capture, as JSON keys (durations in microseconds, as it has them).

    `name` is a file, "-", or the name of a capture that ships with pfviz.
    """
    sample = capture_named(name)
    return capture_stats(name if sample is None else sample.path, told)


def tell(path: str, told: Told = nobody) -> list[str]:
    """What a capture counts up to as text; of what pfviz exported, what `pfviz run` says."""
    log = recorded_log(path, told)
    if log is None:
        return summary(path, told)
    lines = recorded_summary(recorded_object(log), log.meta.get("title", ""), path)
    lossy = [_warning(printable(log.meta["losses"]))] if log.meta.get("lossy") == "yes" else []
    return [*lossy, *lines]


def figures(path: str, told: Told = nobody) -> dict[str, Any]:
    """The same as JSON keys."""
    log = recorded_log(path, told)
    return stats(path, told) if log is None else recorded_object(log)


def story(path: str, told: Told = nobody) -> list[str]:
    """A capture in sentences to be read aloud; the first ones say what is missing, if any is."""
    from pfviz.report.story import capture_story

    log = read_log(path, told=told)
    sample = next((one for one in samples() if one.path == Path(path)), None)
    name = printable(Path(path).name) if sample is None else f"{sample.name}: {sample.title}"
    return capture_story(log, name)


def event_lines(path: str, told: Told = nobody) -> Iterator[str]:
    """A capture event by event; the first line says what is missing, if anything is."""
    log = read_log(path, told=told)
    if log.meta.get("lossy") == "yes":
        yield f"-- {_warning(printable(log.meta['losses']))}"
    yield from plain_lines(log)


def summary(path: str, told: Told = nobody) -> list[str]:
    """The statistics of a capture as text."""
    found = stats(path, told)
    totals = found["totals"]
    lasted_us = found["last_us"] - found["first_us"]
    lines = [
        f"capture {printable(path)}: {found['events']:,} events in {lasted_us / 1000:,.1f} ms",
        _losses(found),
        "",
        f"{found['faults']:,} faults, {totals.get('faults_with_mmap_lock', 0):,} of them took "
        "mmap_lock: fell back, came from kernel mode, or tried it for an anon_vma",
        f"mmap_lock {totals.get('acquired_read', 0):,} times for reading, "
        f"{totals.get('acquired_write', 0):,} for writing, "
        f"{totals.get('downgrades', 0):,} downgrades",
    ]
    for title, key in (("Waits for mmap_lock (µs)", "wait_us"), ("Holds (µs)", "hold_us")):
        rows = [(mode, *_ranks(ranks)) for mode, ranks in found[key].items() if ranks]
        if rows:
            lines += ["", title, *table(("", "n", "p50", "p99", "max", "sum"), rows)]
    contention = found["contention"]
    if contention["begin"]:
        flags = ", ".join(f"{name} {count:,}" for name, count in contention["by_flags"].items())
        lines += ["", f"Contention: {contention['begin']:,} begun ({flags})"]
    if found["tlb"]:
        rows = [(printable(name), f"{count:,}") for name, count in found["tlb"].items()]
        lines += ["", "TLB flushes", *table(("reason", "flushes"), rows[:COUNTS_SHOWN])]
    return [*lines, "", *_threads(found["threads"])]


def _losses(found: Mapping[str, Any]) -> str:
    if not found["lossy"]:
        return "nothing was lost"
    said = losses(
        found["lost_events_marked"],
        found["buffer_started_marks"],
        found["entries_in_buffer_written"],
        printable(found.get("truncated", "")),
        found["events"] + found["totals"].get("markers", 0),
    )
    return _warning(said)


def _warning(said: str) -> str:
    return f"LOSSY: {said or 'how many events is not said'}; what is counted is a lower bound"


def _ranks(ranks: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{ranks[name]:,}" for name in ("n", "p50", "p99", "max", "sum"))


def _threads(threads: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The threads that faulted most."""
    order = sorted(threads.items(), key=lambda item: (-item[1].get("faults", 0), item[0]))
    shown = order[:THREADS_SHOWN]
    rows = [
        (
            f"{printable(str(one['comm']))}-{tid}",
            f"{one.get('faults', 0):,}",
            f"{one.get('faults_with_mmap_lock', 0):,}",
        )
        for tid, one in shown
    ]
    lines = ["Threads", *table(("thread", "faults", "took mmap_lock"), rows)]
    more = len(order) - len(shown)
    return [*lines, f"  and {more} more"] if more else lines
