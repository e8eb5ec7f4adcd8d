"""What things cost, in nanoseconds by name: the default table, to be overridden by calibration.

Values are bare-metal estimates for a current two-socket server, put together from measurements on
Linux 6.18 (virtual machine, Zen 4) and published figures; they decide ratios, not predictions.
"""

from __future__ import annotations

from typing import Final

from pfviz.sync.costs import COSTS as SYNC_COSTS

MM_COSTS: Final[dict[str, int]] = {
    # Entry and exit
    "exception_entry": 90,
    "exception_exit": 60,
    "fault_entry": 6,  # reading CR2, building flags
    "syscall_entry": 60,
    "syscall_exit": 40,
    "access": 1,  # a TLB hit
    "tlb_miss": 25,  # the hardware walk of cached tables
    # Tree and sequence numbers
    "walk_level": 15,
    "vma_lookup": 4,
    "find_vma": 4,
    "seq_check": 2,
    "vma_check": 2,
    "vma_snapshot": 8,  # three cache lines copied
    "ma_prealloc": 30,
    "ma_store": 40,
    "ma_node": 30,  # a node allocated or copied
    "rb_level": 8,  # one VMA on the way down a red-black tree
    "rb_store": 30,
    "rb_rotate": 6,
    "list_next": 3,
    "vmacache": 5,
    # VMA lock
    "vma_lock_write": 6,
    "vma_unlock": 6,
    # Faults
    "handle_mm_fault": 15,
    "handle_pte_fault": 10,
    "pte_read": 2,
    "page_table_alloc": 180,
    "page_alloc": 60,
    "page_free": 40,
    "zone_refill": 600,
    "huge_page_alloc": 400,  # 2 MiB in one piece
    "zero_huge_part": 3_800,  # 32 of the 512 pages of a huge page
    "copy_huge_part": 6_400,
    "huge_rmap": 120,
    "charge": 10,
    "zero": 120,
    "copy": 200,
    "map": 60,
    "map_page": 24,  # each page of a map_pages batch
    "rmap": 20,
    "set_pte": 10,
    "lru": 10,
    "lru_drain": 300,
    "anon_vma_alloc": 80,
    "page_cache_lookup": 40,
    "readahead": 600,
    "folio_lock": 8,
    "folio_unlock": 6,
    "io": 80_000,
    "io_page": 1_300,  # each page of one read, at 3 GB/s
    "page_mkwrite": 400,
    # Swap and pages on the move
    "swap_lookup": 40,
    "swap_alloc": 60,
    "swap_free": 20,
    "zram_read": 3_000,  # decompress one page
    "zram_write": 6_000,
    "tick": 4_000_000,  # a jiffy at HZ 250
    "lru_isolate": 40,
    "device_wait": 30_000,  # a GPU brings a buffer to where CPUs can reach it
    "device_copy": 1_500,  # a page to or from a device's memory
    "send_signal": 1_200,
    # userfaultfd
    "uffd_queue": 40,  # the message, the queue entry, the task state
    "uffd_read": 120,  # one message copied to the monitor
    "uffd_notify": 30,
    "poll": 150,
    # TLB
    "tlb_local_page": 120,
    "tlb_local_full": 400,
    "ipi": 1_500,
    "ipi_per_cpu": 150,
    "ipi_handler": 400,
    # System calls
    "vma_alloc": 60,
    "vma_free": 40,
    "get_unmapped_area": 60,
    "mmap_checks": 120,
    "munmap_checks": 60,
    "vma_merge_checks": 40,
    "vma_prepare": 30,
    "vma_complete": 30,
    "interval_tree": 30,
    "perf_event_mmap": 40,
    "tlb_gather": 30,
    "zap_table": 40,
    "zap_pte": 25,
    "zap_empty_table": 15,
    "protect_table": 30,
    "protect_pte": 15,
    "gup_pte": 12,  # one entry looked at and its page's count raised
    "move_pte": 20,
    "free_table": 100,
    "copy_table": 60,
    "copy_pte": 50,
    "fork_base": 25_000,
    "exec_base": 60_000,
    "exit_base": 5_000,
    "mm_alloc": 600,
    "madvise_checks": 60,
    "cond_resched": 2,
    # /proc
    "read_chunk": 400,  # one read(): seq_file buffer, copy to user
    "show_map": 900,
    "show_smap": 2_500,
    "smaps_table": 60,
    "smaps_1000_ptes": 48_500,  # 48.5 ns per resident PTE, measured on 6.18
}

COSTS: Final[dict[str, int]] = {name: ns for name, (ns, _) in SYNC_COSTS.items()} | MM_COSTS
"""Every cost that a step or a lock of the model can charge."""


def costs_with(changes: dict[str, int] | None = None) -> dict[str, int]:
    """The default table with some values replaced; ValueError for an unknown name."""
    if not changes:
        return dict(COSTS)
    for name, ns in changes.items():
        if name not in COSTS:
            raise ValueError(f"no cost {name!r}")
        if ns < 0:
            raise ValueError(f"cost {name!r} is negative: {ns}")
    return {**COSTS, **changes}
