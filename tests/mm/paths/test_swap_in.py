"""Faults on pages in swap: who serves them under which lock, in which order, and who waits."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import Access, Compute, Munmap, Reclaim
from pfviz.mm.page_cache import BY_DISK, folio_unlock
from pfviz.mm.page_table import DIRTY, PRESENT, WRITABLE
from pfviz.mm.paths import filemap, swap_in
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.mm.fault_scenes import fallbacks, functions_of, kinds
from tests.mm.swap_scenes import (
    READ,
    SSD,
    WRITE,
    ZRAM,
    area_of,
    check_swap,
    entry,
    swapped_world,
)
from tests.worlds import Scene, at

SINCE_6_6 = ("6.6", "6.7", "6.8", "6.9", "6.10", "6.12", "6.15", "6.17", "6.18", "7.2")
SKIPS_CACHE = tuple(name for name in PRESETS if not PRESETS[name].swapin_through_cache)


def counters(made: Scene) -> tuple[int, int]:
    stat = made.engine.world.vmstat
    return stat.get("vma_lock_success", 0), stat.get("vma_lock_retry", 0)


@pytest.mark.parametrize("kernel", PRESETS)
@pytest.mark.parametrize(
    ("device", "cached", "kind"),
    [(ZRAM, 8, "swap_cache_hit"), (ZRAM, 0, "swap_in_sync"), (SSD, 0, "swap_in")],
)
@pytest.mark.parametrize("access", [READ, WRITE], ids=["read", "write"])
def test_a_page_comes_back_from_swap_on_every_kernel(
    kernel: str, device: str, cached: int, kind: str, access: Access
) -> None:
    made = swapped_world(kernel, device, cached=cached)
    made.thread("t", access)
    made.run()
    assert kinds(made) == [kind]
    assert entry(made, 1) & PRESENT
    assert bool(entry(made, 1) & DIRTY) == access.write
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.4", "6.5"])
@pytest.mark.parametrize(("device", "cached"), [(ZRAM, 8), (ZRAM, 0), (SSD, 0)])
def test_before_6_6_every_swap_fault_starts_again_under_mmap_lock(
    kernel: str, device: str, cached: int
) -> None:
    made = swapped_world(kernel, device, cached=cached)
    made.thread("t", READ)
    made.run()
    assert counters(made) == (0, 1)
    assert fallbacks(made) == [swap_in.NEEDS_MMAP_LOCK]


@pytest.mark.parametrize("kernel", SINCE_6_6)
@pytest.mark.parametrize(("device", "cached"), [(ZRAM, 8), (ZRAM, 0)])
def test_since_6_6_a_cached_page_and_a_synchronous_device_are_served_under_the_vma_lock(
    kernel: str, device: str, cached: int
) -> None:
    made = swapped_world(kernel, device, cached=cached)
    thread = made.thread("t", READ)
    made.run()
    assert counters(made) == (1, 0)
    assert not made.events(event.SLEEP, thread), "a synchronous device is not waited for"


@pytest.mark.parametrize(("kernel", "pins"), [("6.7", False), ("6.8", True), ("6.18", True)])
def test_a_slot_is_given_back_before_the_swap_area_is_let_go(kernel: str, pins: bool) -> None:
    made = swapped_world(kernel, ZRAM)
    thread = made.thread("t", READ)
    made.run()
    ran = functions_of(made, thread)
    expected = (["swapcache_clear"] if pins else []) + ["put_swap_device"]
    ends = [name for name in ran if name in ("swapcache_clear", "put_swap_device")]
    assert list(dict.fromkeys(ends)) == expected


@pytest.mark.parametrize("kernel", SINCE_6_6)
def test_a_device_that_is_waited_for_sends_the_fault_to_mmap_lock(kernel: str) -> None:
    made = swapped_world(kernel, SSD)
    thread = made.thread("t", READ)
    made.run()
    assert counters(made) == (0, 1)
    assert fallbacks(made) == [filemap.IO_NEEDED]
    begun = made.events(event.IO_BEGIN)[0]["now_ns"]
    slept = made.events(event.SLEEP, thread)[0]["now_ns"]
    fell = made.events(event.FAULT_FALLBACK)[0]["now_ns"]
    assert begun <= slept < fell, "asked, slept without the lock, then started again"
    flags = made.events(event.FAULT_END)[0]["flags"]
    major = PRESETS[kernel].tried_after_major  # before, the round that read it was not accounted
    assert flags & 17 == (17 if major else 16), "the page was not in memory"


@pytest.mark.parametrize("kernel", SINCE_6_6)
def test_with_hold_the_vma_lock_is_kept_over_the_wait(kernel: str) -> None:
    made = swapped_world(kernel, SSD, policy=Policy(io_wait_swap="hold"))
    made.thread("t", READ)
    made.run()
    assert counters(made) == (1, 0)
    check_swap(made)


def test_restarting_under_the_vma_lock_needs_mmap_lock_no_more() -> None:
    made = swapped_world("6.12", SSD, policy=Policy(restart_lock="vma_lock"))
    thread = made.thread("t", READ)
    made.run()
    assert counters(made) == (1, 1)
    taken = [lock["lock"] for lock in made.events(event.LOCK_ACQUIRED, thread)]
    assert made.mm.mmap_lock.id not in taken


def owner_unmaps(policy: str) -> tuple[Scene, int]:
    """A thread waits for a page from swap, another unmaps the range; how long that takes."""
    made = swapped_world("6.12", SSD, policy=Policy(io_wait_swap=policy))
    made.thread("t", READ)
    owner = made.thread("owner", Munmap(at("m"), 8), cpu=1, after_ns=20_000)
    made.run()
    return made, made.events(event.OP_END, owner)[0]["latency_ns"]


def test_the_owner_can_unmap_while_a_swap_in_waits_without_its_lock() -> None:
    made, latency_ns = owner_unmaps("drop")
    assert latency_ns < 20_000
    assert made.events(event.FAULT_END)[0]["kind"] == "segv_unmapped"
    check_swap(made)


def test_holding_the_vma_lock_makes_the_owner_wait_for_the_device() -> None:
    made, latency_ns = owner_unmaps("hold")
    assert latency_ns > 50_000
    assert made.events(event.FAULT_END)[0]["kind"] == "swap_in"
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.1", "6.6", "6.12", "7.2"])
def test_the_second_time_a_fault_waits_with_its_lock_held(kernel: str) -> None:
    """FAULT_FLAG_TRIED: somebody has locked the page again when the fault starts anew."""
    made = swapped_world(kernel, SSD, mode="mmap_lock")
    thread = made.thread("t", READ)
    while not made.events(event.IO_END):
        made.engine.run(steps_max=1)
    (folio,) = area_of(made).cache.values()
    folio.locked_by = BY_DISK
    made.engine.alarm(50_000, folio_unlock, folio)
    owner = made.thread("owner", Munmap(at("m"), 8), cpu=1, after_ns=10_000)
    made.run()
    assert len(made.events(event.FAULT_PATH, thread)) == 2, "it does not start a third time"
    assert made.events(event.FAULT_END)[0]["kind"] == "swap_in"
    assert made.events(event.OP_END, owner)[0]["latency_ns"] > 30_000, "mmap_lock was held"
    check_swap(made)


def test_two_faults_on_one_page_read_it_once_through_the_cache() -> None:
    made = swapped_world("6.12", SSD)
    made.thread("a", READ)
    made.thread("b", READ, cpu=1, after_ns=1_000)
    made.run()
    assert len(made.events(event.IO_BEGIN)) == 1
    assert sorted(kinds(made)) == ["swap_cache_hit", "swap_in"]
    check_swap(made)


@pytest.mark.parametrize(("kernel", "waits_ns"), [("6.8", 1_000_000), ("6.12", 0)])
def test_who_loses_a_synchronous_swap_in_sleeps_a_tick_or_until_the_winner_is_done(
    kernel: str, waits_ns: int
) -> None:
    made = swapped_world(kernel, ZRAM)
    made.thread("a", READ)
    loser = made.thread("b", READ, cpu=1, after_ns=1_000)
    made.run()
    latency_ns = made.events(event.FAULT_END, loser)[0]["latency_ns"]
    assert latency_ns > waits_ns
    assert latency_ns < 5_000_000
    assert made.events(event.SLEEP, loser), "it sleeps with the VMA lock held"
    assert counters(made)[1] == 0
    check_swap(made)


def test_in_7_2_the_loser_finds_the_page_in_the_swap_cache() -> None:
    made = swapped_world("7.2", ZRAM)
    made.thread("a", READ)
    loser = made.thread("b", READ, cpu=1, after_ns=1_000)
    made.run()
    assert made.events(event.FAULT_END, loser)[0]["kind"] == "swap_cache_hit"
    assert len(made.events(event.IO_BEGIN)) == 1
    check_swap(made)


def old_copy(kernel: str) -> Scene:
    """B14: b reads a slot and is delayed; a maps the page, writes it, and it is swapped out again.

    The new contents get the same slot, so b finds the entry unchanged and maps what it read.
    """
    made = swapped_world(kernel, ZRAM, pages=1)
    made.thread("a", Access(at("m"), write=True))
    made.thread("b", Access(at("m")), cpu=1, after_ns=100)
    made.thread("rt", Compute(60_000), cpu=1, prio=10, after_ns=4_000)
    made.thread("kswapd", Reclaim(at("m"), 1), cpu=2, after_ns=12_000)
    made.run()
    return made


@pytest.mark.parametrize("kernel", ["6.0", "6.4", "6.5", "6.6", "6.7"])
def test_without_a_mark_on_the_slot_an_old_copy_of_a_page_gets_mapped(kernel: str) -> None:
    broken = old_copy(kernel).engine.world.broken
    assert [one.rule for one in broken] == ["I16"]


@pytest.mark.parametrize("kernel", ["6.1", "6.8", "6.9", "6.10", "6.12", "6.15", "6.18", "7.2"])
def test_swapcache_prepare_keeps_the_second_reader_out(kernel: str) -> None:
    made = old_copy(kernel)
    assert not made.engine.world.broken
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.1", "6.8", "6.12", "7.2"])
def test_the_slot_is_given_up_before_the_page_is_mapped_until_7_2(kernel: str) -> None:
    made = swapped_world(kernel, ZRAM)
    thread = made.thread("t", READ)
    made.run()
    names = functions_of(made, thread)
    first, then = (
        ("set_ptes", "folio_put_swap") if kernel == "7.2" else ("swap_free_nr", "set_ptes")
    )
    assert names.index(first) < names.index(then)


@pytest.mark.parametrize("kernel", SKIPS_CACHE)
def test_a_synchronous_read_passes_the_swap_cache_by(kernel: str) -> None:
    made = swapped_world(kernel, ZRAM, mode="" if kernel != "beyond" else "per-vma")
    made.thread("t", READ)
    made.run()
    assert not made.events(event.PAGE_CACHE)


@pytest.mark.parametrize(("kernel", "writable"), [("6.10", False), ("6.12", True)])
def test_a_page_that_is_read_comes_back_writable_since_6_11(kernel: str, writable: bool) -> None:
    made = swapped_world(kernel, ZRAM)
    made.thread("t", READ, WRITE)
    made.run()
    assert bool(entry(made, 1) & WRITABLE)
    assert kinds(made) == (["swap_in_sync"] if writable else ["swap_in_sync", "anon_reuse"])


def test_a_lockless_fault_leaves_pages_in_swap_to_the_locks() -> None:
    made = swapped_world("6.12", ZRAM, mode="lockless", cached=8)
    made.thread("t", READ)
    made.run()
    assert made.engine.world.vmstat["lockless_abort"] == 1
    assert counters(made) == (1, 0)
