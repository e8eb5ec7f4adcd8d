"""Which calls are not compared, and why: the tables of `docs/model.md`, "Call order".

Each line is a name (or a name within a function) under its reason. A name that is not here is
compared; a function of ours that a kernel's recordings show is compared there in any case.
"""

from __future__ import annotations

from typing import Final

Reasons = dict[str, str]
"""Reason -> names, separated by blanks."""

ACCOUNTING: Final = "statistics and memory-cgroup accounting: no lock that faults meet"
ALLOCATOR: Final = "the allocator's and LRU lists' locks, which depend on what per-CPU caches hold"
ELSEWHERE: Final = "locks of another subsystem"
LOOK_UP: Final = "a look-up in the tree under mmap_lock, or for a hint: it protects nothing"
QUESTION: Final = "asks or checks something, takes no lock"
WRAPPER: Final = "a wrapper; what it calls is compared"
PER_PAGE: Final = "once per page under the page-table lock; the lock is compared"
NODES: Final = "which nodes a store replaces depends on the tree (tests/mm/maple compares that)"
FLUSH: Final = "the interrupts of a flush: who answers when is not the writer's doing"

THEIRS_BELOW: Final[Reasons] = {
    ACCOUNTING: """
        __mem_cgroup_charge folio_add_new_anon_rmap page_add_new_anon_rmap
        page_add_file_rmap folio_add_file_rmap_ptes force_sig_fault lru_add_fn lru_add
        next_uptodate_folio next_uptodate_page mem_cgroup_swapin_charge_folio
        page_add_anon_rmap
    """,
    ALLOCATOR: """
        vma_alloc_folio vma_alloc_folio_noprof folio_add_lru lru_add_drain __alloc_pages
        __alloc_pages_noprof __alloc_frozen_pages_noprof filemap_alloc_folio
        filemap_alloc_folio_noprof folio_alloc_mpol_noprof tlb_batch_pages_flush
        pte_alloc_one
    """,
    ELSEWHERE: """
        __khugepaged_enter __khugepaged_exit schedule file_update_time filemap_add_folio
        filemap_get_entry security_mmap_file ext4_page_mkwrite ext4_readahead
        filemap_read_folio mutex_lock mutex_unlock swap_read_folio swap_readpage
        get_swap_device swap_cache_get_folio
    """,
    FLUSH: """
        flush_tlb_mm_range
    """,
}  # fmt: skip
"""Reason -> functions below which nothing is compared (of what such a step of ours does, only
locks are)."""

THEIRS_LEFT_OUT: Final[Reasons] = {
    ACCOUNTING: """
        mem_cgroup_swapin_uncharge_swap mm_trace_rss_stat force_sig_fault
        userfaultfd_unmap_prep userfaultfd_unmap_complete perf_event_mmap uprobe_mmap
        khugepaged_enter_vma mremap_userfaultfd_prep mremap_userfaultfd_complete
        acct_arg_size mm_release mm_update_next_owner
    """,
    ALLOCATOR: """
        filemap_alloc_folio filemap_alloc_folio_noprof __alloc_pages __alloc_pages_noprof
        __alloc_frozen_pages_noprof tlb_batch_pages_flush tlb_next_batch lru_add_drain_cpu
        mlock_drain_local mlock_page_drain_local pte_alloc_one
    """,
    ELSEWHERE: """
        _raw_spin_lock(swap) _raw_spin_unlock(swap) __khugepaged_enter __khugepaged_exit
        mm_put_huge_zero_page mm_put_huge_zero_folio mm_free_global_asid mm_pasid_drop
        _raw_read_lock _raw_read_unlock security_mmap_file security_mmap_addr
        security_vm_enough_memory_mm mutex_lock mutex_unlock mmput ext4_page_mkwrite
        filemap_add_folio file_update_time filemap_get_entry filemap_read_folio
        ext4_readahead
    """,
    QUESTION: """
        can_vma_merge_before can_vma_merge_after can_vma_merge_left can_vma_merge_right
        vma_wants_writenotify dup_userfaultfd userfaultfd_reset_ctx userfaultfd_set_ctx
        dup_mm_exe_file vma_is_secretmem vma_pgtable_walk_begin vma_pgtable_walk_end
        vma_is_shmem vma_is_anon_shmem mlock_future_ok mm_get_unmapped_area_vmflags
        get_vma_policy vma_kernel_pagesize vma_mmu_pagesize get_vma_name vma_set_page_prot
        pte_mkwrite vma_dup_policy vma_adjust_trans_huge flush_tlb_batched_pending vma_close
        madvise_dontneed_free_valid_vma userfaultfd_remove vma_has_uffd_without_event_remap
        mlock_future_check vma_thp_gfp_mask walk_page_test
    """,
    WRAPPER: """
        __handle_mm_fault __pte_offset_map __pte_offset_map_lock pte_offset_map_nolock
        pte_offset_map_rw_nolock lru_cache_add_inactive_or_unevictable expand_stack_locked
        vma_link_file unlink_file_vma unlink_file_vma_batch_init unlink_file_vma_batch_add
        unlink_file_vma_batch_final unlink_anon_vmas vm_area_free __vm_area_free
        tlb_remove_table unmap_vmas unmap_page_range shmem_get_folio_gfp vma_mas_store
        __do_fault ksys_mmap_pgoff mmap_region __mmap_region __x64_sys_mmap
        __x64_sys_mprotect __x64_sys_munmap __x64_sys_madvise __x64_sys_read do_mmap
        do_mas_munmap do_vmi_align_munmap unmap_region do_mas_align_munmap split_vma
        __split_vma kernel_clone copy_process anon_vma_fork vma_modify
        remap_pfn_range_internal unmap_single_vma zap_page_range_single
        zap_page_range_single_batched madvise_lock madvise_unlock madvise_do_behavior
        madvise_vma_behavior page_cache_ra_order page_cache_ra_unbounded __get_user_pages
        show_map_vma smap_gather_stats __x64_sys_brk __x64_sys_ioctl walk_page_range_mm
        vma_alloc_anon_folio_pmd
    """,
    "marks a flush as pending, takes no lock": """
        tlb_gather_mmu tlb_gather_mmu_fullmm
    """,
    PER_PAGE: """
        next_uptodate_folio next_uptodate_page set_pte_range do_set_pte page_add_file_rmap
        folio_add_file_rmap_ptes mlock_folio
    """,
    LOOK_UP: """
        find_vma_prev
    """,
    "insertion into and removal from a tree under the lock that is compared": """
        anon_vma_interval_tree_insert anon_vma_interval_tree_remove
        anon_vma_interval_tree_pre_update_vma anon_vma_interval_tree_post_update_vma
        vma_interval_tree_insert vma_interval_tree_remove vma_interval_tree_insert_after
    """,
    NODES: """
        ma_write(mas_wr_node_store) ma_write(mas_wr_slot_store) ma_write(mas_wr_bnode)
        ma_op(mas_split) call_rcu(maple~node)
    """,
}  # fmt: skip
"""Reason -> calls that are not compared; what they call is."""

THEIRS_WITHIN: Final[Reasons] = {
    "exec: a look-up for the store": """
        shift_arg_pages:ma_read shift_arg_pages:__rcu_read_lock
        shift_arg_pages:__rcu_read_unlock
    """,
    "a CPU that goes over to another address space empties its own TLB": """
        begin_new_exec:tlb_flush
    """,
    ACCOUNTING: """
        handle_mm_fault:_raw_spin_lock_irqsave handle_mm_fault:_raw_spin_unlock_irqrestore
        handle_mm_fault:_raw_spin_trylock
    """,
    LOOK_UP: """
        find_vma:__rcu_read_lock find_vma:__rcu_read_unlock do_mmap:ma_read
        do_mmap:__rcu_read_lock do_mmap:__rcu_read_unlock __split_vma:ma_read
        __split_vma:__rcu_read_lock __split_vma:__rcu_read_unlock vma_merge:ma_read
        vma_merge:__rcu_read_lock vma_merge:__rcu_read_unlock
        find_vma_intersection:__rcu_read_lock find_vma_intersection:__rcu_read_unlock
    """,
    "tables above the PTE tables, in an address space that nobody else knows yet": """
        copy_page_range:_raw_spin_lock(upper~tables)
        copy_page_range:_raw_spin_unlock(upper~tables)
        move_page_tables:_raw_spin_lock(upper~tables)
        move_page_tables:_raw_spin_unlock(upper~tables)
    """,
    "the list of huge pages that may be split when memory is short": """
        do_huge_pmd_anonymous_page:_raw_spin_lock_irqsave
        do_huge_pmd_anonymous_page:_raw_spin_unlock_irqrestore
    """,
    "part of the step before": """
        folio_add_lru_vma:folio_add_lru vmf_insert_pfn:vmf_insert_pfn_prot
    """,
    "one scheduling is one step": """
        io_schedule:schedule
    """,
    "page by page under the page-table lock: the memory cgroup's counters": """
        6.1:unmap_page_range:__rcu_read_lock 6.1:unmap_page_range:__rcu_read_unlock
    """,
    ALLOCATOR: """
        tlb_finish_mmu:lru_add_drain
    """,
    "into the side tree of what is to be freed: nobody else knows it": """
        do_mas_align_munmap:ma_write(mas_store_gfp)
    """,
    "called in vain where nothing was mapped before": """
        __mmap_region:vms_clean_up_area __mmap_region:vms_complete_munmap_vmas
    """,
}  # fmt: skip
"""Reason -> `function:call`, not compared where that function itself calls it."""

THEIRS_IDLE_RCU: Final[Reasons] = {
    ACCOUNTING: """
        handle_mm_fault do_anonymous_page do_wp_page wp_page_copy __handle_mm_fault do_fault
        filemap_fault fault_dirty_shared_page shmem_get_folio_gfp unmap_page_range
        copy_page_range pte_alloc_one do_swap_page do_huge_pmd_anonymous_page
        vma_alloc_anon_folio_pmd
    """,
    LOOK_UP: """
        __get_user_pages __x64_sys_mremap vma_to_resize mremap_to vma_merge
    """,
    ELSEWHERE: """
        ttm_bo_vm_fault_reserved __x64_sys_ioctl __x64_sys_read dup_mmap copy_process
        dup_mm_exe_file m_start ksys_mmap_pgoff page_cache_ra_unbounded begin_new_exec
    """,
}  # fmt: skip
"""Reason -> functions with RCU sections in which nothing is done that is compared."""

THEIRS_OTHER_LOCKS: Final[Reasons] = {
    ALLOCATOR: """
        copy_page_range tlb_finish_mmu lru_add_drain_cpu mlock_folio_batch unmap_page_range
        do_anonymous_page __handle_mm_fault
    """,
    "the scheduler's own, below a wake-up": """
        handle_userfault userfaultfd_wake_function mm_get_huge_zero_page
        mm_get_huge_zero_folio
    """,
    ELSEWHERE: """
        mmput rwsem_down_read_slowpath filemap_fault shmem_get_folio_gfp m_start
        fault_dirty_shared_page do_swap_page begin_new_exec
    """,
    "signal delivery, after the fault": """
        -
    """,
}  # fmt: skip
"""Reason -> functions whose unnamed spinlocks are not compared ("-": outside of any)."""

THEIRS_REPEATED: Final[Reasons] = {
    "lets go of a page table after 32 entries if the CPU is wanted, and locks it again": """
        copy_page_range
    """,
    "6.12 locks the copy of a device's mapping once more, for its memory type": """
        copy_process
    """,
}  # fmt: skip
"""Reason -> functions in which locks that are taken and given back twice on end count once."""

REPEATS: Final = ((2, "down_write(vma_lock)"), (4, "_raw_spin_lock(ptl)"), (6, "__rcu_read_lock"))
"""How many calls that is, and with which they begin."""

SAME: Final[dict[str, str]] = {
    "vma_alloc_folio_noprof": "vma_alloc_folio",
    "folio_alloc_mpol_noprof": "vma_alloc_folio",
    "page_add_new_anon_rmap": "folio_add_new_anon_rmap",
    "__mem_cgroup_charge": "mem_cgroup_charge",
    "mem_cgroup_swapin_charge_folio": "mem_cgroup_charge",
    "page_add_anon_rmap": "folio_add_new_anon_rmap",
    "swap_readpage": "swap_read_folio",
    "mm_get_huge_zero_page": "mm_get_huge_zero_folio",
    "down_write_killable": "down_write",
    "down_read_killable": "down_read",
    "do_mas_munmap": "do_vmi_munmap",
    "vma_merge": "vma_modify_flags",
    "_raw_spin_lock_irq": "_raw_spin_lock",
    "_raw_spin_lock_irqsave": "_raw_spin_lock",
    "_raw_spin_unlock_irq": "_raw_spin_unlock",
    "_raw_spin_unlock_irqrestore": "_raw_spin_unlock",
}
"""A kernel's name -> pfviz's for the same function."""

EMPTYING: Final = ("do_vmi_align_munmap", "mas_store_gfp")
"""Where the store is that empties the range of munmap, from 6.2 on: theirs in that function, ours
in a step of that one. Which nodes it replaces is not compared, but when it comes is."""

FAULT_LOCKS: Final = ("up_read(mmap_lock)", "up_read(vma_lock)")
IN_FAULT: Final = (
    "handle_mm_fault", "__vmf_anon_prepare", "fault_dirty_shared_page", "maybe_unlock_mmap_for_io",
    "release_fault_lock", "vmf_can_call_fault",
)  # fmt: skip
"""A fault's lock given back in one of these (theirs in the first, ours in a step of the others)
is given up by the handler, not at the end of the fault: that is compared, too."""

OURS_NAMED: Final[dict[str, str]] = {
    "get_page_from_freelist": "vma_alloc_folio",
    "rmqueue_bulk": "vma_alloc_folio",
    "rmqueue": "vma_alloc_folio",
    "vmf_anon_prepare": "__vmf_anon_prepare",
    "gup_vma_lookup": "find_vma",
    "mfill_atomic": "mfill_atomic_copy",
    "vma_merge": "vma_modify_flags",
    "6.1:gup_vma_lookup": "vma_lookup",
}
"""A step's function (on one kernel) -> the one that a recording shows for it."""

INLINED: Final = "inlined, a macro, or not on the recorded path: in no recorded graph"
CALLED: Final = "called, but left out of the recorded sequences, which keep what locks need"
CALLED_ON_SOME: Final = (
    "called on some kernels, but left out of the sequences; not called on the others"
)
COMPARED_ON_SOME: Final = "compared where recorded; inlined, absent or renamed on other kernels"

OURS_BY_REASON: Final[Reasons] = {
    "user mode, or assembler: no function of its own": """
        access asm_exc_page_fault irqentry_exit user do_syscall_64 syscall_exit_to_user_mode
    """,
    "not memory management: recordings end before it": """
        do_exit do_task_dead
    """,
    INLINED: """
        access_error mmap_read_unlock mmap_write_unlock pte_unmap_unlock clear_user_highpage
        copy_mc_user_highpage mm_lock_seqcount_begin __vma_enter_locked __vma_exit_locked
        __is_vma_write_locked mmap_write_downgrade upgrade_mmap_lock lock_folio_maybe_drop_mmap
        do_fault_around zap_pte_range tlb_flush_mmu tlb_table_flush vma_iter_prealloc
        vma_iter_store vma_iter_store_new dup_anon_vma __mmap_new_vma __mmap_complete
        vma_merge_existing_range vma_iter_clear_gfp madvise_walk_vmas try_vma_read_lock
        maybe_unlock_mmap_for_io copy_pte_range copy_present_ptes flush_tlb_mm faultin_page
        smaps_pte_range vma_lookup remap_move move_ptes get_huge_zero_page
        __do_huge_pmd_anonymous_page spin_unlock set_huge_zero_folio exec_mmap
        mlock_vma_pages_range vm_flags_reset_once cond_resched mfill_atomic_pte
        mfill_atomic_pte_copy userfaultfd_must_wait find_vma_and_prepare_anon release_fault_lock
        wake_up_poll wake_userfault alloc_swap_folio set_ptes folio_lock_or_retry put_swap_device
    """,
    "lib/: notrace; the maple events are compared instead": """
        __mt_destroy mas_wr_node_store mas_split mas_rebalance mas_wr_spanning_store
        mas_preallocate mas_store_gfp mas_store_prealloc mas_new_root mas_store_root
        mas_expected_entries __mt_dup mas_store vma_iter_bulk_store
    """,
    CALLED: """
        wake_up_new_task __get_locked_pte mmap_mem __filemap_get_folio do_mprotect_pkey
        check_brk_limits seq_read_iter balance_dirty_pages_ratelimited shmem_add_to_page_cache
        follow_page_pte __pud_alloc __pmd_alloc pgtable_trans_huge_deposit apply_vma_lock_flags
        __wake_up __folio_put ptep_set_access_flags folio_batch_move_lru get_swap_device
        swap_cache_get_folio swapcache_prepare swapcache_clear
    """,
    CALLED_ON_SOME: """
        change_pte_range __get_unmapped_area commit_merge follow_page_mask check_prep_vma
        clear_huge_page uffd_lock_vma swap_free_nr __end_swap_bio_read
    """,
    FLUSH: """
        smp_call_function_many_cond
    """,
    COMPARED_ON_SOME: """
        dup_mmap proc_get_vma mremap_to shift_arg_pages mfill_atomic_copy
        unlink_file_vma_batch_process vms_gather_munmap_vmas vms_complete_munmap_vmas vma_prepare
        vma_complete vma_merge_new_range vma_expand vma_link_file vma_modify
    """,
}  # fmt: skip
"""Reason -> functions of ours that no recorded sequence shows, or not that of every kernel."""

OUR_EVENTS_BY_REASON: Final[Reasons] = {
    ALLOCATOR: """
        _raw_spin_lock(zone) _raw_spin_unlock(zone) _raw_spin_lock(lru_lock)
        _raw_spin_unlock(lru_lock)
    """,
    "a reference count, inlined": """
        6.18:down_read_trylock(vma_lock) 6.18:up_read(vma_lock) 6.18:down_write(vma_lock)
        6.18:up_write(vma_lock)
    """,
    NODES: """
        ma_write(mas_wr_append) ma_write(mas_wr_node_store) ma_write(mas_wr_slot_store)
        ma_write(mas_wr_bnode) ma_op(mas_split) ma_op(mas_rebalance)
        ma_op(mas_wr_spanning_store) call_rcu(maple~node)
    """,
    "a mutex of the driver's own, which recordings do not show": """
        down_write(driver's~object) down_write_trylock(driver's~object)
        up_write(driver's~object)
    """,
}  # fmt: skip
"""Reason -> events of ours that are not compared (`kernel:event` on one kernel; ~ is a blank)."""


def _by_name(groups: Reasons) -> dict[str, str]:
    return {
        name.replace("~", " "): reason for reason, names in groups.items() for name in names.split()
    }


def _by_pair(groups: Reasons) -> dict[tuple[str, str], str]:
    found = {}
    for name, reason in _by_name(groups).items():
        first, colon, rest = name.partition(":")
        found[(first, rest) if colon else ("", first)] = reason
    return found


def _by_place(groups: Reasons) -> dict[tuple[str, str, str], str]:
    """`function:call` or `kernel:function:call`, as (kernel or "", function, call)."""
    found = {}
    for name, reason in _by_name(groups).items():
        *kernel, function, call = name.split(":")
        found[kernel[0] if kernel else "", function, call] = reason
    return found


BELOW_EVENTS: Final = ("schedule", "io_schedule", "__rcu_read_lock", "__rcu_read_unlock")
"""What is not compared of ours in a step of a function of `THEIRS_BELOW`: locks are."""

BELOW: Final = _by_name(THEIRS_BELOW)
LEFT_OUT: Final = _by_name(THEIRS_LEFT_OUT)
WITHIN: Final = _by_place(THEIRS_WITHIN)
IDLE_RCU: Final = _by_name(THEIRS_IDLE_RCU)
OTHER_LOCKS: Final = _by_name(THEIRS_OTHER_LOCKS)
REPEATED: Final = _by_name(THEIRS_REPEATED)
OURS_ALONE: Final = _by_name(OURS_BY_REASON)
OUR_EVENTS: Final = _by_pair(OUR_EVENTS_BY_REASON)
