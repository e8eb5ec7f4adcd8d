"""The mapping histories of real processes, replayed into the model's own VMA trees.

The histories were recorded as the kernel issued them (tests/data/maple/README.md), up to the fork
that ends each; every store has the digest of the tree that the kernel's code made of it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pfviz.mm.maple.dump import Dump, digest, dump_tree
from pfviz.mm.vma import VM_READ, VM_WRITE, Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from tests.worlds import Scene, world

VECTORS = Path(__file__).parent / "data" / "maple" / "real.jsonl.gz"
PROCESSES = ("real/bash", "real/python-numpy", "real/threads-200")
STORES = ("pstore", "store", "clear", "pclear")


def history(name: str) -> Iterator[dict[str, Any]]:
    """The operations of a process up to its fork."""
    with gzip.open(VECTORS, "rt") as lines:
        mine = False
        for text in lines:
            line = json.loads(text)
            if line["k"] == "vec":
                mine = line["id"] == name
            elif mine and line["k"] == "op":
                if line["op"][0] == "fork":
                    return
                yield line


class Replay:
    """One process in a world of its own."""

    def __init__(self, name: str) -> None:
        self.scene: Scene = world("6.12")
        self.vmas: dict[int, Vma] = {}
        self.numbers: dict[int, int] = {}
        self.history = history(name)
        self.checked = 0

    def run(self, operations: int = 1 << 30, is_checked: bool = True) -> Replay:
        """Do so many more operations, each held against the kernel's tree."""
        for line, _ in zip(self.history, range(operations), strict=False):
            if line["op"][0] in STORES:
                self._store(line["op"])
            if is_checked and "d" in line:
                assert digest(self.dump())[:16] == line["d"], line["i"]
                self.checked += 1
        return self

    def dump(self) -> Dump:
        """The tree as the vectors write it, VMAs by the numbers that they have there."""
        height, root = dump_tree(self.scene.mm.tree.maple)  # type: ignore[union-attr]
        return [height, self._numbered(root)]

    def _numbered(self, node: Any) -> Any:
        if isinstance(node, Vma):
            return self.numbers[node.id]
        if isinstance(node, list):
            return [self._numbered(part) for part in node]
        return node

    def _store(self, operation: list[Any]) -> None:
        kind, first, last, *rest = operation
        tree, engine = self.scene.mm.tree, self.scene.engine
        via = "mas_store_prealloc" if kind[0] == "p" else "mas_store_gfp"
        tree.store(engine, first, last + 1, self._vma(first, last, *rest), via)

    def _vma(self, first: int, last: int, number: int | None = None) -> Vma | None:
        if number is None:
            return None
        vma = self.vmas.get(number)
        if vma is None:
            vma = self.vmas[number] = vm_area_alloc(
                self.scene.engine, self.scene.mm, first, last + 1, VM_READ | VM_WRITE,
                name=f"m{number}",
            )  # fmt: skip
            self.numbers[vma.id] = number
        vma.vm_start, vma.vm_end = first, last + 1
        return vma
