"""What real kernels called, in order: `tests/data/callgraphs`, with every lock given a name.

A recording knows no lock by address: names come from the function around the call, and a lock is
given back by whoever took it last. It refuses to know what pfviz does.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[2] / "data" / "callgraphs"
KERNELS: Final = ("6.1", "6.12", "6.18")
COPIES: Final = re.compile(r"\.(isra|part|constprop)\.\d+$")
"""Suffixes of the compiler's own copies of a function."""

TAKES: Final = {
    "down_read": "read", "down_read_killable": "read", "down_read_trylock": "read",
    "down_write": "write", "down_write_killable": "write", "down_write_trylock": "write",
    "_raw_spin_lock": "spin", "_raw_spin_trylock": "spin_try", "_raw_spin_lock_irq": "spin_irq",
    "_raw_spin_lock_irqsave": "spin_irqsave",
}  # fmt: skip
GIVES: Final = {
    "up_read": ("read",), "up_write": ("write",), "_raw_spin_unlock": ("spin", "spin_try"),
    "_raw_spin_unlock_irq": ("spin_irq",),
    "_raw_spin_unlock_irqrestore": ("spin_irqsave", "spin_try"),
}  # fmt: skip

RWSEMS: Final = {
    "mmap_lock": "mmap_lock",
    "vma_lock": "vma_lock",
    "vma_lock (vma_start_write)": "vma_lock",
    "anon_vma.rwsem": "anon_vma",
    "i_mmap_rwsem": "i_mmap",
}
"""The recording's own names of reader-writer semaphores."""

RWSEM_WITHIN: Final = {
    "expand_downwards": "anon_vma", "__anon_vma_prepare": "anon_vma", "anon_vma_clone": "anon_vma",
    "anon_vma_fork": "anon_vma", "unlink_anon_vmas": "anon_vma", "vma_merge": "anon_vma",
    "do_brk_flags": "anon_vma", "shift_arg_pages": "anon_vma",
    "unlink_file_vma": "i_mmap", "unlink_file_vma_batch_process": "i_mmap",
    "unlink_file_vma_batch_final": "i_mmap", "vma_link_file": "i_mmap", "vma_link": "i_mmap",
    "mmap_region": "i_mmap", "__mmap_region": "i_mmap", "dup_mmap": "i_mmap",
    "copy_process": "i_mmap", "filemap_fault": "invalidate_lock", "move_vma": "i_mmap",
    "page_cache_ra_unbounded": "invalidate_lock", "page_cache_ra_order": "invalidate_lock",
    "ext4_page_mkwrite": "invalidate_lock", "mfill_atomic_copy": "userfaultfd ctx",
    "userfaultfd_ioctl": "userfaultfd ctx", "userfaultfd_set_ctx": "userfaultfd ctx",
    "begin_new_exec": "exec_update_lock", "exit_mmap": "mmap_lock",
}  # fmt: skip
"""Function -> the semaphore that it takes, where the recording does not say."""

PAGE_TABLE_LOCK: Final = "page_table_lock"
SPIN_WITHIN: Final = {
    "__pte_offset_map_lock": "ptl", "__handle_mm_fault": "ptl", "wp_page_copy": "ptl",
    "do_wp_page": "ptl", "finish_fault": "ptl", "filemap_map_pages": "ptl", "do_swap_page": "ptl",
    "change_protection": "ptl", "unmap_page_range": "ptl", "copy_page_range": "ptl",
    "mlock_pte_range": "ptl", "move_page_tables": "ptl", "insert_pfn": "ptl",
    "remap_pfn_range_internal": "ptl", "mfill_atomic_install_pte": "ptl",
    "__get_user_pages": "ptl", "do_huge_pmd_anonymous_page": "pmd",
    "pmd_install": "pmd", "__anon_vma_prepare": PAGE_TABLE_LOCK,
    "expand_downwards": PAGE_TABLE_LOCK,
}  # fmt: skip
"""Function -> the spinlock that it takes."""

QUEUE_WITHIN: Final = {
    ("spin_irq", "handle_userfault"): "fault_pending_wqh",
    ("spin_irqsave", "handle_userfault"): "fd_wqh",
    ("spin_irq", "__wake_userfault"): "fault_pending_wqh",
    ("spin_irqsave", "__wake_userfault"): "fault_wqh",
}
"""How a lock was taken, and in which function -> the wait queue whose lock it is."""

RCU_CALLBACKS: Final = {"vm_area_free": "vm_area_struct", "tlb_finish_mmu": "page tables"}
"""Function -> what it frees after a grace period; elsewhere it is a node of the tree."""

ALWAYS: Final = {
    "__pte_offset_map_lock": ("__rcu_read_lock", "_raw_spin_lock"),
    "pmd_install": ("_raw_spin_lock", "_raw_spin_unlock"),
    "pte_offset_map_nolock": ("__rcu_read_lock",),
    "pte_offset_map_rw_nolock": ("__rcu_read_lock",),
}
"""Function -> what it calls each time."""

MMAP_LOCK_EVENTS: Final = (
    "mmap_lock_start_locking", "mmap_lock_acquire_returned", "mmap_lock_released"
)  # fmt: skip
MODE_OF: Final = {"false": "read", "true": "write"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call or trace point of a recording."""

    name: str
    """The function, without the compiler's suffix, or the trace point."""
    inside: tuple[str, ...]
    """The functions it was called in, the outermost first (among those that are recorded)."""
    token: str
    """What is compared: the name, and in brackets which lock, which mode, which kind of store."""
    lock: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One kernel: which functions can show up at all, and the calls of each kind."""

    kernel: str
    traceable: dict[str, str]
    kinds: dict[str, dict[str, Any]]
    names: frozenset[str] = field(repr=False)
    """Every function and trace point that shows up in any kind."""

    def calls(self, kind: str) -> list[Call]:
        """The calls of one kind, in order."""
        return calls_of(self.kinds[kind])


@cache
def recording(kernel: str) -> Recording:
    """What is recorded of a kernel ("6.1", "6.12" or "6.18")."""
    with gzip.open(DATA / f"{kernel}.json.gz", "rt") as file:
        data = json.load(file)
    names = (_plain(item["fn"]) for entry in data["kinds"].values() for item in entry["sequence"])
    return Recording(kernel, data["traceable"], data["kinds"], frozenset(names))


@cache
def functions(kernel: str) -> frozenset[str]:
    """Every function in the full graphs of a kernel's recordings, of which `calls` are a part."""
    with gzip.open(DATA / "functions.json.gz", "rt") as file:
        return frozenset(json.load(file)[kernel])


def calls_of(entry: dict[str, Any]) -> list[Call]:
    """The calls of an entry of `sequences.json` (key "sequence"), repeats spelled out."""
    calls: list[Call] = []
    held: list[tuple[str, str]] = []
    inside: list[str] = []
    items = _deep_enough(_unrolled(entry["sequence"]))
    for number, item in enumerate(items):
        name, depth = _plain(item["fn"]), item["depth"]
        del inside[depth:]
        if item.get("event"):
            calls.append(Call(name, tuple(inside), _event_token(name, item)))
            continue
        following = items[number + 1 : number + 2]
        lock = _lock(name, item, inside, following, held)
        if lock == "ptl" and _links_upper_table(calls, inside, following):
            lock = PAGE_TABLE_LOCK
            held[-1] = (held[-1][0], lock)
        what = lock or (RCU_CALLBACKS.get(inside[-1], "maple node") if name == "call_rcu" else "")
        calls.append(Call(name, tuple(inside), f"{name}({what})" if what else name, lock))
        inside += [""] * (depth - len(inside)) + [name]
    return calls


def _links_upper_table(
    calls: list[Call], inside: list[str], following: list[dict[str, Any]]
) -> bool:
    """Whether a lock of __handle_mm_fault is that of __pud_alloc or __pmd_alloc.

    They are not kept in the recordings: it is taken after a page was allocated, and given back at
    once.
    """
    if inside[-1:] != ["__handle_mm_fault"] or not following:
        return False
    if following[0]["fn"] != "_raw_spin_unlock":
        return False
    before = (call.name for call in reversed(calls) if call.inside == tuple(inside))
    last = next((name for name in before if not name.startswith("__rcu_read_")), "")
    return last.startswith("__alloc_")


def _deep_enough(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add what some functions always do where a recording was not deep enough to show it."""
    found: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        found.append(item)
        if item["fn"] not in ALWAYS:
            continue
        depth = item["depth"]
        below = takewhile(lambda one: one["depth"] > depth, items[number + 1 :])  # noqa: B023
        names = {one["fn"] for one in below}
        missing = [name for name in ALWAYS[item["fn"]] if name not in names]
        found += [{"fn": name, "depth": depth + 1} for name in missing]
    return found


def _plain(name: str) -> str:
    return COPIES.sub("", name)


def _unrolled(sequence: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every block that is recorded once with "times" written out as often as it came."""
    found: list[dict[str, Any]] = []
    left = iter(range(len(sequence)))
    for index in left:
        repeat = sequence[index].get("repeat")
        if repeat is None:
            found.append(sequence[index])
            continue
        block = [dict(item) for item in sequence[index : index + repeat["items"]]]
        del block[0]["repeat"]
        found += _unrolled(block) * repeat["times"]
        for _ in range(repeat["items"] - 1):
            next(left, None)
    return found


def _event_token(name: str, item: dict[str, Any]) -> str:
    if name in MMAP_LOCK_EVENTS:
        failed = " failed" if item.get("success") == "false" else ""
        return f"{name}({MODE_OF[item['write']]}{failed})"
    if name.startswith("ma_"):
        return f"{name}({item['detail']})"
    if name == "contention_begin":
        return f"{name}({item['flags'].lower()})"
    return name


def _lock(name: str, item: dict[str, Any], inside: list[str], following: list[dict[str, Any]],
          held: list[tuple[str, str]]) -> str:  # fmt: skip
    """Which lock a call takes or gives back; "" for a call that does neither."""
    if name in TAKES:
        lock = _taken(name, item, inside, following, held)
        held.append((TAKES[name], lock))
        return lock
    if name in GIVES:
        known = RWSEMS.get(item.get("lock", ""))
        for number in range(len(held) - 1, -1, -1):
            mode, lock = held[number]
            if mode in GIVES[name] and known in (None, lock):
                return held.pop(number)[1]
        return known or "?"
    if name == "downgrade_write":
        number = max(i for i, (mode, lock) in enumerate(held) if (mode, lock) == MMAP_WRITE)
        held[number] = ("read", "mmap_lock")
        return "mmap_lock"
    return ""


MMAP_WRITE: Final = ("write", "mmap_lock")


def _taken(name: str, item: dict[str, Any], inside: list[str], following: list[dict[str, Any]],
           held: list[tuple[str, str]]) -> str:  # fmt: skip
    if item.get("lock") in RWSEMS:
        return RWSEMS[item["lock"]]
    within = inside[-1] if inside else ""
    if TAKES[name] in ("read", "write"):
        if item.get("lock"):  # "i_mmap_rwsem or anon_vma.rwsem": what is done next tells.
            is_anon = following and following[0]["fn"].startswith("anon_vma_interval_tree")
            return "anon_vma" if is_anon else "i_mmap"
        return RWSEM_WITHIN.get(within, "?")
    if TAKES[name] in ("spin_irq", "spin_irqsave"):
        # No page-table lock is taken with interrupts off; below a wake-up the scheduler's are.
        queue = QUEUE_WITHIN.get((TAKES[name], within), "?")
        return "?" if (TAKES[name], queue) in held else queue
    if within == "copy_page_range" and held.count(("spin", "ptl")) == 2:
        return "swap"  # An entry of a page that is swapped out has one more user.
    if within in ("copy_page_range", "move_page_tables") and _is_upper(following, held):
        return "upper tables"
    if within == "do_swap_page":
        return _lock_of_swap_in(name, following, held)
    if TAKES[name] == "spin_try":
        return "?"  # The allocator's: nobody tries a page-table lock.
    return SPIN_WITHIN.get(within, "?")


def _lock_of_swap_in(
    name: str, following: list[dict[str, Any]], held: list[tuple[str, str]]
) -> str:
    """6.1 locks the page table in do_swap_page itself, and takes the lock of the slots next."""
    if TAKES[name] == "spin_try":
        return "?"
    is_first = bool(following) and following[0]["fn"] == "_raw_spin_lock"
    return "ptl" if is_first and ("spin", "ptl") not in held else "swap cluster"


def _is_upper(following: list[dict[str, Any]], held: list[tuple[str, str]]) -> bool:
    """Whether fork only links a table above the PTE tables: locked and unlocked, alone."""
    is_alone = ("spin", "ptl") not in held
    return is_alone and bool(following) and following[0]["fn"] == "_raw_spin_unlock"
