"""What a capture cannot show, and what in its log was inferred: said in the log's own words."""

from __future__ import annotations

from collections.abc import Sequence

from pfviz.sim.event import EventLog
from pfviz.trace.capture import Capture

ABSENT = "absent."
"""Prefix of `EventLog.meta` keys: what follows names a pane or a thing, the value says why."""
INFERRED = "inferred."
"""Prefix of `EventLog.meta` keys: what follows names what is a conclusion, the value the rule."""

_ALWAYS_ABSENT = {
    "vma_lock": "The kernel has no tracepoint for the per-VMA lock.",
    "steps": "A capture has events, not steps: no kernel function is traced on its way.",
    "counters": "/proc/vmstat is not part of a capture; only what the events say is counted.",
    "cache_lines": "Cache line transfers are not traced.",
    "page_tables": "Page tables are not traced: only pages that faulted here show as present.",
    "tree": "Maple tree nodes are not traced, only single reads and writes of the tree.",
    "rcu": "RCU read sections and grace periods are not traced.",
}
_ABSENT_WITHOUT = {
    # What is missing when none of these events occurs in the whole capture.
    "mmap_lock": (
        ("mmap_lock_start_locking", "mmap_lock_acquire_returned"),
        "No mmap_lock event was recorded: who holds it and who waits is not known.",
    ),
    "faults": (
        ("page_fault_user", "page_fault_kernel"),
        "No page fault event was recorded.",
    ),
    "tree_events": (
        ("ma_read", "ma_write"),
        "No maple_tree event was recorded, so fallbacks to mmap_lock are told by their timing.",
    ),
    "contention": (
        ("contention_begin",),
        "No contention event was recorded: waits are told by who held the lock meanwhile.",
    ),
    "off_cpu": (
        ("sched_switch",),
        "sched_switch was not recorded: a thread seems to run until another one is seen there.",
    ),
    "vma_changes": (
        ("sys_enter_mmap", "sys_enter_munmap", "sys_enter_brk", "sys_enter_mprotect"),
        "No mmap, munmap, mprotect or brk was recorded: VMAs are those of the maps copy, if any.",
    ),
}
_INFERRED = {
    "fault_end": (
        "No event marks the end of a fault: it ends with the release of mmap_lock, else a usual "
        "time after its last event, at the latest with the thread's next event."
    ),
    "vma_lock_success": (
        "A fault without any mmap_lock event, or with the short trylock for anon_vma, was handled "
        "under the VMA lock."
    ),
    "vmas": "VMAs follow from maps-start.txt and system calls; merges are not known.",
}


def events_lost(marked: int, entries: Sequence[int] | None) -> int:
    """How many events are known to be missing: those of the marks, and those overwritten.

    `entries` is the trace's own (in the buffer, ever written), when it says so.
    """
    return marked + (max(entries[1] - entries[0], 0) if entries else 0)


def losses(
    marked: int, starts: int, entries: Sequence[int] | None, truncated: str, events: int
) -> str:
    """What is missing from a capture, every source of a loss by itself; "" when none is known.

    `marked` events by marks, `starts` marks where a CPU's buffer starts, `truncated` why the file
    ends early after `events` events.
    """
    parts = []
    overwritten = events_lost(0, entries)
    if entries and overwritten:
        kept = f"{entries[0]:,} of {entries[1]:,} are left"
        parts.append(f"{overwritten:,} events were overwritten ({kept})")
    if marked:
        parts.append(f"{marked:,} events are marked as lost")
    if starts:
        parts.append(f"{starts:,} mark{'s' * (starts != 1)} where the buffer of a CPU starts late")
    if truncated:
        of = f" of {entries[0]:,}" if entries else ""
        parts.append(f"TRUNCATED: {truncated}, {events:,}{of} events were read")
    return "; ".join(parts)


def describe_capture(
    log: EventLog, capture: Capture, first_ns: int, holds_ended_by_inference: int
) -> None:
    """Fill `log.meta`: where the log comes from, what is missing, what is a conclusion."""
    counts = capture.counts
    log.meta.update(
        mode="capture",
        source=capture.name,
        kernel="not said by the capture",
        front_end=capture.front_end,
        clock="counter: one count shows as 1 µs" if capture.clock_is_counter else "time",
        first_ns=str(first_ns),
        lines=str(capture.lines),
        lost_events=str(events_lost(capture.lost_events, capture.entries)),
        losses=losses(
            capture.lost_events,
            capture.buffer_started_marks,
            capture.entries,
            capture.truncated or "",
            sum(capture.counts.values()),
        ),
        lossy="yes" if capture.lossy else "no",
        skipped=", ".join(f"{n} x {why}" for why, n in sorted(capture.skipped.items())) or "none",
    )
    for what, why in _ALWAYS_ABSENT.items():
        log.meta[ABSENT + what] = why
    for what, (events, why) in _ABSENT_WITHOUT.items():
        if not any(event in counts for event in events):
            log.meta[ABSENT + what] = why
    for what, rule in _INFERRED.items():
        log.meta[INFERRED + what] = rule
    if holds_ended_by_inference:
        log.meta[INFERRED + "holds"] = (
            f"{holds_ended_by_inference} holds ended by a lost event: the lock was taken by others."
        )
