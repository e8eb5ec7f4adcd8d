"""The mapping histories of real processes, replayed into the model's own VMA trees.

The histories were recorded as the kernel issued them (tests/data/maple/README.md); a fork ends
each. Every store, in `guard` every fiftieth, has the digest of the tree that the kernel's code made
of it, and so has the child's tree.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pfviz.mm.address_space import new_mm
from pfviz.mm.maple.dump import Dump, digest, dump_tree
from pfviz.mm.vma import VM_READ, VM_WRITE, Vma
from pfviz.mm.vma_alloc import vm_area_alloc, vm_area_dup
from pfviz.mm.vma_tree import VmaTree
from tests.worlds import Scene, world

DATA = Path(__file__).parent / "data" / "maple"
PROCESSES = ("real/bash", "real/python-numpy", "real/threads-200", "real/guard-2000")
STORES = ("pstore", "store", "clear", "pclear")


def history(name: str) -> Iterator[dict[str, Any]]:
    """The operations of a process, its fork and the look at the child included."""
    file = "guard.jsonl.gz" if "guard" in name else "real.jsonl.gz"
    with gzip.open(DATA / file, "rt") as lines:
        mine = False
        for text in lines:
            line = json.loads(text)
            if line["k"] == "vec":
                mine = line["id"] == name
            elif mine and line["k"] == "op":
                yield line


class Replay:
    """One process in a world of its own."""

    def __init__(self, name: str) -> None:
        self.scene: Scene = world("6.12")
        self.vmas: dict[int, Vma] = {}
        self.numbers: dict[int, int] = {}
        self.history = history(name)
        self.checked = 0
        self.forks: list[Any] = []
        """The operation and the result of the fork that the history has come to."""

    def run(self, operations: int = 1 << 30, is_checked: bool = True) -> Replay:
        """Do so many more operations up to the fork, each held against the kernel's tree."""
        for _ in range(operations):
            line = next(self.history)
            if line["op"][0] == "fork":
                self.forks = [line["op"], line["r"]]
                break
            if line["op"][0] in STORES:
                self._store(line["op"])
            if is_checked and "d" in line:
                self.check(self.scene.mm.tree, line)
        return self

    def fork(self) -> VmaTree:
        """Give a child a tree as fork does since 6.8; it is held against the kernel's tree."""
        (_, _, add, dropped), result = self.forks
        engine, parent = self.scene.engine, self.scene.mm.tree
        mm = new_mm(engine, "child")
        child = mm.tree
        assert isinstance(parent, VmaTree)
        assert isinstance(child, VmaTree)
        child.copy_from(engine, parent)
        child.set_rcu(False)
        stored = cleared = 0
        # The histories cut a VMA by storing over a part of it, so only the tree knows its range.
        for first, last, vma in list(parent.maple.iter_range()):
            number = self.numbers[vma.id]
            copy = None
            if number not in dropped:
                copy = vm_area_dup(engine, vma, first, last + 1, mm=mm)
                self.numbers[copy.id] = number + add
            child.store(engine, first, last + 1, copy, "mas_store")
            stored, cleared = stored + (copy is not None), cleared + (copy is None)
        child.set_rcu(True)
        assert [0, stored, cleared] == result
        self.check(child, next(self.history))
        return child

    def check(self, tree: Any, line: dict[str, Any]) -> None:
        """Hold a tree against the kernel's after an operation."""
        assert digest(self.dump(tree))[:16] == line["d"], line["i"]
        self.checked += 1

    def dump(self, tree: Any) -> Dump:
        """A tree as the vectors write it, VMAs by the numbers that they have there."""
        height, root = dump_tree(tree.maple)
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
