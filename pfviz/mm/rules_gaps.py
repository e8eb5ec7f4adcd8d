"""I28: gaps between VMAs that a reader of /proc reports, who locks one VMA after another (6.17+).

A look-up takes many steps, so a gap may have gone when it is reported. Wrong is one that never was:
some address of it was mapped, by whatever VMA, from the look-up's first step to its last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.vma_tree import VmaTree

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm

Range = tuple[int, int]
"""[start, end)."""


@dataclass(slots=True, eq=False)
class Lookup:
    """A look-up of the next VMA that is in work."""

    mm: AddressSpace
    position: int
    gaps: list[Range] = field(default_factory=list)
    """What was a gap for some time since it began, and may be none any more."""


class GapRules:
    """Is told of look-ups and of stores to the tree while there are any."""

    def __init__(self) -> None:
        self.lookups: dict[Thread, Lookup] = {}

    def lookup_begins(self, thread: Thread, mm: AddressSpace, position: int) -> None:
        """A thread looks for the first VMA that ends above `position`, or does so anew."""
        self.lookups[thread] = Lookup(mm, position)

    def tree_stores(self, tree: VmaTree, start: int, end: int, is_cleared: bool) -> None:
        """[start, end) is going to be cleared, or mapped: what of it was no gap until now?"""
        for lookup in self.lookups.values():
            if lookup.mm.tree is tree and end > lookup.position:
                lookup.gaps.extend([(start, end)] if is_cleared else _holes(tree, start, end))

    def gap_shown(self, engine: Mm, thread: Thread, end: int) -> None:
        """I28: a look-up ends at `end`; from its position to there is a gap, or was a while ago."""
        lookup = self.lookups.pop(thread, None)
        if lookup is None or end <= lookup.position:
            return
        tree = lookup.mm.tree
        assert isinstance(tree, VmaTree)
        for first, last, vma in list(tree.maple.iter_range(lookup.position, end - 1)):
            mapped = (max(first, lookup.position), min(last + 1, end))
            if _without(mapped, lookup.gaps):
                text = f"{thread.name} reports a gap where VMA {vma.id} has been lying all the time"
                engine.world.break_rule(engine, "I28", text)

    def vma_shown(self, engine: Mm, mm: AddressSpace, position: int, vma: Vma) -> None:
        """I28: while nobody writes, a gap that is reported is there at that very moment."""
        between = next(mm.tree.between(position, vma.vm_start), None)
        if position < vma.vm_start and between is not None and between is not vma:
            text = f"a gap is reported where VMA {between.id} lies"
            engine.world.break_rule(engine, "I28", text)


def _holes(tree: VmaTree, start: int, end: int) -> Iterator[Range]:
    """The parts of [start, end) where the tree has nothing."""
    at = start
    for first, last, _ in tree.maple.iter_range(start, end - 1):
        if first > at:
            yield at, first
        at = last + 1
    if at < end:
        yield at, end


def _without(whole: Range, gaps: list[Range]) -> list[Range]:
    """The parts of a range that no gap covers."""
    parts = [whole]
    for start, end in gaps:
        cut = [
            part for low, high in parts for part in ((low, min(high, start)), (max(low, end), high))
        ]
        parts = [(low, high) for low, high in cut if low < high]
    return parts
