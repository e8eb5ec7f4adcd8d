"""Operation streams of the `large` oracle vectors, made from a generator's name and parameters.

The random numbers are splitmix64, so a stream is the same everywhere. Touches no tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_MASK = (1 << 64) - 1
PAGE = 4096
BASE = 0x7F0000000000

Op = list[Any]
Params = Mapping[str, int]


class SplitMix64:
    """The generator the vectors were recorded with."""

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def next_u64(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        return self.next_u64() % n


def pages_at(slot: int, pages: int) -> tuple[int, int]:
    """Return the byte range of `pages` pages at page number `slot`."""
    start = BASE + slot * PAGE
    return start, start + pages * PAGE - 1


def generate_ops(name: str, params: Params) -> Iterator[Op]:
    """Return the operations of a generated stream; KeyError for an unknown name."""
    return GENERATORS[name](params)


def bad_parameter(name: str, params: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first parameter of a known generator that is missing or out of its bounds.

    With it what it must be, as words; None if all are well. Within the bounds every address stays
    below 2^64.
    """
    for key in _PARAMETERS[name]:
        low, high = _BOUNDS[key]
        value = params.get(key)
        if type(value) is not int:
            return key, "not a whole number"
        if not low <= value <= high:
            return key, f"not between {low} and {high}"
    if name == "saw" and params["n"] * params["rounds"] > OPERATIONS_MAX:
        return "rounds", f"too many: n times rounds may be {OPERATIONS_MAX:,}"
    return None


def _ascending(p: Params) -> Iterator[Op]:
    for i in range(p["n"]):
        yield ["store", *pages_at(3 * i, 2), i + 1]


def _descending(p: Params) -> Iterator[Op]:
    n = p["n"]
    for i in range(n):
        yield ["store", *pages_at(3 * (n - 1 - i), 2), i + 1]


def _shuffled(p: Params) -> Iterator[Op]:
    rng = SplitMix64(p["seed"])
    order = list(range(p["n"]))
    for i in range(len(order) - 1, 0, -1):
        j = rng.below(i + 1)
        order[i], order[j] = order[j], order[i]
    for i, k in enumerate(order):
        yield ["store", *pages_at(3 * k, 2), i + 1]


def _mixed(p: Params) -> Iterator[Op]:
    rng = SplitMix64(p["seed"])
    erase_from = p["store"]
    clear_from = erase_from + p["erase"]
    wide_from = clear_from + p["clear"]
    for i in range(p["n"]):
        kind = rng.below(100)
        slot = rng.below(p["space"])
        if kind < erase_from:
            yield ["store", *pages_at(slot, 1 + rng.below(4)), i + 1]
        elif kind < clear_from:
            yield ["erase", BASE + slot * PAGE]
        elif kind < wide_from:
            yield ["clear", *pages_at(slot, 1 + rng.below(40))]
        else:
            yield ["store", *pages_at(slot, 1 + rng.below(400)), i + 1]


def _sawtooth(p: Params) -> Iterator[Op]:
    rng = SplitMix64(p["seed"])
    stored = 0
    for _ in range(p["rounds"]):
        live = []
        for _ in range(p["n"]):
            slot = rng.below(8 * p["n"])
            stored += 1
            live.append(slot)
            yield ["store", *pages_at(slot, 1), stored]
        live.sort()
        for k, slot in enumerate(live):
            if k % p["keep"]:
                yield ["erase", BASE + slot * PAGE]


def _guarded_stacks(p: Params) -> Iterator[Op]:
    rng = SplitMix64(p["seed"])
    top = BASE + (1 << 40)
    live: list[tuple[int, int]] = []
    for i in range(p["n"]):
        pages = 2 + rng.below(64)
        top -= pages * PAGE
        yield ["store", top, top + pages * PAGE - 1, 2 * i + 1]
        yield ["store", top, top + PAGE - 1, 2 * i + 2]
        live.append((top, pages))
        if rng.below(4) == 0:
            start, count = live.pop(rng.below(len(live)))
            yield ["clear", start, start + count * PAGE - 1]


OPERATIONS_MAX: Final = 10_000_000
"""Longer streams than this are taken for a mistake."""
# The widest store of "mix" begins at its last page and is 400 pages long.
_SPACE_MAX = (_MASK - BASE) // PAGE - 400
_BOUNDS = {
    "n": (1, OPERATIONS_MAX),
    "seed": (0, _MASK),
    "space": (1, _SPACE_MAX),
    "store": (0, 100),
    "erase": (0, 100),
    "clear": (0, 100),
    "rounds": (1, OPERATIONS_MAX),
    "keep": (1, _MASK),
}
_PARAMETERS = {
    "asc": ("n",),
    "desc": ("n",),
    "shuf": ("n", "seed"),
    "mix": ("n", "seed", "space", "store", "erase", "clear"),
    "saw": ("n", "seed", "rounds", "keep"),
    "guard": ("n", "seed"),
}
GENERATORS: dict[str, Callable[[Params], Iterator[Op]]] = {
    "asc": _ascending,
    "desc": _descending,
    "shuf": _shuffled,
    "mix": _mixed,
    "saw": _sawtooth,
    "guard": _guarded_stacks,
}
