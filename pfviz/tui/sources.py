"""What the gallery lists: scenarios by name and captures by file. Opening one gives a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pfviz.report.source import Source, open_source
from pfviz.scenario.errors import printable
from pfviz.scenario.load import Listing, listing
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.talk_load import Listed, talks
from pfviz.sim.told import Told, nobody
from pfviz.trace.read_log import read_log
from pfviz.trace.samples import samples

from .recent import Recent, reopened
from .recipe import Recipe
from .run import Run


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the gallery."""

    name: str
    title: str
    story: str
    path: str
    error: str = ""
    """Why it cannot be opened; empty when it can."""
    is_capture: bool = False
    is_talk: bool = False
    """Whether it is shown on a stage rather than in a lab."""
    recent: Recent | None = None
    """Where it was left, when it was played lately."""

    def matches(self, words: str) -> bool:
        """Whether every word stands somewhere in its name, title or story."""
        text = f"{self.name} {self.title} {self.story}".lower()
        return all(word in text for word in words.lower().split())


def entries(captures: Iterable[str] = ()) -> tuple[Entry, ...]:
    """Captures asked for, every scenario and every talk that has a name, captures that ship."""
    recorded = [
        Entry(Path(path).name, Path(path).name, "A capture of a real kernel.", path, "", True)
        for path in captures
    ]
    listed = sorted(map(_of, listing()), key=lambda entry: entry.name)
    shipped = [
        Entry(
            sample.name,
            f"Real: {sample.name}",
            f"A capture of Linux {sample.kernel}: {sample.title}.",
            str(sample.path),
            is_capture=True,
        )
        for sample in samples()
    ]
    return (*recorded, *listed, *map(_of_talk, talks()), *shipped)


def _of(found: Listing) -> Entry:
    story = " ".join(found.story.split())
    return Entry(found.name, found.title, story, found.path, found.error)


def _of_talk(found: Listed) -> Entry:
    story = " ".join(found.story.split())
    told = f"A talk of {found.minutes:g} minutes, on a stage: the space bar goes on. {story}"
    return Entry(found.name, found.title, told, found.path, found.error, is_talk=True)


def open_entry(
    entry: Entry, overrides: Overrides = NO_CHANGES, told: Told = nobody
) -> Run:  # fmt: skip
    """A run at its beginning.

    Raises:
        ScenarioError: the scenario cannot be read or built.
        CaptureError: the capture cannot be read.
    """
    if entry.recent is not None:
        return run_of(reopened(entry.recent), told)
    if entry.is_capture:
        return run_of(Source(capture=entry.path, title=entry.story), told)
    return run_of(open_source(entry.path, overrides), told)


def run_of(source: Source, told: Told = nobody) -> Run:
    """A run of a scenario or a capture, its beginning computed; errors are those of `open_entry`.

    `told` hears how much of a capture has been read.
    """
    if source.scenario is not None:
        run = Recipe(source.scenario, source.overrides).begin()
        run.shared, run.path = source.shared, source.path
        return run
    assert source.capture is not None
    log = read_log(source.capture, told=told)
    story = source.title or "A capture of a real kernel."
    if log.steps:
        told_of = log.meta.get("title") or log.meta.get("scenario", "")
        story = f"A run that was exported: {printable(told_of)}."
    path = Path(source.capture)
    # Captures are often called trace.txt; the folder says of what.
    name = f"{path.parent.name}/{path.name}" if path.stem.startswith("trace") else source.name
    run = Run(log, name.removeprefix("/"), story, origin=log.index_at(-1))
    run.path, run.shared = str(path.absolute()), source.shared
    run.prepare()
    return run
