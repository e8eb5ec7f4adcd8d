"""Counting a dumped maple tree: nodes, leaves, entries, nodes per level, fill of the leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfviz.mm.maple.dump import Dump
from pfviz.mm.maple.node import MAPLE_LEAF_64, MT_SLOTS


@dataclass(slots=True)
class Census:
    """`levels` is nodes per level, root first; `occupancy[n]` is leaves with n slots in use."""

    height: int
    entries: int = 0
    levels: list[int] = field(default_factory=list)
    occupancy: list[int] = field(default_factory=lambda: [0] * (MT_SLOTS[MAPLE_LEAF_64] + 1))

    @classmethod
    def of(cls, dump: Dump) -> Census:
        """Count a whole tree."""
        height, root = dump
        census = cls(height)
        if not height:
            census.entries = int(root is not None)
            return census
        level = [root]
        while level:
            census.levels.append(len(level))
            below = []
            for node in level:
                if node[0] == "L":
                    # A broken tree may hold an overfull leaf; it must still be counted.
                    census.occupancy += [0] * (len(node[3]) + 1 - len(census.occupancy))
                    census.occupancy[len(node[3])] += 1
                    census.entries += len(node[4]) - node[4].count(None)
                else:
                    below.extend(node[4])
            level = below
        return census

    @property
    def nodes(self) -> int:
        return sum(self.levels)

    @property
    def leaves(self) -> int:
        return self.levels[-1] if self.levels else 0

    def fields(self) -> dict[str, Any]:
        """Return the counts by the names the oracle files use."""
        return {
            "h": self.height,
            "n": self.nodes,
            "nl": self.leaves,
            "entries": self.entries,
            "lv": self.levels,
            "occ": self.occupancy,
        }
