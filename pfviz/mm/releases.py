"""What each kernel release changed for page faults: the knob, its new value, commit and origin.

Data only: `presets` makes kernels of it, the matrix shows it. Origins: "source" was read in the
trees of 6.1.192, 6.4 (memory.c at c2508ec5a58d), 6.6 (b96a3e9142fd), 6.12.117 and 7.2.13,
"recorded" was seen on a running kernel, "list" is a mailing-list post, CVE or LWN page, "memory" is
kernel history that was not verified again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a release does differently from the one before it in `RELEASES`."""

    knob: str
    """The field of `presets.Preset`; "" when the model has no switch for it (yet)."""
    value: Any
    what: str
    """In one sentence, for the screen."""
    commit: str
    """Abbreviated commit ids, or the series; "" when only `origin` is known."""
    origin: str
    """"source", "recorded", "list" or "memory"."""


@dataclass(frozen=True, slots=True)
class Release:
    """One kernel release and what it changed."""

    name: str
    title: str
    changes: tuple[Change, ...] = ()


FIRST: Final[dict[str, Any]] = {
    "vma_lock": "none",
    "mm_lock_seq": "none",
    "anon_vma_check": "none",
    "file_under_vl": "none",
    "swap_under_vl": False,
    "uffd_under_vl": False,
    "handler_unlocks": False,
    "detached_before_range": False,
    "access_error_under_vl": False,
    "tried_after_major": False,
    "prefetchw_mmap_lock": True,
    "locks_new_vma": False,
    "fork_locks_vmas": False,
    "fork_tree": "store",
    "expand_stack": "read",
    "stack_page_table_lock": True,
    "map_fixed_leaves_gap": True,
    "vma_free": "immediate",
    "maps_lock": "mmap_lock",
    "smaps_lock": "mmap_lock",
    "madvise_dontneed_lock": "mmap_lock",
    "merge_anon_vma": "target",
    "unmap_drains_lru": True,
    "lru_batch": 15,
    "unmap_splits_below": (False, True),
    "unmap_minds_stack": True,
    "tree": "rb",
}
"""The knobs of the first release below (6.0)."""

C = Change
RELEASES: Final[tuple[Release, ...]] = (
    Release("6.0", "Linux 6.0 (October 2022): red-black tree and vmacache, mmap_lock only"),
    Release(
        "6.1",
        "Linux 6.1 (December 2022): maple tree, mmap_lock only",
        (
            C("tree", "maple", "the maple tree replaces red-black tree, list and vmacache",
              "d4af56c5c7c6", "memory"),
            C("", None, "the tree in RCU mode: growing stacks changed nodes under their readers"
              " (6.3, 6.1.23)", "3dd443254941", "list"),
            # The tree read is 6.1.192: growth under the write lock came with 6.1.37.
            C("madv_collapse", True, "MADV_COLLAPSE makes a huge page of small ones",
              "7d8faaf15545", "memory"),
            C("hugetlb_vma_lock", "shared", "shared hugetlb VMAs have a lock of their own against"
              " unmapping", "8d9bfb260814", "memory"),
            C("expand_stack", "write", "the stack grows under mmap_lock held for writing (6.1.37)",
              "9471f1f2f502", "list"),
            C("unmap_store", "mas_store_prealloc", "munmap allocates nodes before it cuts VMAs",
              "", "source"),
            C("split_stores_old_half", True, "a split stores the part that stays anew, too",
              "", "recorded"),
            C("swapcache_prepare", True, "two swap-ins of one entry cannot both skip the cache (a"
              " later 6.1.y has the fix of 6.8)", "13ddaf26be32", "recorded"),
        ),
    ),
    Release(
        "6.4",
        "Linux 6.4.0 (June 2023): the first per-VMA locks, with their first bugs",
        (
            C("vma_lock", "rwsem", "each VMA has a lock: faults in anonymous VMAs try it first",
              "5e31275cc997, 50ee32537206, 0bff0aaea03e", "list"),
            C("mm_lock_seq", "int", "mm_lock_seq counts write-unlocks of mmap_lock",
              "5e31275cc997", "memory"),
            C("anon_vma_check", "early_unlocked", "a VMA without anon_vma is refused, before it is"
              " locked (a bug until 6.4.10)", "0bff0aaea03e", "source"),
            C("expand_stack", "read", "6.4.0 still grows the stack under mmap_lock for reading",
              "c2508ec5a58d", "source"),
            C("unmap_store", "mas_store_gfp", "munmap allocates nodes as it empties the range",
              "", "source"),
            C("vma_free", "rcu", "VMAs are freed after a grace period", "", "source"),
            C("split_stores_old_half", False, "a split stores the new part only (6.3)",
              "", "recorded"),
            C("unmap_splits_below", (True, False), "munmap's new VMA is the part below the cut",
              "", "recorded"),
            C("uffd_unprotect_writable", True, "a page whose write protection a monitor lifts can"
              " be written at once (6.2)", "", "memory"),
            C("swapcache_prepare", False, "6.4.0 still reads one swap entry twice, past the cache",
              "", "memory"),
        ),
    ),
    Release(
        "6.5",
        "Linux 6.5 (August 2023): the first bugs fixed; stack growth under the write lock",
        (
            C("anon_vma_check", "early", "anon_vma is looked at after the VMA is locked",
              "657b5146955e", "list"),
            C("expand_stack", "write", "the stack grows under mmap_lock held for writing",
              "c2508ec5a58d, 9471f1f2f502", "source"),
            C("unmap_minds_stack", False, "munmap downgrades next to a stack, too",
              "9471f1f2f502", "memory"),
            C("fork_locks_vmas", True, "fork write-locks each VMA of the parent",
              "fb49c455323f", "list"),
            C("locks_new_vma", True, "mmap write-locks a VMA before the tree shows it",
              "33313a747e81, 1c7873e33645", "list"),
            C("", None, "TCP zero-copy receive finds its VMA under the VMA lock",
              "7a7f09453534", "memory"),
            C("", None, "VMA locks were switched off in 6.4.3 and come back with fork repaired",
              "f96c48670319, fb49c455323f", "list"),
            C("gup_lookup", "find_vma", "get_user_pages looks VMAs up by find_vma",
              "", "recorded"),
            C("pte_map_may_fail", True, "pte_offset_map takes RCU and may find the table gone",
              "", "source"),
        ),
    ),
    Release(
        "6.6",
        "Linux 6.6 (October 2023): swap, userfaultfd and cached file pages under the VMA lock",
        (
            C("file_under_vl", "map_pages", "file faults try the VMA lock, and stay under it if"
              " map_pages can serve them", "f5617ffeb450, 0c2e394ab23b", "memory"),
            C("swap_under_vl", True, "swap faults are handled under the VMA lock",
              "1235ccd05b6d", "memory"),
            C("uffd_under_vl", True, "userfaults are handled under the VMA lock",
              "29a22b9e08d7", "memory"),
            C("handler_unlocks", True, "a handler that returns RETRY has dropped the VMA lock",
              "4089eef0e6ac", "memory"),
            C("walkers_lock_vmas", True, "page walkers lock VMAs", "49b0638502da", "list"),
            C("", None, "page tables of files collapsed into huge pages are freed by RCU",
              "", "source"),
        ),
    ),
    Release(
        "6.7",
        "Linux 6.7 (January 2024): every fault of a file with map_pages under the VMA lock",
        (
            C("file_under_vl", "full", "misses, copies and shared writes ask the file under the VMA"
              " lock if it has map_pages", "5d74b2ab2c15, 4ed4379881aa, 4de8c93a4751, 12214eba1992",
              "list"),
            C("mmap_aligns", "large", "anonymous mappings from 2 MiB on begin at a multiple of it",
              "efa7df3e3bb5", "memory"),
            C("hugetlb_vma_lock", "all", "private hugetlb VMAs have that lock, too",
              "bf4916922c60", "memory"),
            C("uffd_wp_async", True, "userfaultfd can lift write protection without a monitor",
              "d61ea1cb0095", "memory"),
        ),
    ),
    Release(
        "6.8",
        "Linux 6.8 (March 2024): fork copies the maple tree node by node",
        (
            C("fork_tree", "mt_dup", "fork copies the tree with __mt_dup", "6e553c6bcb77", "list"),
            C("uffd_move", True, "userfaultfd can move pages instead of copying them",
              "adef440691ba", "memory"),
            C("tried_after_major", True, "a retry after a major fault carries FAULT_FLAG_TRIED",
              "46e714c729c8", "source"),
            C("swapcache_prepare", True, "two swap-ins of one entry cannot both skip the cache",
              "13ddaf26be32", "source"),
        ),
    ),
    Release(
        "6.9",
        "Linux 6.9 (May 2024): userfaultfd's own calls under the VMA lock",
        (
            C("uffd_ioctl_lock", "vma_lock", "UFFDIO_COPY and its kin hold the VMA lock",
              "867a43a34ff8", "source"),
            C("links_file_around_store", False, "mmap links a file's VMA after the tree shows it",
              "", "recorded"),
        ),
    ),
    Release(
        "6.10",
        "Linux 6.10 (July 2024): first writes and hugetlb under the VMA lock",
        (
            C("anon_vma_check", "late", "anon_vma is minded at the first write only, and made under"
              " a trylock of mmap_lock", "3be51060599f, a373baed5a9d, 73b4a0cd8243, 737019cf6ac5",
              "list"),
            C("hugetlb_under_vl", True, "hugetlb faults complete under the VMA lock",
              "9acad7ba3e25, 7c43a553792a", "list"),
            C("access_error_under_vl", True, "a permission error is reported under the VMA lock",
              "bc7996c864bf", "list"),
            C("detached_before_range", True, "detached is tested before the range", "", "source"),
            C("rechecks_before_miss", True, "a missing page is no miss if its entry is set by now",
              "58f327f2ce80", "list"),
            C("unlink_file_batches", True, "VMAs of one file leave its tree under one lock",
              "3577dbb19241", "recorded"),
            C("lru_batch", 31, "LRU batches hold 31 pages (seen in 6.12; 15 before)", "", "memory"),
        ),
    ),
    Release(
        "6.12",
        "Linux 6.12 (November 2024): per-VMA rwsem for nearly every fault",
        (
            C("procmap_query_lock", "mmap_lock", "PROCMAP_QUERY tells of one VMA, under mmap_lock"
              " (6.11)", "", "source"),
            C("map_fixed_leaves_gap", False, "mmap over a mapping shows no gap in the tree",
              "f8d112a4e657", "source"),
            # 6.12.0 still counted by one; the tree read is 6.12.117.
            C("mm_lock_seq", "seqcount", "mm_lock_seq is a seqcount, odd while write-locked",
              "eb449bd96954", "source"),
            C("mmap_aligns", "multiples", "mmap aligns for huge pages only whole multiples of"
              " 2 MiB (6.12, stable)", "d4148aeab412", "memory"),
            C("swapin_allocs_first", True, "a swap-in past the cache allocates its page before it"
              " marks the slot", "242d12c98174", "recorded"),
            C("swapin_wakes_losers", True, "who lost a swap-in is woken, not only by the next tick",
              "01626a182302", "list"),
            C("swapin_writable", True, "a read swap-in maps a page of one's own writable (6.11)",
              "", "recorded"),
        ),
    ),
    Release(
        "6.15",
        "Linux 6.15 (May 2025): the VMA lock is a reference count",
        (
            C("vma_lock", "refcount", "vm_refcnt replaces the rwsem and the detached flag",
              "f35ab95ca0af", "memory"),
            C("vma_free", "typesafe", "VMAs are reused without a grace period (type-safe slab)",
              "3104138517fc", "memory"),
            C("thp_zero_wp", "thp", "a write to the huge zero page gets a huge page, no longer a"
              " small one (6.13)", "1ced09e0331f", "list"),
            C("thp_zeroes_first", True, "a huge page is zeroed as it is allocated (6.13)",
              "", "recorded"),
            C("guard_regions", True, "madvise marks guard pages in page tables (6.13)",
              "", "memory"),
            C("page_tables_by_rcu", True, "x86 always frees page tables by RCU",
              "a37259732a7d", "source"),
            C("", None, "mmap_lock can be speculated on by mm_lock_seq: uprobes do (6.13)",
              "eb449bd96954", "memory"),
        ),
    ),
    Release(
        "6.17",
        "Linux 6.17 (September 2025): maps and MADV_DONTNEED under the VMA lock",
        (
            C("maps_lock", "vma_lock", "/proc/PID/maps locks one VMA at a time",
              "6772c457a865", "recorded"),
            C("madvise_dontneed_lock", "vma_lock", "MADV_DONTNEED and MADV_FREE hold the VMA lock",
              "a6fde7add78d", "recorded"),
            C("madvise_batches_tlb", True, "madvise flushes once, after its VMA lock (6.16)",
              "", "recorded"),
            C("", None, "a recycled VMA cannot wake a process that is gone"
              " (CVE-2025-38554)", "", "list"),
            C("mremap_checks", "early", "mremap checks its VMA before it unmaps anything",
              "", "recorded"),
            C("merge_anon_vma", "any", "a grown VMA may take over the other's anon_vma (6.16)",
              "879bca0a2c4f", "list"),
        ),
    ),
    Release(
        "6.18",
        "Linux 6.18 (November 2025): per-VMA reference counts, maps under the VMA lock",
        (
            C("walk_begins_anew", True, "after a miss the walk starts from the fault's address",
              "03d98703f7e2", "source"),
            C("procmap_query_lock", "vma_lock", "PROCMAP_QUERY asks under the VMA lock", "",
              "recorded"),
            # Seen in 6.12 and not in 6.18 (the first) or 7.2 (the second): between is not known.
            C("unmap_drains_lru", False, "munmap no longer drains this CPU's LRU batch",
              "", "recorded"),
            C("prefetchw_mmap_lock", False, "the exception entry leaves the line of mmap_lock alone"
              " (at the latest in 7.2)", "", "memory"),
            C("stack_page_table_lock", False, "stack growth takes no page_table_lock",
              "", "recorded"),
        ),
    ),
    Release(
        "7.2",
        "Linux 7.2 (2026): smaps and numa_maps under the VMA lock, too",
        (
            C("smaps_lock", "vma_lock", "/proc/PID/smaps locks one VMA at a time",
              "series by Baghdasaryan of April 2026", "source"),
            C("numa_maps_lock", "vma_lock", "/proc/PID/numa_maps locks one VMA at a time",
              "series by Baghdasaryan of April 2026", "source"),
            C("madvise_guard_lock", "vma_lock", "guard regions are made under the VMA lock",
              "series by Baghdasaryan of April 2026", "source"),
            C("", None, "fork can be killed while it waits for a VMA's readers",
              "series by Baghdasaryan of April 2026", "source"),
            C("swapin_through_cache", True, "every swap-in passes the swap cache", "", "source"),
        ),
    ),
    Release(
        "beyond",
        "One step beyond: the tree under a lock of its own, faults without locks",
        (
            C("tree_lock", "own", "the VMA tree has a lock of its own, apart from mmap_lock",
              "", "proposal"),
            C("lockless", True, "faults try without any lock first", "", "proposal"),
        ),
    ),
)  # fmt: skip
"""Oldest first; each one's changes are against the one before it."""
