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

from pfviz.mm.maple.replay_report import ReplayReport, printable
from pfviz.mm.maple.vector_line import Line, VectorError, check_line
from pfviz.mm.maple.vector_run import VectorRun
from pfviz.sim.told import Told, nobody


def replay_file(path: str | Path, told: Told = nobody) -> ReplayReport:
    """Replay one file of vectors; VectorError if it is not one."""
    try:
        with Path(path).open("rb") as source:
            return replay_source(source, str(path), told)
    except OSError as error:
        raise VectorError(printable(f"{path}: {error.strerror or error}")) from None


def replay_source(source: IO[bytes], name: str, told: Told = nobody) -> ReplayReport:
    """Replay the vectors of an open file; `name` is how errors and the report call it.

    `told` hears of the vectors that the file announced.
    """
    report = ReplayReport(name)
    announced = 0
    run: VectorRun | None = None
    number = 0
    for number, line in enumerate(_read_lines(source, name), 1):
        try:
            check_line(line, is_first=number == 1)
            if number == 1:
                announced = line["vectors"]
            elif line["k"] in ("vec", "gen"):
                _check_ended(run)
                told(len(report.vectors), announced)
                run = _begin(line, report)
            elif run is not None:
                run.take(line)
            else:
                raise VectorError(f"a line of kind {line['k']!r} before any vector")
        except VectorError as error:
            raise VectorError(printable(f"{name}:{number}: {error}")) from None
    try:
        if not number:
            raise VectorError("the file is empty")
        _check_ended(run)
        _check_count(report, announced)
    except VectorError as error:
        raise VectorError(printable(f"{name}: {error}")) from None
    return report


def _begin(line: Line, report: ReplayReport) -> VectorRun:
    if any(vector.id == line["id"] for vector in report.vectors):
        raise VectorError(f"a second vector {line['id']!r}")
    run = VectorRun(line)
    report.vectors.append(run.result)
    return run


def _check_ended(run: VectorRun | None) -> None:
    """Raise VectorError if a vector was cut off: its operations, or its end line, are not there."""
    if run is not None and not run.ended:
        run.check_whole()
        raise VectorError(f"vector {run.result.id!r} has no line of kind 'end'")


def _check_count(report: ReplayReport, announced: int) -> None:
    """Raise VectorError if the file has not the vectors that its first line announced."""
    if not report.vectors:
        raise VectorError("the file holds no vector")
    if len(report.vectors) != announced:
        raise VectorError(f"the file announces {announced} vectors and holds {len(report.vectors)}")


def _read_lines(source: IO[bytes], name: str) -> Iterator[Line]:
    number = 0
    raw: Any = source if hasattr(source, "peek") else io.BufferedReader(cast("Any", source))
    try:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        plain = gzip.GzipFile(fileobj=raw) if zipped else raw
        for number, text in enumerate(plain, 1):
            line = _parse(text)
            if not isinstance(line, dict):
                raise VectorError(printable(f"{name}:{number}: not a JSON object"))
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise VectorError(printable(f"{name}: the gzip stream is cut off or damaged")) from None
    except OSError as error:
        raise VectorError(printable(f"{name}: {error.strerror or error}")) from None
    except _NotJsonError as error:
        raise VectorError(printable(f"{name}:{number}: {error}")) from None


class _NotJsonError(Exception):
    """A line is not JSON, or not of a kind that Python reads."""


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError:
        raise _NotJsonError("not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"not JSON: {error}") from None
    except RecursionError:
        raise _NotJsonError("not JSON that can be read: nested too deep") from None
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        raise _NotJsonError("not JSON that can be read: a number is too long") from None
