"""What a person asked to see: a scenario with changes to it, a capture or a talk. Opens each.

The one place that knows both siblings, `scenario` and `trace`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pfviz.scenario import checks, from_maps
from pfviz.scenario.errors import ScenarioError, nearest
from pfviz.scenario.load import STDIN, find, load
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.schema import Scenario
from pfviz.scenario.talk import Talk
from pfviz.scenario.talk_load import is_talk, open_talk, talk_names
from pfviz.trace.samples import Sample, samples

_GZIP: Final = b"\x1f\x8b"
_LOOK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Source:
    """A scenario with its overrides, a talk, or the path of a capture ("-" is standard input)."""

    scenario: Scenario | None = None
    overrides: Overrides = NO_CHANGES
    capture: str | None = None
    title: str = ""
    """What is known of a capture that ships with pfviz."""
    talk: Talk | None = None

    @property
    def name(self) -> str:
        """What to call it in a title."""
        if self.scenario is not None:
            return self.scenario.name
        if self.talk is not None:
            return self.talk.name
        path = Path(str(self.capture))
        return path.parent.name if self.title else path.name


def open_scenario(name: str) -> Scenario:
    """A scenario by path, name or "-", the VMAs of its maps file put in their place."""
    scenario = load(name)
    return _with_maps(scenario, Path() if name == STDIN else find(name).parent)


def open_source(name: str, overrides: Overrides = NO_CHANGES) -> Source:
    """A scenario, a talk or a capture, told apart by what is in the file, or found by its name.

    A talk's scenes say themselves what is changed: `overrides` are for scenarios.
    """
    if is_capture(name):
        return Source(capture=name)
    sample = capture_named(name)
    if sample is not None:
        return Source(capture=str(sample.path), title=sample.title)
    if is_talk(name):
        return Source(talk=open_talk(name))
    try:
        return Source(open_scenario(name), overrides)
    except ScenarioError as error:
        near = nearest(name, [*(one.name for one in samples()), *talk_names()])
        if near is None or "is one of" not in error.reason:
            raise
        reason = f'is neither a file nor a name that is known here; did you mean "{near}"?'
        raise ScenarioError(name, 0, reason) from None


def capture_named(name: str) -> Sample | None:
    """The capture that ships with pfviz under this name, unless a file has it."""
    if name == STDIN or Path(name).exists():
        return None
    return next((one for one in samples() if one.name == name), None)


def is_capture(name: str) -> bool:
    """Whether `name` is a file that holds something else than TOML (or has a capture's ending)."""
    if name == STDIN:
        return _holds_capture(_peek_stdin())
    path = Path(name).expanduser()
    if name.endswith(".toml") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _holds_capture(file.read(_LOOK_BYTES))
    except OSError:
        return False  # Opening it as a scenario will say why.


def _peek_stdin() -> bytes:
    stream = sys.stdin.buffer
    return stream.peek(_LOOK_BYTES) if hasattr(stream, "peek") else b""


def _holds_capture(begin: bytes) -> bool:
    """A capture is packed, or its first telling line is no TOML: it has no key and no table."""
    if begin.startswith((_GZIP, b"PERFILE2")) or b"\x00" in begin:
        return True
    for line in begin.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text.startswith(("# tracer:", "#           ", "# entries-in-buffer", "cpus=", "CPU ")):
            return True
        if text and not text.startswith("#"):
            return not (text.startswith("[") or "=" in text.partition(":")[0])
    return False


def _with_maps(scenario: Scenario, folder: Path) -> Scenario:
    """Put the VMAs of the scenario's maps file into it."""
    if not scenario.maps:
        return scenario
    from pfviz.trace.capture_file import CaptureError
    from pfviz.trace.maps import read_maps

    try:
        maps = read_maps(folder / scenario.maps)
    except CaptureError as error:
        raise ScenarioError(scenario.name, 0, f"maps: {error}", exit_code=3) from None
    files, vmas = from_maps.tables(maps.vmas)
    taken = {file.name for file in scenario.file}
    whole = msgspec.structs.replace(
        scenario,
        maps="",
        file=(*scenario.file, *(file for file in files if file.name not in taken)),
        vma=(*vmas, *scenario.vma),
    )
    # Now that the VMAs are known, so are the places: look at the whole again.
    for problem in checks.problems(whole):
        raise ScenarioError(scenario.name, 0, problem.reason)
    return whole
