"""The file that a step names is the one that its function stands in, kernel by kernel."""

from __future__ import annotations

import pytest

from pfviz.mm.paths import fork, mmap, stack, under_mmap_lock, under_vma_lock
from pfviz.sim.task import Step

MOVED = {
    under_vma_lock.lock_vma_under_rcu: "mm/memory.c (6.4-6.15), mm/mmap_lock.c (6.16+)",
    under_vma_lock.vma_start_read: "include/linux/mm.h (6.4-6.16), mm/mmap_lock.c (6.17+)",
    under_mmap_lock.lock_mm_and_find_vma: (
        "arch/x86/mm/fault.c (6.0, 6.4.0), mm/memory.c (6.1.37+, 6.5-6.15), mm/mmap_lock.c (6.16+)"
    ),
    fork.dup_mmap: "kernel/fork.c, mm/mmap.c (6.16+)",
    mmap.new_vma: "kernel/fork.c, mm/vma_init.c (6.16+)",
    stack.expand_downwards: "mm/mmap.c, mm/vma.c (6.14+)",
    stack.lock_page_tables: "mm/mmap.c (seen until 6.12; gone by 6.18)",
}


@pytest.mark.parametrize("step", MOVED, ids=lambda step: step.__name__)
def test_a_function_that_moved_names_each_file_with_its_versions(step: Step) -> None:
    assert step.source == MOVED[step]  # type: ignore[attr-defined]
