"""Page frames: per-CPU lists refilled in batches, sharing counted, nothing freed twice."""

from __future__ import annotations

import pytest

from pfviz.mm.frames import CHARGE_BATCH, PCP_BATCH, PCP_HIGH
from pfviz.mm.operations import Access, Mmap, Munmap
from pfviz.sim import event
from tests.worlds import Scene, at, world


def test_the_zone_is_asked_once_for_a_batch_of_pages() -> None:
    made = world("6.12").vma("m", 512).touched("m", 1)
    made.thread("t", Access(at("m", 1), write=True, pages=2 * PCP_BATCH))
    made.run()
    zone = made.engine.world.frames.zones[0].lock.id
    taken = [lock for lock in made.events(event.LOCK_ACQUIRED) if lock["lock"] == zone]
    assert len(taken) == 2


def test_every_socket_has_a_zone_of_its_own() -> None:
    made = world("6.12", cpus=4, sockets=2)
    frames = made.engine.world.frames
    cpus = made.engine.machine.cpus
    assert frames.zone_of(cpus[0]) is frames.zone_of(cpus[1])
    assert frames.zone_of(cpus[0]) is not frames.zone_of(cpus[2])


def test_pages_go_round_between_mapping_and_unmapping() -> None:
    made = world("6.12")
    body = (Mmap(600, slot="x"), Access(at("x"), write=True, pages=600), Munmap(at("x"), 600))
    made.thread("t", *body, repeat=3)
    made.run()
    frames = made.engine.world.frames
    assert frames.used == 0
    assert len(frames.state) - 1 < 600 + 2 * PCP_BATCH  # the second round found the first one's
    assert all(len(cpu.free) <= PCP_HIGH for cpu in frames.cpus)
    free = [pfn for cpu in frames.cpus for pfn in cpu.free]
    free += [pfn for zone in frames.zones for pfn in zone.free]
    assert sorted(free) == list(range(1, len(frames.state)))


def transfers_of(made: Scene, name: str) -> int:
    names = {new["line"]: new["name"] for new in made.events(event.LINE_NEW)}
    return sum(names[moved["line"]] == name for moved in made.events(event.LINE_MOVED))


def test_the_memcg_counter_is_touched_once_for_a_batch() -> None:
    made = world("6.12", cpus=2).vma("m", 2048).touched("m", 1)
    pages = 4 * CHARGE_BATCH
    for cpu in range(2):
        made.thread(f"t{cpu}", Access(at("m", 1 + 1024 * cpu), write=True, pages=pages), cpu=cpu)
    made.run()
    assert 4 <= transfers_of(made, "memcg page_counter") <= 8


def test_a_shared_page_is_freed_by_its_last_user() -> None:
    frames = world("6.12").engine.world.frames
    (pfn,) = frames.grow(1)
    frames.start_anon(pfn, 7)
    assert frames.is_exclusive(pfn)
    frames.share(pfn)
    assert not frames.is_exclusive(pfn)
    assert not frames.unmap(pfn)
    frames.reuse(pfn, 8)
    assert frames.is_exclusive(pfn)
    assert frames.unmap(pfn)
    frames.free(pfn)
    with pytest.raises(AssertionError, match="freed twice"):
        frames.free(pfn)


def test_a_frame_in_use_may_not_be_handed_out_again() -> None:
    frames = world("6.12").engine.world.frames
    (pfn,) = frames.grow(1)
    frames.start_anon(pfn, 7)
    with pytest.raises(AssertionError, match="in use"):
        frames.start_anon(pfn, 7)
