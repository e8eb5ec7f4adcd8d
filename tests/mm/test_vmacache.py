"""The vmacache as mm/vmacache.c has it: four places, hashed by page table, void after an unmap."""

from pfviz.mm.vma import Vma
from pfviz.mm.vmacache import VMACACHE_SIZE, VmaCache, slot_of
from tests.worlds import world

TABLE = 1 << 21


def vma_at(start: int, pages: int = 1) -> Vma:
    return Vma(1, world().mm, start, start + pages * 4096, 3, 0)


def test_addresses_of_one_page_table_share_a_place() -> None:
    assert slot_of(5 * TABLE) == slot_of(6 * TABLE - 1) == 1
    assert [slot_of(number * TABLE) for number in range(5)] == [0, 1, 2, 3, 0]


def test_what_was_found_is_found_again_without_a_walk() -> None:
    cache, vma = VmaCache(), vma_at(TABLE, pages=4)
    assert cache.find(0, TABLE) is None
    assert cache.update(TABLE, vma) == 1
    assert cache.find(0, TABLE + 0x3FFF) == (1, vma)
    assert cache.find(0, TABLE + 0x4000) is None, "the range is compared on every look-up"


def test_a_large_vma_is_found_from_any_address_in_it() -> None:
    cache, vma = VmaCache(), vma_at(TABLE, pages=4 * 512)
    cache.update(TABLE, vma)
    assert cache.find(0, 4 * TABLE) == (1, vma), "all four places are tried"


def test_the_fifth_table_replaces_the_first() -> None:
    cache = VmaCache()
    for number in range(VMACACHE_SIZE + 1):
        cache.update(number * TABLE, vma_at(number * TABLE))
    assert cache.find(0, 0) is None
    assert cache.find(0, TABLE) is not None


def test_any_unmap_makes_every_thread_forget_everything() -> None:
    cache, vma = VmaCache(), vma_at(TABLE)
    cache.update(TABLE, vma)
    assert cache.find(1, TABLE) is None
    assert cache.seqnum == 1
    assert cache.vmas == [None] * VMACACHE_SIZE
    cache.update(TABLE, vma)
    assert cache.find(1, TABLE) == (1, vma)
