"""Replaying oracle vectors: every operation carried out, every recorded figure compared.

The files are JSON lines, gzipped or not, recorded from lib/maple_tree.c of Linux 6.12.117.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from pfviz.mm.maple.census import Census
from pfviz.mm.maple.dump import Dump, digest, dump_tree, entries_of, shape_of
from pfviz.mm.maple.operations import Bench, Outcome
from pfviz.mm.maple.replay_report import Failure, ReplayReport, VectorResult, printable
from pfviz.mm.maple.stream import Op, generate_ops
from pfviz.mm.maple.vector_line import Line, VectorError, check_dump, check_line


def replay_file(path: str | Path) -> ReplayReport:
    """Replay one file of vectors; VectorError if it is not one."""
    path = Path(path)
    try:
        with path.open("rb") as source:
            return replay_source(source, str(path))
    except OSError as error:
        raise VectorError(printable(f"{path}: {error.strerror or error}")) from None


def replay_source(source: IO[bytes], name: str) -> ReplayReport:
    """Replay the vectors of an open file; `name` is how errors and the report call it."""
    report = ReplayReport(Path(name).name)
    announced: Line = {}
    run: VectorRun | None = None
    number = 0
    for number, line in enumerate(_read_lines(source, name), 1):
        try:
            check_line(line, is_first=number == 1)
            if number == 1:
                announced = line
            elif line["k"] in ("vec", "gen"):
                _check_whole(run)
                run = VectorRun(line)
                report.vectors.append(run.result)
            elif run is not None:
                run.take(line)
            else:
                raise VectorError(f"a line of kind {line['k']!r} before any vector")
        except VectorError as error:
            raise VectorError(printable(f"{name}:{number}: {error}")) from None
    try:
        _check_whole(run)
        _check_count(report, announced, number)
    except VectorError as error:
        raise VectorError(printable(f"{name}: {error}")) from None
    return report


def _check_whole(run: VectorRun | None) -> None:
    """Raise VectorError if a vector announced more operations than there were."""
    if run is None or run.stream is not None:
        return
    announced, found = run.announced, run.result.operations
    if announced is not None and found < announced:
        raise VectorError(
            f"vector {run.result.id!r} announces {announced} operations and ends after {found}"
        )


def _check_count(report: ReplayReport, announced: Line, lines: int) -> None:
    """Raise VectorError if the file has not the vectors that its first line announced."""
    if not lines:
        raise VectorError("the file is empty")
    if not report.vectors:
        raise VectorError("the file holds no vector")
    expected = announced.get("vectors")
    if type(expected) is int and len(report.vectors) != expected:
        raise VectorError(f"the file announces {expected} vectors and holds {len(report.vectors)}")


def _read_lines(source: IO[bytes], name: str) -> Iterator[Line]:
    number = 0
    raw: Any = source if hasattr(source, "peek") else io.BufferedReader(cast("Any", source))
    try:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        plain = gzip.GzipFile(fileobj=raw) if zipped else raw
        for number, text in enumerate(plain, 1):
            line = json.loads(text.decode())
            if not isinstance(line, dict):
                raise VectorError(printable(f"{name}:{number}: not a JSON object"))
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise VectorError(printable(f"{name}: the gzip stream is cut off or damaged")) from None
    except OSError as error:
        raise VectorError(printable(f"{name}: {error.strerror or error}")) from None
    except UnicodeDecodeError:
        raise VectorError(printable(f"{name}: not text in UTF-8")) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise VectorError(printable(f"{name}:{number}: not JSON: {error}")) from None


class VectorRun:
    """One vector on its trees, from its first line to its end line."""

    def __init__(self, line: Line) -> None:
        self.result = VectorResult(line["id"])
        self.bench = Bench(alloc=line["alloc"], rcu=line["rcu"])
        self.stream: Iterator[Op] | None = None
        self.streamed = 0
        self.stopped = False
        nops = line.get("nops")
        self.announced = nops if type(nops) is int else None
        if line["k"] == "gen":
            self.stream = generate_ops(line["gen"], line["params"])

    def take(self, line: Line) -> None:
        """Carry out or compare one line of the vector.

        An error of ours is a failure of the vector and ends it.
        """
        kind = line["k"]
        if self.stopped:
            self.result.operations += kind == "op"
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
            self.stopped = True
            if self.result.failure is None:
                wrong = [f"stopped by {type(error).__name__}: {error}"]
                op = line.get("op", [kind])
                self.result.failure = Failure(line.get("i", self.streamed), op, wrong)

    def _operate(self, line: Line) -> None:
        self.result.operations += 1
        op = line["op"]
        outcome = self.bench.apply(op)
        failure = self.result.failure
        ours = dump_tree(self.bench.tree) if "d" in line else None
        if failure is None:
            wrong = list(_differing_fields(line, outcome))
            if ours is not None:
                self.result.digests += 1
                self.result.trees += "tree" in line
                wrong.extend(_differing_tree(line, ours))
            if wrong:
                failure = self.result.failure = Failure(line["i"], op, wrong, ours)
                failure.drawn_at = line["i"]
        if failure is not None and ours is not None and "tree" in line and not failure.recorded:
            check_dump(line["tree"])
            failure.ours = ours
            failure.recorded = line["tree"]
            failure.drawn_at = line["i"]

    def _stream_to(self, index: int) -> None:
        if self.stream is None:
            raise VectorError("a checkpoint in a vector that is not generated")
        while self.streamed <= index:
            op = self._next_op(index)
            self.bench.apply(op)
            self.streamed += 1
            self.result.operations += 1

    def _next_op(self, index: int) -> Op:
        assert self.stream is not None
        try:
            op = next(self.stream, None)
        except KeyError as error:
            raise VectorError(f"the generator needs a parameter {error}") from None
        if op is None:
            raise VectorError(f"checkpoint at {index}, but the stream ends at {self.streamed - 1}")
        return op

    def _compare_totals(self, line: Line, index: int) -> None:
        if self.stopped or self.result.failure is not None:
            return
        ours = dump_tree(self.bench.tree)
        self.result.digests += 1
        wrong = []
        for key, value in Census.of(ours).fields().items():
            if key in line and line[key] != value:
                wrong.append(f"{key}: {line[key]} recorded, {value} here")
        digested = {"hf": ours, "hs": shape_of(ours), "he": entries_of(ours)}
        for key, value in digested.items():
            found = digest(value)
            if key in line and line[key] != found:
                wrong.append(f"digest {key}: {str(line[key])[:16]} recorded, {found[:16]} here")
            elif key == "hf" and key in line:
                break  # Equal in full is equal in shape and entries.
        if wrong:
            self.result.failure = Failure(index, [line["k"]], wrong, ours, None, index)


def _differing_fields(line: Line, outcome: Outcome) -> Iterator[str]:
    fields = {"r": outcome.result, "wt": outcome.type, "at": outcome.at, "st": outcome.status}
    fields |= {"al": outcome.prealloc, "bo": outcome.born, "di": outcome.dead}
    for key, value in fields.items():
        if key in line and line[key] != value:
            yield f"{key}: {line[key]} recorded, {value} here"
    if "d" in line:
        acts = [[part for part in act if part is not None] for act in outcome.rearrangements]
        if line.get("ev", []) != acts:
            yield f"ev: {line.get('ev', [])} recorded, {acts} here"


def _differing_tree(line: Line, ours: Dump) -> Iterator[str]:
    found = digest(ours)[:16]
    if found != line["d"]:
        yield f"d: {line['d']} recorded, {found} here"
        for key, value in Census.of(ours).fields().items():
            if key in line and line[key] != value:
                yield f"{key}: {line[key]} recorded, {value} here"
    elif "tree" in line and line["tree"] != ours:
        yield "tree: differs although its digest does not"
