"""Whole vector files made with our own tree, for tests that then spoil one thing in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pfviz.mm.maple.census import Census
from pfviz.mm.maple.dump import digest, dump_tree, entries_of, shape_of
from pfviz.mm.maple.operations import Bench
from pfviz.mm.maple.stream import generate_ops
from pfviz.mm.maple.vector_line import GAP_SEARCHES

Line = dict[str, Any]
SINGLE_STORES = ("store", "pstore", "clear", "pclear", "insert", "erase")
CHANGES = (*SINGLE_STORES, "alloc", "ralloc", "destroy", "bulk", "use")


def header(vectors: int = 1) -> Line:
    return {"k": "file", "format": "maple-oracle", "version": 1, "vectors": vectors}


def totals(bench: Bench) -> Line:
    dump = dump_tree(bench.tree)
    hashed = {"hf": dump, "hs": shape_of(dump), "he": entries_of(dump)}
    return Census.of(dump).fields() | {key: digest(value) for key, value in hashed.items()}


def recorded(*ops: list[Any], name: str = "here", alloc: bool = True, rcu: bool = True) -> Any:
    """The lines of one vector, first to last: what our tree makes of the operations."""
    lines: list[Line] = [
        {"k": "vec", "id": name, "alloc": alloc, "rcu": rcu, "nops": len(ops)}
    ]  # fmt: skip
    bench = Bench(alloc=alloc, rcu=rcu)
    for index, op in enumerate(ops):
        outcome = bench.apply(op)
        line: Line = {"k": "op", "i": index, "op": op, "r": outcome.result}
        for key, value in (("wt", outcome.type), ("at", outcome.at), ("st", outcome.status)):
            if value is not None:
                line[key] = value
        if op[0] in (*SINGLE_STORES, *GAP_SEARCHES[:2]):
            line |= {"al": outcome.prealloc, "bo": outcome.born, "di": outcome.dead}
        if op[0] in CHANGES:
            dump = dump_tree(bench.tree)
            census = Census.of(dump)
            line |= {"h": census.height, "n": census.nodes, "nl": census.leaves}
            line["d"] = digest(dump)[:16]
            acts = [[part for part in act if part is not None] for act in outcome.rearrangements]
            if acts:
                line["ev"] = acts
        lines.append(line)
    return [*lines, {"k": "end", "id": name, **totals(bench)}]


def generated(gen: str, params: dict[str, int], *checkpoints: int, name: str = "here") -> Any:
    """The lines of one generated vector, with what our tree is at its checkpoints."""
    bench = Bench(alloc=True, rcu=True)
    lines: list[Line] = []
    count = 0
    for index, op in enumerate(generate_ops(gen, params)):
        bench.apply(op)
        count = index + 1
        if index in checkpoints:
            lines.append({"k": "ck", "i": index, **totals(bench)})
    first: Line = {"k": "gen", "id": name, "alloc": True, "rcu": True, "nops": count}
    return [first | {"gen": gen, "params": params}, *lines, {"k": "end", "id": name}]


def write_lines(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
