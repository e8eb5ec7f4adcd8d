"""Replaying oracle vectors: every operation carried out, every recorded figure compared.

The files are JSON lines, gzipped or not, recorded from lib/maple_tree.c of Linux 6.12.117.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pfviz.mm.maple.census import Census
from pfviz.mm.maple.dump import Dump, digest, dump_tree, entries_of, shape_of
from pfviz.mm.maple.operations import Bench, Outcome
from pfviz.mm.maple.replay_report import Failure, ReplayReport, VectorResult, printable
from pfviz.mm.maple.stream import Op, generate_ops

FORMAT = "maple-oracle"
Line = dict[str, Any]


class VectorError(ValueError):
    """A vector file cannot be replayed; the message names the file, the line and the key."""


def replay_file(path: str | Path) -> ReplayReport:
    """Replay one file of vectors; VectorError if it is not one."""
    path = Path(path)
    report = ReplayReport(path.name)
    run: VectorRun | None = None
    seen_header = False
    for number, line in enumerate(_read_lines(path), 1):
        where = f"{path}:{number}"
        try:
            if not seen_header:
                _check_header(line)
                seen_header = True
            elif line["k"] in ("vec", "gen"):
                run = VectorRun(line)
                report.vectors.append(run.result)
            elif run is None:
                raise ValueError(f"a line of kind {line['k']!r} before any vector")
            else:
                run.take(line)
        except KeyError as error:
            raise VectorError(printable(f"{where}: key {error} is missing")) from None
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise VectorError(printable(f"{where}: {error}")) from None
    if not seen_header:
        raise VectorError(printable(f"{path}: the file is empty"))
    return report


def _read_lines(path: Path) -> Iterator[Line]:
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if zipped else path.open("rt", encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise VectorError(printable(f"{path}:{number}: not a JSON object"))
                yield line
    except OSError as error:
        raise VectorError(printable(f"{path}: {error.strerror or error}")) from None
    except (EOFError, zlib.error):
        raise VectorError(printable(f"{path}: the gzip stream is cut off or damaged")) from None
    except UnicodeDecodeError:
        raise VectorError(printable(f"{path}: not text in UTF-8")) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise VectorError(printable(f"{path}:{number}: not JSON: {error}")) from None


def _check_header(line: Line) -> None:
    found = line.get("format")
    if line.get("k") != "file" or found != FORMAT:
        raise ValueError(f"not a file of maple vectors: format is {found!r}, not {FORMAT!r}")
    if line.get("version") != 1:
        raise ValueError(f"format version {line.get('version')!r} is not known; 1 is")


class VectorRun:
    """One vector on its trees, from its first line to its end line."""

    def __init__(self, line: Line) -> None:
        self.result = VectorResult(str(line["id"]))
        self.bench = Bench(alloc=bool(line["alloc"]), rcu=bool(line["rcu"]))
        self.stream: Iterator[Op] | None = None
        self.streamed = 0
        self.stopped = False
        if line["k"] == "gen":
            self.stream = generate_ops(line["gen"], line["params"])

    def take(self, line: Line) -> None:
        """Carry out or compare one line of the vector."""
        kind = line["k"]
        if kind == "op":
            self._operate(line)
        elif kind == "ck":
            self._stream_to(line["i"])
            self._compare_totals(line, line["i"])
        elif kind == "end":
            if "hf" in line:
                self._compare_totals(line, self.result.operations - 1)
        else:
            raise ValueError(f"unknown kind of line {kind!r}")

    def _operate(self, line: Line) -> None:
        self.result.operations += 1
        if self.stopped:
            return
        op = line["op"]
        self.bench.validate(op)
        outcome = self._apply(op, line["i"])
        if outcome is None:
            return
        failure = self.result.failure
        if failure is None:
            wrong = list(_differing_fields(line, outcome))
            ours = dump_tree(self.bench.tree) if "d" in line else None
            if ours is not None:
                self.result.digests += 1
                wrong.extend(_differing_tree(line, ours))
                self.result.trees += "tree" in line
            if wrong:
                failure = self.result.failure = Failure(line["i"], op, wrong, ours)
                failure.drawn_at = line["i"]
        if failure is not None and "tree" in line and "d" in line and failure.recorded is None:
            failure.ours = dump_tree(self.bench.tree)
            failure.recorded = line["tree"]
            failure.drawn_at = line["i"]

    def _apply(self, op: Op, index: int) -> Outcome | None:
        """Carry out an operation; an error of ours is a failure of the vector and ends it."""
        try:
            return self.bench.apply(op)
        except Exception as error:
            self.stopped = True
            if self.result.failure is None:
                wrong = [f"stopped by {type(error).__name__}: {error}"]
                self.result.failure = Failure(index, op, wrong)
            return None

    def _stream_to(self, index: int) -> None:
        if self.stream is None:
            raise ValueError("a checkpoint in a vector that is not generated")
        while not self.stopped and self.streamed <= index:
            op = next(self.stream, None)
            if op is None:
                raise ValueError(f"checkpoint at {index}, the stream ends at {self.streamed - 1}")
            self._apply(op, self.streamed)
            self.streamed += 1
            self.result.operations += 1

    def _compare_totals(self, line: Line, index: int) -> None:
        if self.stopped or self.result.failure is not None:
            return
        tree = self.bench.tree
        ours = dump_tree(tree)
        self.result.digests += 1
        wrong = []
        for key, value in Census.of(ours).fields().items():
            if key in line and line[key] != value:
                wrong.append(f"{key}: {line[key]} recorded, {value} here")
        for key, value in (("hf", ours), ("hs", shape_of(ours)), ("he", entries_of(tree))):
            if key in line and line[key] != digest(value):
                wrong.append(f"digest {key}: {line[key][:16]} recorded, {digest(value)[:16]} here")
            elif key == "hf" and line.get(key):
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
