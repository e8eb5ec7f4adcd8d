"""What a replay of oracle vectors found, and how it reads: counts, and failures drawn twice.

Text from the files is made printable first: a vector's name may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfviz.mm.maple.compare import differences
from pfviz.mm.maple.draw import Path, draw_tree, path_to
from pfviz.mm.maple.dump import Dump, digest

FAILURES_DRAWN_MAX = 3


@dataclass(slots=True)
class Failure:
    """The first operation of a vector whose outcome differs from the recording.

    A recording has full trees at some operations only; `recorded` and `ours` are the trees after
    operation `drawn_at`, the first such one from `index` on (`recorded` None if there is none).
    After an error of ours there is no tree of ours any more: `recorded` may then be that of a later
    operation, `recorded_at`. `ours` is None where nothing of our tree could be read.
    """

    index: int
    op: list[Any]
    wrong: list[str]
    ours: Dump | None = None
    recorded: Dump | None = None
    drawn_at: int = 0
    recorded_at: int = 0
    digest: str = ""

    def keep_recorded(self, line: dict[str, Any]) -> None:
        """Keep the tree and the digest of a recorded operation."""
        self.recorded, self.recorded_at = line["tree"], line["i"]
        self.digest = line.get("d", "")


@dataclass(slots=True)
class VectorResult:
    """One vector: how much was compared, and what failed first."""

    id: str
    operations: int = 0
    digests: int = 0
    trees: int = 0
    failure: Failure | None = None


@dataclass(slots=True)
class ReplayReport:
    """The vectors of one file; `path` as it was given."""

    path: str
    vectors: list[VectorResult] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return sum(vector.failure is None for vector in self.vectors)

    @property
    def failed(self) -> int:
        return len(self.vectors) - self.passed


def render_reports(
    reports: Iterable[ReplayReport], drawn_max: int | None = FAILURES_DRAWN_MAX
) -> str:
    """Return the whole text: a line per file, failures with both trees, the total last."""
    return "\n".join(report_lines(reports, drawn_max))


def report_lines(
    reports: Iterable[ReplayReport], drawn_max: int | None = FAILURES_DRAWN_MAX
) -> Iterator[str]:
    """Yield the lines of render_reports, those of each file as soon as its report is there.

    Of each file `drawn_max` failures are drawn (None: all), the others named.
    """
    passed = failed = 0
    for report in reports:
        passed += report.passed
        failed += report.failed
        yield _file_line(report)
        broken = [vector for vector in report.vectors if vector.failure is not None]
        for vector in broken[:drawn_max]:
            yield from _failure_lines(vector)
        if drawn_max is not None and len(broken) > drawn_max:
            names = ", ".join(printable(vector.id) for vector in broken[drawn_max:])
            yield f"  not drawn: {names}"
    yield f"{passed} passed, {failed} failed"


def report_object(
    reports: Sequence[ReplayReport], refused: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return the reports as plain values for JSON (`pfviz.maple-replay/1`).

    `refused` are the files that could not be replayed, each with the reason.
    """
    return {
        "schema": "pfviz.maple-replay/1",
        "passed": sum(report.passed for report in reports),
        "failed": sum(report.failed for report in reports),
        "files": [
            {
                "file": report.path,
                "passed": report.passed,
                "failed": report.failed,
                "operations": sum(vector.operations for vector in report.vectors),
                "failures": [
                    {
                        "vector": vector.id,
                        "operation": vector.failure.index,
                        "op": vector.failure.op,
                        "wrong": vector.failure.wrong,
                    }
                    for vector in report.vectors
                    if vector.failure is not None
                ],
            }
            for report in reports
        ],
        "refused": [{"file": file, "error": error} for file, error in refused],
    }


def printable(text: str) -> str:
    """Escape whatever a terminal would act on."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _file_line(report: ReplayReport) -> str:
    operations = sum(vector.operations for vector in report.vectors)
    digests = sum(vector.digests for vector in report.vectors)
    trees = sum(vector.trees for vector in report.vectors)
    return (
        f"{printable(report.path)}: {report.passed} passed, {report.failed} failed "
        f"({operations:,} operations, {digests:,} digests, {trees:,} full trees)"
    )


def _failure_lines(vector: VectorResult) -> Iterator[str]:
    failure = vector.failure
    assert failure is not None
    yield f"  {printable(vector.id)} fails at operation {failure.index}"
    yield f"    {printable(_shorten(failure.op))}"
    for text in failure.wrong:
        yield f"    {printable(text)}"
    ours, recorded = failure.ours, failure.recorded
    marks: dict[Path, str] | None = _place_of(failure)
    if ours is not None and recorded is not None:
        marks = differences(recorded, ours)
        if not marks:
            yield f"    {_verdict_on_equal_trees(failure)}"
            return
    if recorded is None:
        yield "    no full tree is recorded from here on that differs from ours"
    else:
        yield f"    recorded{_later(failure, failure.recorded_at)}:"
        yield from (f"      {line}" for line in draw_tree(recorded, marks))
    if ours is None:
        yield "    nothing of our tree can be read"
    else:
        yield f"    ours{_later(failure, failure.drawn_at)}:"
        yield from (f"      {line}" for line in draw_tree(ours, marks))


def _later(failure: Failure, at: int) -> str:
    return f" after operation {at}" if at != failure.index else ""


def _verdict_on_equal_trees(failure: Failure) -> str:
    if failure.digest and failure.digest != digest(failure.ours)[:16]:
        return f"the recorded tree is ours; its recorded digest, {failure.digest}, is of another"
    return f"the trees are equal{_later(failure, failure.drawn_at)}"


def _place_of(failure: Failure) -> dict[Path, str]:
    """Mark the leaf where the operation began, if it names an index."""
    operands = failure.op[1:]
    if failure.ours is None or not operands or type(operands[0]) is not int:
        return {}
    return {path_to(failure.ours, operands[0]): "the operation began here"}


def _shorten(op: list[Any], width: int = 160) -> str:
    text = str(op)
    return text if len(text) <= width else text[: width - 1] + "…"
