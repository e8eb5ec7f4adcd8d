"""One vector carried out: its operations on trees of ours, what came of each held to the record.

Knows one vector at a time; files, and whether a line has the right form, are for others.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from pfviz.mm.maple.census import Census
from pfviz.mm.maple.dump import (
    Dump,
    digest,
    dump_readable,
    dump_tree,
    entries_of,
    shape_of,
)
from pfviz.mm.maple.operations import Bench, Outcome
from pfviz.mm.maple.replay_report import Failure, VectorResult
from pfviz.mm.maple.stream import Op, generate_ops
from pfviz.mm.maple.vector_line import GAP_SEARCHES, Line, VectorError, check_dump, check_totals


class VectorRun:
    """One vector on its trees, from its first line to its end line."""

    def __init__(self, line: Line) -> None:
        self.result = VectorResult(line["id"])
        self.bench = Bench(alloc=line["alloc"], rcu=line["rcu"])
        self.announced: int = line["nops"]
        self.stream: Iterator[Op] | None = None
        if line["k"] == "gen":
            self.stream = generate_ops(line["gen"], line["params"])
        self.op: Op = []
        self.ended = False
        self.stopped = False

    def take(self, line: Line) -> None:
        """Carry out or compare one line of the vector; VectorError if it does not belong there.

        An error of ours is a failure of the vector and ends it.
        """
        kind = line["k"]
        self._check_place(line)
        self.ended = kind == "end"
        if kind == "end":
            self._check_end(line)
        if kind == "op":
            self.op = line["op"]
        if self.stopped:
            self._pass_by(line)
            return
        try:
            if kind == "op":
                self._operate(line)
            elif kind == "ck":
                self._stream_to(line["i"])
                self._compare_totals(line, line["i"])
            elif "hf" in line:
                self._compare_totals(line, self.result.operations - 1)
        except VectorError:
            raise
        except Exception as error:
            self._stop(line, error)

    def check_whole(self) -> None:
        """Raise VectorError if there were fewer operations than announced."""
        found = self.result.operations
        where = "the last checkpoint is" if self.stream is not None else "it ends"
        if found < self.announced:
            raise VectorError(
                f"vector {self.result.id!r} announces {self.announced} operations"
                f" and {where} after {found}"
            )

    def _check_place(self, line: Line) -> None:
        """Raise VectorError unless this is the line that may come next."""
        kind, done = line["k"], self.result.operations
        name = f"vector {self.result.id!r}"
        if self.ended:
            raise VectorError(f"a line of kind {kind!r} after the end of {name}")
        if kind == "op" and self.stream is not None:
            raise VectorError(f"an operation in {name}, which is generated")
        if kind == "ck" and self.stream is None:
            raise VectorError(f"a checkpoint in {name}, which is not generated")
        if kind == "end":
            return
        if kind == "op" and line["i"] != done:
            raise VectorError(f"operation {line['i']} where operation {done} was due")
        if line["i"] >= self.announced:
            what = "operation" if kind == "op" else "a checkpoint at"
            raise VectorError(f"{what} {line['i']}, but {name} announces {self.announced}")
        if line["i"] < done:
            raise VectorError(f"a checkpoint at {line['i']} after one at {done - 1}")
        if kind == "op" and line["op"][0] in GAP_SEARCHES and not self.bench.alloc:
            raise VectorError(f"{line['op'][0]!r} in {name}, whose tree keeps no gaps")

    def _check_end(self, line: Line) -> None:
        """Raise VectorError if the vector may not end here, or nothing of it was compared."""
        if line["id"] != self.result.id:
            raise VectorError(f"the end of {line['id']!r} in vector {self.result.id!r}")
        self.check_whole()
        if self.stream is None or "hf" in line:
            check_totals(line)
        elif not self.announced:
            raise VectorError(f"nothing is recorded of vector {self.result.id!r}")

    def _operate(self, line: Line) -> None:
        self.result.operations += 1
        outcome = self.bench.apply(line["op"])
        failure = self.result.failure
        has_tree = "d" in line or "tree" in line
        if failure is not None and "tree" not in line:
            return
        ours = dump_tree(self.bench.tree) if has_tree else None
        if failure is not None:
            assert ours is not None
            self._draw(failure, line, ours)
            return
        wrong = list(_differing_fields(line, outcome))
        if ours is not None:
            self.result.digests += 1
            self.result.trees += "tree" in line
            wrong.extend(_differing_tree(line, ours))
        if wrong:
            ours = ours or dump_tree(self.bench.tree)
            failure = self.result.failure = Failure(line["i"], line["op"], wrong, ours)
            failure.drawn_at = line["i"]
            if "tree" in line:
                self._draw(failure, line, ours)

    def _draw(self, failure: Failure, line: Line, ours: Dump) -> None:
        """Keep the first recorded tree from a failure on that shows what is wrong."""
        check_dump(line["tree"])
        if failure.recorded is not None or (line["i"] > failure.index and line["tree"] == ours):
            return
        failure.ours, failure.drawn_at = ours, line["i"]
        failure.keep_recorded(line)

    def _stream_to(self, index: int) -> None:
        assert self.stream is not None
        while self.result.operations <= index:
            op = next(self.stream, None)
            if op is None:
                last = self.result.operations - 1
                raise VectorError(f"checkpoint at {index}, but the stream ends at {last}")
            self.op = op
            self.bench.apply(op)
            self.result.operations += 1

    def _compare_totals(self, line: Line, index: int) -> None:
        self.result.digests += 1
        if self.result.failure is not None:
            return
        ours = dump_tree(self.bench.tree)
        wrong = []
        for key, value in Census.of(ours).fields().items():
            if key in line and line[key] != value:
                wrong.append(f"{key}: {line[key]} recorded, {value} here")
        digested = {"hf": ours, "hs": shape_of(ours), "he": entries_of(ours)}
        for key, value in digested.items():
            found = digest(value)
            if line[key] != found:
                wrong.append(f"digest {key}: {line[key][:16]} recorded, {found[:16]} here")
        if wrong:
            self.result.failure = Failure(index, [line["k"]], wrong, ours, None, index)

    def _stop(self, line: Line, error: Exception) -> None:
        """End the vector with an error of ours; what can be read of the tree is kept."""
        self.stopped = True
        if self.result.failure is None:
            index = line["i"] if line["k"] == "op" else self.result.operations
            wrong = [_where(error)]
            failure = Failure(index, self.op, wrong, dump_readable(self.bench.tree))
            failure.drawn_at = index
            self.result.failure = failure
        self._pass_by(line)

    def _pass_by(self, line: Line) -> None:
        """Count a line after the vector has stopped; the first recorded tree is kept."""
        if line["k"] in ("op", "ck"):
            self.result.operations = line["i"] + 1
        failure = self.result.failure
        if failure is not None and failure.recorded is None and "tree" in line:
            check_dump(line["tree"])
            failure.keep_recorded(line)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename[max(frame.filename.rfind('pfviz/mm/'), 0) :]}:{frame.lineno}"
    said = f": {error}" if str(error) else ""
    return f"stopped by {type(error).__name__} at {place}{said}"


def _differing_fields(line: Line, outcome: Outcome) -> Iterator[str]:
    fields = {"r": outcome.result, "wt": outcome.type, "at": outcome.at, "st": outcome.status}
    fields |= {"al": outcome.prealloc, "bo": outcome.born, "di": outcome.dead}
    for key, value in fields.items():
        if key in line and line[key] != value:
            yield f"{key}: {line[key]} recorded, {value} here"
        elif key not in line and key in ("wt", "at", "st") and value is not None:
            # alloc and ralloc are stores whose kind is not recorded.
            yield f"{key}: none recorded, {value} here"
    if "d" in line:
        acts = [[part for part in act if part is not None] for act in outcome.rearrangements]
        if line.get("ev", []) != acts:
            yield f"ev: {line.get('ev', [])} recorded, {acts} here"


def _differing_tree(line: Line, ours: Dump) -> Iterator[str]:
    found = digest(ours)[:16]
    if "d" in line and found != line["d"]:
        yield f"d: {line['d']} recorded, {found} here"
    counts = _counts(ours)
    for key, value in zip(("h", "n", "nl"), counts, strict=True):
        if key in line and line[key] != value:
            yield f"{key}: {line[key]} recorded, {value} here"
    if found == line.get("d", found) and "tree" in line and line["tree"] != ours:
        same = " although its digest does not" if "d" in line else ""
        yield f"tree: differs{same}"


def _counts(dump: Dump) -> tuple[int, int, int]:
    """Height, nodes and leaves of a tree."""
    height, root = dump
    level = [root] if height else []
    nodes = len(level)
    for _ in range(height - 1):
        level = [child for node in level for child in node[4]]
        nodes += len(level)
    return height, nodes, len(level)
