"""The article's topics, A1 to A18: which scenario shows each, and what proves that it does.

The article is Jonathan Corbet, "Improving page-fault scalability", LWN.net, 29 May 2023. Every
topic has claims that hold, and that fail when the mechanism they are about is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from pfviz.mm.presets import PRESETS, Preset
from pfviz.report.run import Runs
from pfviz.report.source import open_scenario
from pfviz.scenario.build import build_with
from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.matrix import cell_under
from pfviz.scenario.overrides import Overrides
from pfviz.sim import event
from pfviz.views import narrator
from pfviz.views.look import Look
from pfviz.views.timeline import Timeline

MMAP_LOCK_CODES = ("M", "V>M", "V(io)>M", "X")


@dataclass(frozen=True)
class Played:
    """A scenario in which an expression over its run holds, and no more with the mechanism off."""

    scenario: str
    holds: str
    off: dict[str, Any]
    on: dict[str, Any] = field(default_factory=dict)
    off_scenario: str = ""
    """What is played instead when the mechanism is off; "" is the same scenario."""
    off_knobs: dict[str, Any] = field(default_factory=dict)
    """Knobs of the kernel that are turned back when the mechanism is off."""

    def shown(self, switched_off: bool) -> bool:
        if not switched_off:
            return judged(self.scenario, self.holds, _overrides(self.on))
        scenario, overrides = self.off_scenario or self.scenario, _overrides(self.off)
        if not self.off_knobs:
            return judged(scenario, self.holds, overrides)
        with pytest.MonkeyPatch.context() as patch:
            kernel = self.off["kernel"]
            patch.setitem(PRESETS, kernel, replace(PRESETS[kernel], **self.off_knobs))
            return Runs(open_scenario(scenario)).judge(self.holds, overrides)


@dataclass(frozen=True)
class Matrix:
    """What cells of the matrix say, by kernel; `off` are knobs of that kernel turned back."""

    holds: Callable[[Callable[[str, str], str]], bool]
    kernel: str
    off: dict[str, Any]

    def shown(self, switched_off: bool) -> bool:
        def code(kind: str, kernel: str) -> str:
            found = PRESETS[kernel]
            if switched_off and kernel == self.kernel:
                found = replace(found, **self.off)
            return code_of(kind, found)

        return self.holds(code)


@dataclass(frozen=True)
class Topic:
    """One topic of the article."""

    says: str
    shown_by: tuple[Played | Matrix, ...]


def _overrides(changes: dict[str, Any]) -> Overrides:
    plain = {name: changes[name] for name in ("kernel", "mode", "threads") if name in changes}
    policy = tuple(sorted((n, v) for n, v in changes.items() if n not in (*plain, "without")))
    return Overrides(**plain, without=changes.get("without", ()), policy=policy)


@cache
def runs_of(name: str) -> Runs:
    return Runs(open_scenario(name))


@cache
def judged(scenario: str, text: str, overrides: Overrides) -> bool:
    return runs_of(scenario).judge(text, overrides)


@cache
def code_of(kind: str, kernel: Preset) -> str:
    return cell_under(kind, kernel).code


def needing_mmap_lock(code: Callable[[str, str], str], kernel: str) -> int:
    """How many kinds of faults a kernel cannot complete without mmap_lock."""
    return sum(code(kind.id, kernel) in MMAP_LOCK_CODES for kind in KINDS)


BEHIND_THE_WRITER = (
    "happened('contention_begin lock=mmap_lock mode=read task=app*') > 0 and"
    " happened('contention_begin lock=mmap_lock mode=write task=mapper') > 0 and"
    " latency_ns.max > 100 * compare(without='smaps').latency_ns.max"
)
"""Faults queue for mmap_lock, and the longest waits for the monitor, not for a neighbour."""

TOPICS = {
    "A1": Topic(
        "mmap_lock is contended, and a monitor's read of smaps holds up the real work",
        (
            Played("fault-storm", "throughput_per_s < 0.5 * compare('per-vma').throughput_per_s",
                   on={"mode": "mmap_lock", "threads": 32}, off={"mode": "per-vma", "threads": 32}),
            Played("smaps-monitor", "operations.mmap.latency_ns.p99 > 1000000",
                   on={"kernel": "6.12"}, off={"kernel": "6.12", "without": ("smaps",)}),
            Played("smaps-monitor", BEHIND_THE_WRITER,
                   on={"mode": "mmap_lock"}, off={"mode": "mmap_lock", "without": ("mapper",)}),
            Played("smaps-monitor", BEHIND_THE_WRITER,
                   on={"mode": "mmap_lock"}, off={"mode": "per-vma"}),
        ),
    ),
    "A2": Topic(
        "speculative faults, RCU, per-VMA locks: the same work in three modes",
        (
            Played("fault-storm", "faults.completed_under.vma_lock > 0.9 * faults.count",
                   on={"mode": "per-vma"}, off={"mode": "mmap_lock"}),
            Played("fault-storm", "faults.completed_under.lockless > 0.9 * faults.count",
                   on={"mode": "lockless"}, off={"mode": "per-vma"}),
        ),
    ),
    "A3": Topic(
        "the maple tree replaced the red-black tree",
        (
            Played("tree-tour", "happened('tree_store') > 10 and happened('tree_write') == 0",
                   on={"kernel": "6.1", "mode": "mmap_lock"},
                   off={"kernel": "6.0", "mode": "mmap_lock"}),
        ),
    ),
    "A4": Topic(
        "VMAs are looked up under RCU and locked one by one",
        (
            Played("rcu-lookup", "happened('tree_walk slot=-1 task=reader*') >= 3"
                   " and len(broken_rules) == 0", off={"tree_in_place": True}),
            Played("hello-fault", "happened('vma_lock what=read_locked') > 0",
                   on={"kernel": "6.4"}, off={"kernel": "6.1"}),
        ),
    ),
    "A5": Topic(
        "cached pages of files: mmap_lock in 6.4, the VMA lock from 6.6",
        (
            Matrix(lambda code: [code("file_read_hit", k) for k in ("6.4", "6.6")] == ["M", "V"],
                   "6.6", {"file_under_vl": "none"}),
        ),
    ),
    "A6": Topic(
        "pages in the swap cache: tried again under mmap_lock in 6.4, not from 6.6",
        (
            Matrix(lambda code: [code("swap_cached", k) for k in ("6.4", "6.6")] == ["V>M", "V"],
                   "6.6", {"swap_under_vl": False}),
            Played("swap-in", "happened('fault_fallback task=scanner counter=vma_lock_retry') == 8",
                   on={"kernel": "6.4"}, off={"kernel": "6.6"}),
        ),
    ),
    "A7": Topic(
        "fewer and fewer cases need mmap_lock",
        (
            Matrix(lambda code: _falls([needing_mmap_lock(code, kernel) for kernel in PRESETS]),
                   "6.7", {"file_under_vl": "none", "swap_under_vl": False}),
        ),
    ),
    "A8": Topic(
        "waiting for I/O: drop the lock and start again, or hold it",
        (
            Played("file-io-wait", "operations.mprotect.latency_ns.max < 40000",
                   off={"io_wait": "hold"}),
            Played("file-io-wait", "vmstat.vma_lock_retry == 0 and "
                   "operations.mprotect.latency_ns.max > 50000",
                   on={"io_wait": "hold"}, off={"io_wait": "restart"}),
            Played("io-race", "min(operations.munmap.latency_ns.max,"
                   " operations.mprotect.latency_ns.max, operations.fork.latency_ns.p50) > 80000",
                   on={"io_wait_file": "hold"}, off={"io_wait_file": "restart"}),
            Played("io-race", "faults.completed_under.mmap_lock < 15",
                   on={"restart_lock": "vma"}, off={"restart_lock": "mmap"}),
        ),
    ),
    "A9": Topic(
        "the owner unmaps memory while a swap-in waits: holding the VMA lock avoids the problem",
        (
            Played("swap-in", "faults.errors == 0 and operations.munmap.latency_ns.max > 40000",
                   on={"io_wait_swap": "hold"}, off={"io_wait_swap": "restart"}),
        ),
    ),
    "A10": Topic(
        "two mallocs, one VMA: three costs, counted apart",
        (
            Played("two-mallocs", "locks['vma_lock first'].contended > 0", off={"merge": False}),
            Played("two-mallocs", "happened('fault_fallback task=one cause=*write-locked*') > 3",
                   off={"merge": False}),
            Played("two-mallocs", "sum(line.transfers for line in cache_lines"
                   " if line.name == 'vma_lock first') > 50", off={"merge": False}),
        ),
    ),
    "A11": Topic(
        "I/O is begun under the VMA lock from 6.7",
        (
            Matrix(lambda code: [code("file_read_miss", k) for k in ("6.6", "6.7")]
                   == ["V>M", "V(io)>M"], "6.7", {"file_under_vl": "map_pages"}),
            Played("file-io-wait",
                   "first_ns('lock_acquired lock=mmap_lock mode=read') > first_ns('io_end') > 0",
                   on={"kernel": "6.7"}, off={"kernel": "6.6"}),
        ),
    ),
    "A12": Topic(
        "/proc files and their locks, smaps_rollup last; a CPU with interrupts off holds unmaps up",
        (
            Played("proc-readers", "happened('vma_lock what=read_locked task=smaps') >= 60",
                   on={"kernel": "7.2"}, off={"kernel": "6.18"}),
            Played("proc-readers", "happened('vma_lock what=read_locked task=maps') > 1000",
                   on={"kernel": "6.18"}, off={"kernel": "6.12"}),
            Played("proc-readers", "happened('vma_lock what=read_locked task=rollup') == 0 and"
                   " happened('contention_begin lock=mmap_lock*app mode=write task=mapper') > 0"
                   " and locks['mmap_lock app'].wait_ns.max > 100000",
                   on={"kernel": "7.2"}, off={"kernel": "7.2", "without": ("rollup",)}),
            Played("proc-readers", "any(one.contended >= 3 for one in locks"
                   " if one.name == 'interrupts of CPU 1')", off={"without": ("direct-io",)}),
        ),
    ),
    "A13": Topic(
        "page tables freed by RCU, or after an interrupt to every CPU",
        (
            Played("page-table-free", "locks['interrupts of CPU 2'].contended >= 3",
                   on={"page_table_free": "ipi"}, off={"page_table_free": "rcu"}),
            Played("page-table-free", "happened('rcu_callback what=page*tables') > 0",
                   on={"page_table_free": "rcu"}, off={"page_table_free": "ipi"}),
            Played("page-table-free", "happened('rcu_callback what=page*tables') > 0",
                   on={"page_table_free": "kernel", "kernel": "6.18"},
                   off={"page_table_free": "kernel", "kernel": "6.12"}),
        ),
    ),
    "A14": Topic(
        "userfaultfd: the lock is dropped before the monitor is told; holding it can deadlock",
        (
            Played("userfaultfd", "first_ns('step release_fault_lock task=worker') < "
                   "first_ns('step wake_up_poll task=worker') and len(unfinished) == 0",
                   off={"uffd_notify": "hold"}),
            Played("userfaultfd-hold", "len(unfinished) == 3", off={"uffd_notify": "drop_first"}),
        ),
    ),
    "A15": Topic(
        "drivers must opt in; map_pages maps ahead under RCU and must not sleep",
        (
            Matrix(lambda code: [code("pfn_mkwrite_mapped", k) for k in ("6.6", "6.7")]
                   == ["V>M", "V"], "6.7", {"file_under_vl": "map_pages"}),
            Played("driver-faults", "faults.fallbacks['driver without map_pages'] == 2",
                   off={"driver_opt_in": True}),
            Played("driver-faults", "operations.mprotect.latency_ns.max > 20000",
                   off={"without": ("plain-user",)}),
            Played("driver-faults", "faults.by_kind.driver == 5", off={"fault_around": 1}),
            Played("driver-mistakes", "any('I19' in one.rule for one in broken_rules)",
                   on={"mode": "per-vma"}, off={"mode": "mmap_lock"}),
            Played("driver-mistakes", "any('I18' in one.rule for one in broken_rules)",
                   off={"without": ("sleeper",)}),
            Played("driver-mistakes", "len(unfinished) == 2", off={"without": ("dropper",)}),
        ),
    ),
    "A16": Topic(
        "after fork a driver's VMA exists twice: two locks held, one driver",
        (
            Played("driver-fork", "locks['mmap_lock app'].hold_ns.max > 25000 and"
                   " locks['mmap_lock child'].hold_ns.max > 25000 and"
                   " locks['object lock /dev/dri/card0'].contended == 1",
                   off={"driver_opt_in": True}),
            Played("driver-fork", "faults.completed_under.vma_lock == 3 and"
                   " locks['object lock /dev/dri/card0'].contended == 1",
                   on={"driver_opt_in": True}, off={"driver_opt_in": False}),
        ),
    ),
    "A17": Topic(
        "the tree under its own lock, other uses under theirs: what goes, and what remains",
        (
            Played("beyond-mmap-lock", "locks['i_mmap libc.so'].contended > 0 and "
                   "now_ns * 2 < compare(kernel='7.2').now_ns",
                   on={"kernel": "beyond"}, off={"kernel": "beyond"},
                   off_knobs={"tree_lock": "mmap_lock"}),
            Played("beyond-mmap-lock", "sum(one.wait_ns.total for one in locks"
                   " if one.name == 'mmap_lock app') == 0 and len(unfinished) == 0",
                   on={"kernel": "beyond"}, off={"kernel": "beyond"},
                   off_knobs={"tree_lock": "mmap_lock"}),
        ),
    ),
    "A18": Topic(
        "the VMA lock's cache line, and faults that do without it",
        (
            Played("one-vma-storm",
                   "sum(line.transfers for line in cache_lines if 'vma_lock' in line.name)"
                   " > faults.count", on={"mode": "per-vma"}, off={"mode": "lockless"}),
            Played("one-vma-storm",
                   "throughput_per_s < 2 * compare(threads=8).throughput_per_s and"
                   " compare('lockless').throughput_per_s >"
                   " 2 * compare('lockless', threads=8).throughput_per_s",
                   on={"mode": "per-vma", "threads": 32}, off={"mode": "per-vma", "threads": 32},
                   off_scenario="fault-storm"),
            Played("lockless-abort", "vmstat.lockless_abort > 100",
                   off={"without": ("protector",)}),
        ),
    ),
}  # fmt: skip


def _falls(counts: list[int]) -> bool:
    """No release needs mmap_lock for more kinds than the one before, and the last for fewest."""
    before_beyond, beyond = counts[:-1], counts[-1]
    never_rises = all(a >= b for a, b in pairwise(before_beyond))
    return never_rises and counts[0] > counts[-2] > beyond


@pytest.mark.parametrize("topic", TOPICS)
def test_the_topic_is_shown(topic: str) -> None:
    for one in TOPICS[topic].shown_by:
        assert one.shown(switched_off=False), one


@pytest.mark.parametrize("topic", TOPICS)
def test_without_its_mechanism_the_topic_is_not_shown(topic: str) -> None:
    for one in TOPICS[topic].shown_by:
        assert not one.shown(switched_off=True), one


def told_when_the_monitor_loses_its_cpu(without: tuple[str, ...] = ()) -> list[str]:
    """What a thread that faults is said to wait for, each time the reader of smaps is preempted."""
    made = build_with(open_scenario("smaps-monitor"), Overrides(mode="mmap_lock", without=without))
    made.run()
    timeline = Timeline(made.log)
    app = next(task.id for task in made.tasks if task.name == "app1")
    smaps = next(task.id for task in made.tasks if task.name == "smaps")
    return [
        narrator.spoken(timeline.at(index + 1), Look(selected=app))
        for index, row in enumerate(made.log)
        if row[1] == event.SCHED_SWITCH and row[2] == smaps
    ]


THE_CHAIN = re.compile(
    r"app1 waits: smaps has held mmap_lock for read for .* and lost its CPU to busy "
    r"\(nice 0 beats nice 19\) .*; "
    r"the writer mapper queued behind it, so every new reader queues too\."
)


def test_one_sentence_tells_the_chain_from_the_fault_to_the_preempted_monitor() -> None:
    assert any(THE_CHAIN.fullmatch(said) for said in told_when_the_monitor_loses_its_cpu())


@pytest.mark.parametrize("missing", ["busy", "mapper"])
def test_without_a_better_thread_or_a_writer_there_is_no_such_chain(missing: str) -> None:
    said = told_when_the_monitor_loses_its_cpu(without=(missing,))
    assert not any(THE_CHAIN.fullmatch(one) for one in said)
