"""What a person asked to see: a scenario with changes to it, a capture or a talk. Opens each.

The one place that knows both siblings, `scenario` and `trace`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pfviz.places import expanded
from pfviz.report.share import content_check, talk_check
from pfviz.scenario import checks, from_maps
from pfviz.scenario.documents import STDIN
from pfviz.scenario.errors import ScenarioError, hint, nearest
from pfviz.scenario.load import bundled, find, load
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.schema import Scenario
from pfviz.scenario.talk import Talk
from pfviz.scenario.talk_load import is_talk, open_talk, talk_names
from pfviz.scenario.token import Moment, Token, decode, is_token
from pfviz.trace.samples import Sample, samples

_GZIP: Final = b"\x1f\x8b"
_LOOK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Shared:
    """Where to begin, and what became of it since."""

    moment: Moment | None = None
    """None is the beginning."""
    modes: tuple[str, ...] = ()
    """The modes that are compared there; none when one run is looked at."""
    is_exact: bool = True
    """Whether the run is the one that was shared, as far as can be told before it is made."""
    stop: tuple[int, int] | None = None
    """Of a talk: the scene and the stop in it, from 0."""
    note: str = ""
    """What to tell a person about that, in a line."""


@dataclass(frozen=True, slots=True)
class Source:
    """A scenario with its overrides, a talk, or the path of a capture ("-" is standard input)."""

    scenario: Scenario | None = None
    overrides: Overrides = NO_CHANGES
    capture: str | None = None
    title: str = ""
    """What is known of a capture that ships with pfviz."""
    talk: Talk | None = None
    shared: Shared | None = None
    """What a share token says beyond the scenario and its changes."""
    path: str = ""
    """The file that the scenario was read from; "" where there is none to look at again."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes to compare, where a token is of a comparison."""
        return self.shared.modes if self.shared is not None else ()

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
    """A scenario by path, name, token or "-", the VMAs of its maps file put in their place."""
    if is_token(name):
        return _of_token(decode(name))[0]
    scenario = load(name)
    return _with_maps(scenario, Path() if name == STDIN else find(name).parent)


def open_source(name: str, overrides: Overrides = NO_CHANGES) -> Source:
    """A scenario, a talk or a capture, told apart by what is in the file, or found by its name.

    A share token stands for its scenario with its changes; `overrides` come on top of those. A
    talk's scenes say themselves what is changed.
    """
    if is_token(name):
        return open_token(decode(name), overrides)
    if is_capture(name):
        return Source(capture=name)
    sample = capture_named(name)
    if sample is not None:
        return Source(capture=str(sample.path), title=sample.title)
    if is_talk(name):
        return Source(talk=open_talk(name))
    try:
        return Source(open_scenario(name), overrides, path=_file_of(name))
    except ScenarioError as error:
        near = nearest(name, [*(one.name for one in samples()), *talk_names()])
        if near is None or "is one of" not in error.reason:
            raise
        reason = f'is neither a file nor a name that is known here; did you mean "{near}"?'
        raise ScenarioError(name, 0, reason) from None


def files_of(path: str) -> tuple[Path, ...]:
    """The file of a scenario, and the one it takes its VMAs from, where it can be read."""
    file = Path(path)
    try:
        maps = load(path).maps
    except ScenarioError:
        maps = ""
    return (file, file.parent / maps) if maps else (file,)


def _file_of(name: str) -> str:
    """The file behind the name of a scenario, from wherever it is looked at later."""
    return "" if name == STDIN else str(find(name).absolute())


def open_token(token: Token, overrides: Overrides = NO_CHANGES) -> Source:
    """The run that a token is of.

    Raises:
        ScenarioError: its scenario is not known here, or cannot be used.
    """
    if token.stop is not None:
        return _talk_of(token, token.stop)
    scenario, is_same, place = _of_token(token)
    whole = token.overrides.under(overrides)
    is_exact = is_same and whole == token.overrides
    note = "" if is_same else f"{scenario.name} has changed since this token was made"
    shared = Shared(token.moment, token.modes, is_exact, note=note)
    return Source(scenario, whole, path=_file_of(place), shared=shared)


def _talk_of(token: Token, stop: tuple[int, int]) -> Source:
    """The talk that a token names, by its name or as a file of this folder."""
    stem = Path(token.name).name
    name = stem if is_talk(stem) else f"{stem}.toml"
    if not is_talk(name):
        raise ScenarioError(str(token), 0, f"its talk is not known here{hint(stem, talk_names())}")
    talk = open_talk(name)
    note = ""
    if talk_check(talk) != token.content:
        note = f"{talk.name} has changed since this token was made"
    return Source(talk=talk, shared=Shared(stop=stop, note=note))


def _of_token(token: Token) -> tuple[Scenario, bool, str]:
    """The scenario that a token names, whether it is as it was then, and what opens it here."""
    found: tuple[Scenario, bool, str] | None = None
    unknown = broken = None
    for name in _places(token.name):
        try:
            scenario = open_scenario(name)
        except ScenarioError as error:
            if "is neither" in error.reason:
                unknown = error
            else:
                broken = broken or error
            continue
        if content_check(scenario) == token.content:
            return scenario, True, name
        found = found or (scenario, False, name)
    if found is not None:
        return found
    if broken is not None:
        raise broken
    _, _, near = str(unknown).partition(";")
    reason = f"its scenario is not known here{';' if near else ''}{near}"
    raise ScenarioError(str(token), 0, reason)


def _places(name: str) -> Iterator[str]:
    """Where a token's scenario may be: what has the name here, or a file in this folder.

    Never elsewhere: a token comes from somebody else.
    """
    stem = Path(name).name
    if stem not in ("", "..", STDIN) and not is_token(stem):
        yield stem
        # A person's own scenario may hide the one that is meant.
        yield from (str(path) for path in bundled() if path.stem == stem)
        if Path(f"{stem}.toml").is_file():
            yield f"{stem}.toml"


def capture_named(name: str) -> Sample | None:
    """The capture that ships with pfviz under this name, unless a file has it."""
    if name == STDIN or Path(name).exists():
        return None
    return next((one for one in samples() if one.name == name), None)


def is_capture(name: str) -> bool:
    """Whether `name` is a file that holds something else than TOML (or has a capture's ending)."""
    if name == STDIN:
        return _holds_capture(_peek_stdin())
    path = expanded(name)
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
