"""A scenario from a file, from standard input, or by name; errors name line, key and a way out."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pfviz.places import data_home
from pfviz.scenario import checks, complaints
from pfviz.scenario.errors import ScenarioError, hint, nearest
from pfviz.scenario.positions import line_of, positions
from pfviz.scenario.schema import Scenario

BYTES_MAX: Final = 16 << 20
STDIN: Final = "-"
EMPTY: Final = "the file is empty"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """A scenario that can be opened by name; `error` is set when the file is not usable."""

    name: str
    title: str
    story: str
    path: str
    error: str = ""


def load(name: str) -> Scenario:
    """Read and check a scenario: a path, "-", or the name of a bundled or own one, or of a kind.

    Raises ScenarioError: unknown name, unreadable file, not TOML, unknown key, wrong value.
    """
    path = find(name)
    if path.parent == kinds_folder():
        from pfviz.scenario.fault_kinds import scenario_of

        return scenario_of(path.stem)
    text = read_text(path)
    label = "<stdin>" if str(path) == STDIN else str(path)
    scenario = parse(text, label)
    if scenario.name:
        return scenario
    stem = "stdin" if label == "<stdin>" else path.name.removesuffix(".toml")
    return msgspec.structs.replace(scenario, name=stem)


def parse(text: str, source: str) -> Scenario:
    """Turn TOML into a scenario whose names all fit together; `source` is for error messages."""
    scenario = converted(text, source, Scenario)
    for problem in checks.problems(scenario):
        raise ScenarioError(source, line_of(positions(text), problem.path), problem.reason)
    return scenario


def converted(text: str, source: str, root: type[T]) -> T:
    """Turn TOML into a `root`, types and bounds checked; ScenarioError with line and key."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise complaints.not_toml(source, text, error) from None
    except RecursionError:
        raise ScenarioError(source, 0, "tables are nested too deeply") from None
    try:
        return msgspec.convert(plain, root)
    except msgspec.ValidationError as error:
        raise complaints.not_valid(source, text, plain, str(error), root) from None


def find(name: str) -> Path:
    """The path behind a name; ScenarioError with the nearest known name when there is none."""
    if name == STDIN:
        return Path(STDIN)
    path = Path(name).expanduser()
    if name.endswith(".toml") or os.sep in name or path.is_file():
        if path.is_dir():
            raise ScenarioError(name, 0, "is a folder, not a file", exit_code=3)
        if not path.exists():
            raise ScenarioError(name, 0, "there is no such file", exit_code=3)
        return path
    known = {found.stem: found for found in _named()}
    if name in known:
        return known[name]
    kind = kinds_folder() / f"{name}.toml"
    if kind.is_file():
        return kind
    if path.is_dir():
        raise ScenarioError(name, 0, "is a folder, not a file", exit_code=3)
    kinds = (kind.stem for kind in kinds_folder().glob("[!_]*.toml"))
    near = nearest(name, [*known, *kinds])
    if path.suffix and near is None:
        raise ScenarioError(name, 0, "there is no such file", exit_code=3)
    meant = f'; did you mean "{near}"?' if near else hint(name, known)
    raise ScenarioError(name, 0, f"is neither a file nor the name of a scenario{meant}")


def listing() -> tuple[Listing, ...]:
    """Every scenario that has a name: the user's own first, then the bundled ones, sorted."""
    return tuple(_listed(path) for path in _named())


def bundled() -> tuple[Path, ...]:
    """The scenarios that ship with pfviz, sorted by name."""
    folder = Path(str(resources.files("pfviz.bundled")))
    return tuple(sorted(folder.glob("*.toml")))


def kinds_folder() -> Path:
    """Where the scenarios of the matrix are, one for each kind of fault (`fault_kinds`)."""
    return Path(str(resources.files("pfviz.scenario"))) / "kinds"


def own_folder() -> Path:
    """Where a user's own scenarios live: $XDG_DATA_HOME/pfviz/scenarios."""
    return data_home() / "scenarios"


def _named() -> Iterator[Path]:
    seen: set[str] = set()
    folder = own_folder()
    own = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    for path in (*own, *bundled()):
        if path.stem not in seen:
            seen.add(path.stem)
            yield path


def _listed(path: Path) -> Listing:
    try:
        scenario = load(str(path))
    except ScenarioError as error:
        return Listing(path.stem, path.stem, "", str(path), error.reason)
    return Listing(path.stem, scenario.title, scenario.story.strip(), str(path))


def read_text(path: Path) -> str:
    """The text of a scenario file; ScenarioError (exit code 3) when it is none."""
    label = "<stdin>" if str(path) == STDIN else str(path)
    try:
        data = sys.stdin.buffer.read(BYTES_MAX + 1) if label == "<stdin>" else _bytes(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise ScenarioError(label, 0, reason, exit_code=3) from None
    if not data.strip():
        raise ScenarioError(label, 0, EMPTY, exit_code=3)
    if len(data) > BYTES_MAX:
        raise ScenarioError(label, 0, "is larger than 16 MiB: not a scenario", exit_code=3)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = "is not text (UTF-8); a scenario is a TOML file"
        raise ScenarioError(label, line, reason, exit_code=3) from None
    if "\0" in text:
        reason = "is not text; a scenario is a TOML file"
        raise ScenarioError(label, text.count("\n", 0, text.index("\0")) + 1, reason, exit_code=3)
    return text.replace("\r\n", "\n")


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES_MAX + 1)
