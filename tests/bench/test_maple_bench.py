"""The peer of the maple benchmark does the same work, and every figure asked for is there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfviz.bench import maple
from pfviz.bench.footprint import bytes_held
from pfviz.bench.range_map import RangeMap
from pfviz.mm.maple import MapleTree

INDEX = st.integers(0, 60)
ACT = st.tuples(st.sampled_from(["store", "erase", "walk"]), INDEX, st.integers(0, 20))


def held(ranges: Any) -> list[tuple[int, int, Any]]:
    if isinstance(ranges, MapleTree):
        return list(ranges.iter_range())
    return [(first, last, entry) for first, (last, entry) in ranges.ranges.items()]


@given(st.lists(ACT, max_size=60))
def test_the_peer_holds_the_same_ranges_after_any_operations(
    acts: list[tuple[str, int, int]],
) -> None:
    tree, peer = MapleTree(), RangeMap()
    for number, (act, first, more) in enumerate(acts):
        if act == "store":
            tree.store(first, first + more, number)
            peer.store(first, first + more, number)
        elif act == "erase":
            assert tree.erase(first) == peer.erase(first)
        else:
            assert tree.walk(first) == peer.walk(first)
        assert held(tree) == held(peer)


def test_a_round_ends_with_the_ranges_it_began_with() -> None:
    contestants = maple.enter(200)
    maple.compete(contestants, 200)
    for contestant in contestants:
        assert held(contestant.ranges) == maple.layout(range(200))
        assert contestant.done["stores"] == 1.5 * contestant.done["erases"] > 0
        assert all(contestant.spent_ns.values())
    contestants[0].ranges.check()
    assert not contestants[0].ranges.dead


def test_every_figure_is_given_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maple, "SIZES", (100, 1_000))
    monkeypatch.setattr(maple, "ROUNDS", 1)
    monkeypatch.setattr(maple, "BATCH_MAX", 20)
    found = {measurement.name: measurement for measurement in maple.measure_maple()}
    for act in ("walks", "stores", "erases"):
        for entries in ("100", "1,000"):
            measurement = found.pop(f"maple {act}, {entries} entries")
            assert measurement.against_what == "sortedcontainers"
            assert measurement.holds is not None
        assert found.pop(f"maple {act}, time per tenfold from 100").value > 0
    assert found.pop("maple memory per entry, 100 entries").value > 50
    assert found.pop("maple memory per entry, 1,000 entries").value > 50
    assert not found


def test_without_the_peer_the_rates_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_ranges: object) -> None:
        raise ImportError

    monkeypatch.setattr(maple, "RangeMap", refuse)
    monkeypatch.setattr(maple, "SIZES", (100, 1_000))
    monkeypatch.setattr(maple, "ROUNDS", 1)
    found = list(maple.measure_maple())
    assert len(found) == 11
    assert all(measurement.against is None for measurement in found)


def test_a_footprint_counts_each_object_once() -> None:
    one = [1 << 70]
    other = [1 << 71]
    assert bytes_held([one, other]) - bytes_held([one, one]) == bytes_held(other)
    assert bytes_held([one]) > bytes_held([])
