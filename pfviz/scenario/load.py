"""A scenario from a file, from standard input, or by name; errors name line, key and a way out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pfviz.places import expanded
from pfviz.scenario import checks
from pfviz.scenario.documents import STDIN, converted, read_text
from pfviz.scenario.errors import ScenarioError, hint, nearest
from pfviz.scenario.names import bundled as bundled
from pfviz.scenario.names import kinds_folder, named
from pfviz.scenario.names import own_folder as own_folder
from pfviz.scenario.positions import line_of, positions
from pfviz.scenario.schema import Scenario


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


def find(name: str) -> Path:
    """The path behind a name; ScenarioError with the nearest known name when there is none."""
    if name == STDIN:
        return Path(STDIN)
    path = expanded(name)
    if name.endswith(".toml") or os.sep in name or path.is_file():
        if path.is_dir():
            raise ScenarioError(name, 0, "is a folder, not a file", exit_code=3)
        if not path.exists():
            raise ScenarioError(name, 0, "there is no such file", exit_code=3)
        return path
    known = {found.stem: found for found in named()}
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
    return tuple(_listed(path) for path in named())


def _listed(path: Path) -> Listing:
    try:
        scenario = load(str(path))
    except ScenarioError as error:
        return Listing(path.stem, path.stem, "", str(path), error.reason)
    return Listing(path.stem, scenario.title, scenario.story.strip(), str(path))
