"""Kernels as data: the knobs that tell one release's page faults from another's.

What each release changed, with commit and source, is in `releases`. A new kernel is new data, never
a new branch on a version number. It refuses to know how the paths act on a knob.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from pfviz.mm.releases import FIRST, RELEASES, Release

MODES: Final = ("mmap_lock", "per-vma", "lockless")


@dataclass(frozen=True, slots=True)
class Preset:
    """One kernel release, as far as page faults and address spaces can tell releases apart."""

    name: str
    title: str
    vma_lock: str
    """"none", "rwsem" (with a sequence number, 6.4-6.14) or "refcount" (6.15+)."""
    mm_lock_seq: str
    """"none", "int" (one increment per write-unlock) or "seqcount" (odd while write-locked)."""
    anon_vma_check: str
    """When a fault minds a missing anon_vma: "none" (no VMA lock), "early_unlocked" (before the VMA
    is locked: a bug of 6.4.0), "early" (after), "late" (at the first write, by trylock)."""
    file_under_vl: str
    """File faults under the VMA lock: "none", "map_pages" or "full"."""
    swap_under_vl: bool
    uffd_under_vl: bool
    handler_unlocks: bool
    """6.6+: a handler that returns RETRY has released the VMA lock itself."""
    detached_before_range: bool
    """6.10+: lock_vma_under_rcu tests for a detached VMA before it tests the range."""
    access_error_under_vl: bool
    """6.10+: a permission error is reported under the VMA lock."""
    tried_after_major: bool
    """6.8+: a retry after a major fault carries FAULT_FLAG_TRIED."""
    prefetchw_mmap_lock: bool
    """The exception entry asks for mmap_lock's cache line exclusively, needed or not."""
    locks_new_vma: bool
    """mmap write-locks a new VMA before the tree shows it (missing in 6.4.0)."""
    fork_locks_vmas: bool
    """fork write-locks each VMA of the parent; missing in 6.4.0 (lost writes)."""
    fork_tree: str
    """"store" (one store per VMA) or "mt_dup" (6.8+: the tree is copied node by node first)."""
    expand_stack: str
    """"read" (6.4.0: the stack grows under mmap_lock held for reading) or "write"."""
    stack_page_table_lock: bool
    """expand_downwards takes page_table_lock (recorded on 6.1 and 6.12, not on 6.18)."""
    map_fixed_leaves_gap: bool
    """Before 6.12 MAP_FIXED over a mapping unmaps first, and walkers can see the gap."""
    vma_free: str
    """"immediate", "rcu" (call_rcu) or "typesafe" (slab reuse without a grace period)."""
    maps_lock: str
    """What reading /proc/PID/maps holds: "mmap_lock" or "vma_lock"."""
    smaps_lock: str
    madvise_dontneed_lock: str
    merge_anon_vma: str
    """Whose missing anon_vma a merge forgives: "target" (the one that grows must have it) or "any"
    (since 6.16 the grown VMA may take over the anon_vma of the other)."""
    unmap_drains_lru: bool
    """unmap begins by draining this CPU's LRU batch (seen in 6.1 and 6.12, not in 6.18)."""
    lru_batch: int
    """Pages collected per CPU before the LRU lists are locked (PAGEVEC_SIZE)."""
    unmap_splits_below: tuple[bool, bool] = (True, False)
    """Whether munmap's new VMA is the part below the cut, at the start and at the end of its range:
    since about 6.4 the old VMA is the one that goes, before it stayed."""
    unmap_minds_stack: bool = False
    """munmap does not downgrade right below a stack, which used to grow under the read lock."""
    rechecks_before_miss: bool = False
    """6.10+: a page that is missing from its file is not a miss if its entry is set meanwhile."""
    unmap_store: str = "mas_store_gfp"
    """How munmap empties its range in the tree; 6.1 allocated the nodes before it cut VMAs."""
    uffd_ioctl_lock: str = "mmap_lock"
    """What UFFDIO_COPY and its kin hold on the destination: "mmap_lock" or (6.9+) "vma_lock"."""
    uffd_move: bool = False
    """6.8+: UFFDIO_MOVE."""
    uffd_wp_async: bool = False
    """6.7+: UFFD_FEATURE_WP_ASYNC, the kernel itself lifts the monitor's write protection."""
    uffd_unprotect_writable: bool = False
    """Lifting a monitor's write protection gives the right to write back at once (6.2+)."""
    hugetlb_under_vl: bool = False
    """6.10+: hugetlb faults complete under the VMA lock."""
    numa_maps_lock: str = "mmap_lock"
    procmap_query_lock: str = "none"
    """What the ioctl PROCMAP_QUERY holds; "none" where there is no such call."""
    madvise_guard_lock: str = "mmap_lock"
    walkers_lock_vmas: bool = False
    """6.6+: who walks page tables and changes them write-locks each VMA (walk_lock)."""
    guard_regions: bool = False
    """6.13+: madvise can mark entries as guard pages."""
    gup_lookup: str = "vma_lookup"
    """How get_user_pages looks a VMA up: "vma_lookup" or (6.5+, gup_vma_lookup) "find_vma"."""
    mremap_checks: str = "late"
    """When mremap checks its VMA: "late" (after it has unmapped what lies at the new place), or
    "early" (6.17+)."""
    swapcache_prepare: bool = False
    """6.8+: who reads from a synchronous swap device marks the entry, and losers wait a tick."""
    swapin_through_cache: bool = False
    """7.2: every swap-in passes the swap cache, synchronous devices included."""
    swapin_allocs_first: bool = False
    """6.12+: past the swap cache, the page is allocated before the slot is marked."""
    swapin_wakes_losers: bool = False
    """6.12+: who lost a swap-in sleeps until the slot is let go, not until the next tick."""
    swapin_writable: bool = False
    """6.11+: a read swap-in of a page of one's own maps it writable at once."""
    walk_begins_anew: bool = False
    """6.18+: after a MISS the walk starts from the address of the fault, not from where it was."""
    pte_map_may_fail: bool = False
    """6.5+: pte_offset_map takes RCU and can find that the table has gone."""
    split_stores_old_half: bool = False
    """6.1-6.2: who cuts off the lower part of a VMA stores the upper part anew, too."""
    links_file_around_store: bool = True
    """Until 6.8 mmap holds the file's i_mmap lock around its store into the VMA tree."""
    unlink_file_batches: bool = False
    """6.10+: VMAs of one file leave its tree together, up to eight under one lock."""
    madvise_batches_tlb: bool = False
    """6.16+: madvise flushes once for all VMAs, after it has given a VMA's lock back."""
    hugetlb_vma_lock: str = "none"
    """Which hugetlb VMAs have a lock against unmapping: "none", "shared" (6.1+) or "all" (6.7+)."""
    mmap_aligns: str = "none"
    """Which anonymous mappings begin at a multiple of 2 MiB: "none", "large" ones (6.7+) or
    "multiples" of that size (6.12+)."""
    madv_collapse: bool = False
    """6.1+: MADV_COLLAPSE makes a huge page of small ones at once."""
    thp_zero_wp: str = "split"
    """What a write to the huge zero page does: "split" it, or (6.13+) replace it by a huge page."""
    thp_zeroes_first: bool = False
    """Whether a huge page is zeroed before the page table for a split is allocated (6.13+)."""
    page_tables_by_rcu: bool = False
    """6.15+: x86 always frees page tables by RCU; before, with PARAVIRT only: without it they go
    with the pages after the TLB flush."""
    tree_lock: str = "mmap_lock"
    """What guards stores into the VMA tree: "mmap_lock", or "own" in what no kernel is yet."""
    lockless: bool = False
    """Whether faults try without any lock first as this preset's own behaviour (`beyond`)."""
    tree: str = "maple"
    """What holds the VMAs: "rb" (red-black tree, list and vmacaches, until 6.0) or "maple"."""

    @property
    def has_vma_lock(self) -> bool:
        """Whether this kernel has per-VMA locks at all."""
        return self.vma_lock != "none"

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which this kernel can be run."""
        if self.tree == "rb":
            return ("mmap_lock",)
        if self.tree_lock == "own":
            return ("per-vma", "lockless")
        return MODES if self.has_vma_lock else ("mmap_lock", "lockless")

    @property
    def default_mode(self) -> str:
        """The mode in which this kernel behaves as released."""
        if self.lockless:
            return "lockless"
        return "per-vma" if self.has_vma_lock else "mmap_lock"


def _build(releases: tuple[Release, ...]) -> dict[str, Preset]:
    first = releases[0]
    presets = {first.name: Preset(first.name, first.title, **FIRST)}
    for release in releases[1:]:
        before = next(reversed(presets.values()))
        changed = {change.knob: change.value for change in release.changes if change.knob}
        presets[release.name] = replace(before, name=release.name, title=release.title, **changed)
    return presets


PRESETS: Final[dict[str, Preset]] = _build(RELEASES)


def preset(name: str) -> Preset:
    """The kernel called `name`; ValueError naming the nearest for any other name."""
    found = PRESETS.get(name)
    if found is None:
        raise ValueError(_unknown("kernel", name, tuple(PRESETS)))
    return found


def mode_of(name: str, kernel: Preset) -> str:
    """A mode by name ("" is the kernel's own); ValueError when it is unknown or impossible."""
    if not name:
        return kernel.default_mode
    if name not in MODES:
        raise ValueError(_unknown("mode", name, MODES))
    if name in kernel.modes:
        return name
    others = " or ".join(kernel.modes)
    if kernel.tree_lock == "own":
        raise ValueError(f"{kernel.name} has no mmap_lock; use mode {others}, or kernel 7.2")
    if name == "per-vma":
        why, since = "has no per-VMA locks", "6.4"
    else:
        why, since = "has a red-black tree, which nobody can walk without mmap_lock", "6.1"
    raise ValueError(f"Linux {kernel.name} {why}; use mode {others}, or a kernel from {since} on")


def _unknown(what: str, name: str, names: tuple[str, ...]) -> str:
    near = get_close_matches(name, names, n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {what} {name!r}{hint} (known: {', '.join(names)})"
