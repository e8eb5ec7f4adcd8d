"""hugetlb mappings that exist when a run begins."""

from __future__ import annotations

from pfviz.mm.address_space import AddressSpace, place_vma
from pfviz.mm.huge_pmd import new_huge_pmd, set_huge_pmd
from pfviz.mm.hugetlb import cache_block, hugetlb_file_setup, index_of, map_block, pool_of
from pfviz.mm.operations import PAGE_SHIFT
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    PTES_PER_TABLE,
    TABLE_SPAN,
    WRITABLE,
    pte_of,
)
from pfviz.mm.vma import VM_HUGETLB, VM_SHARED, VM_WRITE, Vma
from pfviz.mm.world import Mm


def place_hugetlb(
    engine: Mm, mm: AddressSpace, start: int, pages: int, flags: int, name: str
) -> Vma:
    """Map huge pages of the pool, which is made larger by as many; they are reserved.

    `pages` are small ones. ValueError when the range is taken or not aligned to 2 MiB.
    """
    if start % TABLE_SPAN or pages % PTES_PER_TABLE:
        raise ValueError("a hugetlb mapping must be aligned to 2 MiB, its size as well (512 pages)")
    pool_of(engine).add(engine, pages // PTES_PER_TABLE)
    file = hugetlb_file_setup(engine, mm, pages)
    flags |= VM_HUGETLB
    return place_vma(
        engine, mm, start, pages, flags, name=name, kind="hugetlb", vm_file=file, vm_pgoff=0
    )


def populate_hugetlb(engine: Mm, vma: Vma, pages: int) -> None:
    """Map its first `pages` small pages, rounded up to huge ones, as if touched long ago."""
    pool, tables = pool_of(engine), vma.mm.page_tables
    assert vma.vm_file is not None
    shared = vma.vm_flags & VM_SHARED
    flags = PRESENT | ACCESSED | (FILE if shared else 0)
    flags |= WRITABLE | DIRTY if vma.vm_flags & VM_WRITE else 0
    for address in range(vma.vm_start, vma.vm_start + (pages << PAGE_SHIFT), TABLE_SPAN):
        first = pool.dequeue(vma)
        assert first is not None
        if shared:
            cache_block(engine, pool, vma.vm_file.id, index_of(vma, address), first)
        map_block(engine.world.frames, first, vma.anon_vma.id if vma.anon_vma else 0)
        tables.alloc_upper(engine, address)
        huge = new_huge_pmd(engine, tables, address, pte_of(first, flags))
        huge.hugetlb = True
        set_huge_pmd(engine, tables, huge)
