"""What the user may turn on a kernel without choosing another one: the switches of `[policy]`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Switches of the model, with the kernel's own behaviour as default."""

    merge: bool = True
    """Whether a new mapping may be merged into its neighbour (vma_merge_new_range)."""
    restart_lock: str = "mmap_lock"
    """Under what a fault restarts after I/O."""
    io_wait: str = "drop"
    """Whether a fault drops its lock while it waits for a file's I/O: "drop" or "hold"."""
    io_wait_swap: str = "drop"
    """The same for a swap-in from a device that is not synchronous."""
    io_wait_userfaultfd: str = "drop"
    """The same while a userfaultfd monitor answers."""
    uffd_notify: str = "drop_first"
    """Whether the fault lock is dropped before the monitor is told: "drop_first" or "hold"."""
    page_table_free: str = "kernel"
    """How freed page tables wait for walkers with interrupts off: "kernel" (what the preset's
    kernel does, see `World.page_table_free`), "ipi" or "rcu"."""
    driver_opt_in: bool = False
    """Whether every driver says that its fault handler needs no mmap_lock."""
    driver_map_pages: bool = False
    """Whether every driver has a map_pages that maps ahead."""
    lockless_scope: str = "mm_seq"
    lockless_snapshot: str = "copy"
    lockless_fallback: str = "vma_lock"
    lockless_attempts_max: int = 1
    fault_around_pages: int = 16
    downgrade: bool = True
    """Whether munmap downgrades mmap_lock before it zaps (the kernel's behaviour)."""
    thp: str = "never"
    """Where anonymous memory may get huge pages: "always", "madvise" (only where MADV_HUGEPAGE
    asked for them) or "never"."""
    fragmented: bool = False
    """Whether memory is so fragmented that no huge page can be allocated."""
    tree_in_place: bool = False
    """Whether the maple tree is changed as without RCU mode although readers walk it: a mistake
    that no kernel makes, to see what RCU mode is for (rules I3 and T1)."""
