"""The operations of the oracle vectors, carried out on trees: one function per word.

Entries are integers; an id of 0 or below stands for an entry whose low bits are tagged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pfviz.mm.maple.bulk import bulk_store
from pfviz.mm.maple.node import MAX_INDEX, TaggedEntry
from pfviz.mm.maple.tree import MapleTree
from pfviz.mm.maple.walk import MaState, slot_at, walk_step
from pfviz.mm.maple.write import Rearrangement

EBUSY = -16
EEXIST = -17
EINVAL = -22


class Outcome:
    """What came of one operation; fields that do not apply stay None."""

    __slots__ = ("at", "born", "dead", "prealloc", "rearrangements", "result", "status", "type")

    def __init__(self, result: Any = None) -> None:
        self.result = result
        self.type: str | None = None
        self.prealloc = self.born = self.dead = 0
        self.rearrangements: list[Rearrangement] = []
        self.at: list[int] | None = None
        self.status: str | None = None


class Bench:
    """The numbered trees a vector works on."""

    def __init__(self, *, alloc: bool, rcu: bool) -> None:
        self.alloc = alloc
        self.rcu = rcu
        self.trees = {0: MapleTree(alloc=alloc, rcu=rcu)}
        self.selected = 0

    @property
    def tree(self) -> MapleTree:
        return self.trees[self.selected]

    def apply(self, op: list[Any]) -> Outcome:
        """Carry out one valid operation."""
        outcome = _ACTS[op[0]](self, *op[1:])
        if self.tree.dead:
            self.tree.free_all()
        return outcome


def encode(value: int | None) -> Any:
    """Return the entry an id of the files stands for."""
    return TaggedEntry(value) if value is not None and value <= 0 else value


def _range(found: tuple[int, int, Any] | None) -> list[Any] | None:
    return None if found is None else list(found)


def _written(tree: MapleTree, result: Any) -> Outcome:
    outcome = Outcome(result)
    write = tree.last_write
    assert write is not None
    outcome.type = write.store_type
    outcome.prealloc = write.prealloc
    outcome.born = len(write.born)
    outcome.dead = len(write.dead)
    outcome.rearrangements = write.rearrangements
    return outcome


def _store(bench: Bench, first: int, last: int, value: int | None) -> Outcome:
    if first > last:
        return Outcome(EINVAL)
    bench.tree.store(first, last, encode(value))
    return _written(bench.tree, 0)


def _store_prealloc(bench: Bench, first: int, last: int, value: int | None) -> Outcome:
    if first > last:
        return Outcome(EINVAL)
    bench.tree.store_prealloc(bench.tree.preallocate(first, last, encode(value)))
    return _written(bench.tree, 0)


def _clear(bench: Bench, first: int, last: int) -> Outcome:
    return _store(bench, first, last, None)


def _clear_prealloc(bench: Bench, first: int, last: int) -> Outcome:
    return _store_prealloc(bench, first, last, None)


def _insert(bench: Bench, first: int, last: int, value: int) -> Outcome:
    if first > last:
        return Outcome(EINVAL)
    tree = bench.tree
    plan = tree.preallocate(first, last, encode(value), "mtree_insert_range")
    if not tree.may_insert(plan):
        outcome = Outcome(EEXIST)
        # A root entry in the way is noticed before anything is reserved.
        outcome.prealloc = tree.prealloc_count(plan) if tree.height else 0
        return outcome
    tree.store_prealloc(plan)
    return _written(tree, 0)


def _erase(bench: Bench, index: int) -> Outcome:
    entry = bench.tree.erase(index)
    return Outcome() if entry is None else _written(bench.tree, entry)


def _alloc(bench: Bench, low: int, high: int, size: int, value: int) -> Outcome:
    return _insert_area(bench, _area(bench, low, high, size).result, value)


def _alloc_rev(bench: Bench, low: int, high: int, size: int, value: int) -> Outcome:
    return _insert_area(bench, _area_rev(bench, low, high, size).result, value)


def _insert_area(bench: Bench, area: Any, value: int) -> Outcome:
    if isinstance(area, int):
        return Outcome(area)
    outcome = _insert(bench, area[0], area[1], value)
    if outcome.result == 0:
        outcome.result = [area[0]]
    outcome.type = None
    return outcome


def _destroy(bench: Bench) -> Outcome:
    bench.tree.destroy()
    return Outcome(0)


def _bulk(bench: Bench, _expected: int, ranges: list[list[int]]) -> Outcome:
    outcome = Outcome(0)
    writes = bulk_store(bench.tree, [(first, last, encode(v)) for first, last, v in ranges])
    outcome.rearrangements = [act for write in writes for act in write.rearrangements]
    return outcome


def _use(bench: Bench, number: int) -> Outcome:
    if number not in bench.trees:
        bench.trees[number] = MapleTree(alloc=bench.alloc, rcu=bench.rcu)
    bench.selected = number
    return Outcome(0)


def _dup(bench: Bench, number: int) -> Outcome:
    bench.trees[number] = bench.tree.dup()
    return Outcome(0)


def _fork(bench: Bench, number: int, add: int, dropped: list[int]) -> Outcome:
    twin = bench.trees[number] = bench.tree.dup()
    rcu = twin.rcu
    twin.rcu = False
    stored = cleared = 0
    drop = set(dropped)
    found = next(twin.iter_range(), None)
    while found is not None:
        first, last, value = found
        if value in drop:
            twin.clear(first, last)
            cleared += 1
        else:
            twin.store(first, last, encode(value + add))
            stored += 1
        found = next(twin.iter_range(last + 1), None) if last < MAX_INDEX else None
    twin.rcu = rcu
    return Outcome([0, stored, cleared])


def _load(bench: Bench, index: int) -> Outcome:
    return Outcome(bench.tree.load(index))


def _walk(bench: Bench, index: int) -> Outcome:
    tree = bench.tree
    mas = MaState(index)
    while not walk_step(tree, mas):
        pass
    outcome = Outcome([mas.index, mas.last, mas.entry])
    if mas.node is None:
        outcome.status = mas.status
    else:
        outcome.at = [mas.node.min, mas.node.max, mas.offset, mas.node.end]
        assert (mas.node, mas.offset) == slot_at(tree, index)
    return outcome


def _find(bench: Bench, index: int, limit: int) -> Outcome:
    found = bench.tree.find(index, limit)
    return Outcome(None if found is None else [found[2], (found[1] + 1) & MAX_INDEX])


def _next(bench: Bench, index: int, limit: int) -> Outcome:
    outcome = Outcome(_range(bench.tree.next(index, limit)))
    if outcome.result is None:
        outcome.status = "overflow" if bench.tree.height or index >= limit else "none"
    return outcome


def _prev(bench: Bench, index: int, limit: int) -> Outcome:
    outcome = Outcome(_range(bench.tree.prev(index, limit)))
    if outcome.result is None:
        outcome.status = "underflow" if bench.tree.height or index <= limit else "none"
    return outcome


def _iter(bench: Bench, first: int, last: int) -> Outcome:
    return Outcome([list(found) for found in bench.tree.iter_range(first, last)])


def _iter_rev(bench: Bench, last: int, first: int) -> Outcome:
    return Outcome([list(found) for found in bench.tree.iter_range_rev(last, first)])


def _area(bench: Bench, low: int, high: int, size: int) -> Outcome:
    try:
        found = bench.tree.empty_area(low, high, size)
    except ValueError:
        return Outcome(EINVAL)
    return Outcome(EBUSY if found is None else list(found))


def _area_rev(bench: Bench, low: int, high: int, size: int) -> Outcome:
    try:
        found = bench.tree.empty_area_rev(low, high, size)
    except ValueError:
        return Outcome(EINVAL)
    return Outcome(EBUSY if found is None else list(found))


_ACTS: dict[str, Callable[..., Outcome]] = {
    "store": _store,
    "pstore": _store_prealloc,
    "clear": _clear,
    "pclear": _clear_prealloc,
    "insert": _insert,
    "erase": _erase,
    "alloc": _alloc,
    "ralloc": _alloc_rev,
    "destroy": _destroy,
    "bulk": _bulk,
    "use": _use,
    "dup": _dup,
    "fork": _fork,
    "load": _load,
    "walk": _walk,
    "find": _find,
    "next": _next,
    "prev": _prev,
    "iter": _iter,
    "riter": _iter_rev,
    "area": _area,
    "rarea": _area_rev,
}
