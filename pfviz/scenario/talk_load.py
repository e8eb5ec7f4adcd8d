"""A talk from a file or by name; what is wrong with one is told as for scenarios: line and key."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from pfviz.places import expanded
from pfviz.scenario import talk_checks
from pfviz.scenario.documents import converted, read_text
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.names import talk_folders
from pfviz.scenario.overrides import Overrides, kernel_of, mode_for
from pfviz.scenario.positions import Path as Key
from pfviz.scenario.positions import line_of, positions
from pfviz.scenario.schema import Cue, Layout, Scenario
from pfviz.scenario.talk import PANES, Asked, MatrixPart, Scene, Stop, Talk, asked_of
from pfviz.scenario.talk_schema import END, QuestionTable, SceneTable, StopTable, TalkTable
from pfviz.scenario.times import nanoseconds

_SCENE: Final = re.compile(r"^[ \t]*\[\[[ \t]*\"?scene\"?[ \t]*\]\]", re.M)


@dataclass(frozen=True, slots=True)
class Listed:
    """A talk that can be opened by name; `error` is set when the file is not usable."""

    name: str
    title: str
    story: str
    path: str
    minutes: float
    scenes: int
    error: str = ""


def talks() -> tuple[Listed, ...]:
    """Every talk that has a name: the user's own first, then the bundled ones, sorted."""
    by_path: dict[Path, str] = {}
    for name, path in _named().items():
        by_path.setdefault(path, name)
    return tuple(_listed(name, path) for path, name in by_path.items())


def talk_names() -> tuple[str, ...]:
    """Every name that opens a talk: short ones and those of the files."""
    return tuple(_named())


def is_talk(name: str) -> bool:
    """Whether it is the name of a talk, or a file with a [[scene]] in it."""
    path = expanded(name)
    if not path.is_file():
        return os.sep not in name and not name.endswith(".toml") and name in _named()
    try:
        return _SCENE.search(read_text(path)) is not None
    except ScenarioError:
        return False  # Opening it as a scenario will say why.


def talk_named(name: str) -> Path:
    """The file of a talk, given by name or by path; ScenarioError with the nearest known name."""
    path = expanded(name)
    if path.is_file():
        return path
    known = _named()
    if name in known:
        return known[name]
    if name.endswith(".toml") or os.sep in name:
        raise ScenarioError(name, 0, "there is no such file", exit_code=3)
    raise ScenarioError(name, 0, f"is neither a file nor the name of a talk{hint(name, known)}")


def open_talk(name: str) -> Talk:
    """Read and check a talk: a path, or the name of a bundled or own one.

    Raises ScenarioError: unknown name, unreadable file, not TOML, unknown key, wrong value, or
    anything of that in a scenario that it shows.
    """
    path = talk_named(name)
    return parse(read_text(path), str(path))


def parse(text: str, source: str) -> Talk:
    """Turn TOML into a talk whose names all fit together.

    `source` is the file's path: scenarios that are given by a path are looked for from there.
    """
    table = converted(text, source, TalkTable)
    folder, lines = Path(source).parent, positions(text)
    scenarios: dict[str, Scenario] = {}
    for problem in talk_checks.problems(table, folder, scenarios):
        raise ScenarioError(source, line_of(lines, problem.path), problem.reason)
    minutes = shares([scene.minutes for scene in table.scene], table.minutes)
    scenes = tuple(
        _scene(scene, index, minutes[index - 1], folder, scenarios, lines)
        for index, scene in enumerate(table.scene, 1)
    )
    return Talk(
        table.name or Path(source).name.removesuffix(".toml"),
        source,
        table.title,
        table.story.strip(),
        table.sources,
        table.minutes,
        scenes,
        scenarios,
    )


def shares(planned: list[float | None], total: float) -> list[float]:
    """Minutes of each scene: what it says, or an equal share of what the others leave."""
    left = total - sum(minutes or 0.0 for minutes in planned)
    count = sum(minutes is None for minutes in planned)
    share = max(left / count, 0.0) if count else 0.0
    return [share if minutes is None else minutes for minutes in planned]


def _named() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in talk_folders():
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            for name in (_short_name(path, path.stat().st_mtime_ns), path.stem):
                found.setdefault(name or path.stem, path)
    return found


@lru_cache(maxsize=64)
def _short_name(path: Path, changed_ns: int) -> str:  # noqa: ARG001
    """The name that a talk gives itself; "" when it does not, or cannot be read."""
    try:
        name = tomllib.loads(read_text(path)).get("name", "")
    except (ScenarioError, tomllib.TOMLDecodeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _listed(name: str, path: Path) -> Listed:
    try:
        talk = open_talk(str(path))
    except ScenarioError as error:
        return Listed(name, name, "", str(path), 0.0, 0, error.reason)
    return Listed(name, talk.title, talk.story, str(path), talk.minutes, len(talk.scenes))


def _scene(
    table: SceneTable, number: int, minutes: float, folder: Path,
    scenarios: dict[str, Scenario], lines: dict[Key, int],
) -> Scene:  # fmt: skip
    name = talk_checks.scenario_path(table.scenario, folder) if table.scenario else ""
    overrides = talk_checks.overrides_of(table)
    compared = tuple(talk_checks.compared(overrides, words) for words in table.compare)
    at_ns, when = _begin(table.begin)
    path = ("scene", number - 1)
    stops = [
        _stop(one, line_of(lines, (*path, "stop", index))) for index, one in enumerate(table.stop)
    ]
    questions = [
        _question(one, line_of(lines, (*path, "question", index)))
        for index, one in enumerate(table.question)
    ]
    if name:
        stops, questions = _with_cues(
            table, stops, questions, scenarios[name], (compared or (overrides,))[0]
        )
    panes = table.panes or ((table.focus, *(one for one in PANES if one != table.focus))[:2]
                            if table.focus else PANES)  # fmt: skip
    return Scene(
        number=number, title=table.title, card=table.card, topics=table.topics, minutes=minutes,
        say=table.say, note=table.note, scenario=name, overrides=overrides, compare=compared,
        labels=table.compare, align=table.align, verdict=table.verdict, matrix=_matrix(table),
        panes=panes, focus=table.focus, begin_ns=at_ns, begin_when=when,
        speed_ns=None if table.speed is None else nanoseconds(table.speed),
        thread=table.thread, stops=tuple(stops), questions=tuple(questions),
    )  # fmt: skip


def _with_cues(
    table: SceneTable, stops: list[Stop], questions: list[Asked], scenario: Scenario,
    overrides: Overrides,
) -> tuple[list[Stop], list[Asked]]:  # fmt: skip
    """Add the scenario's cues and questions where they are wanted, and an end where none is."""
    which = table.cues or ("own" if stops else "scenario")
    if which != "own":
        cues, asked = moments_of(scenario, overrides)
        stops = [*stops, *cues] if which == "both" else cues
        questions = questions + asked
    if not any(not stop.is_cue for stop in stops):
        stops.append(Stop(""))
    return stops, questions


def moments_of(scenario: Scenario, overrides: Overrides) -> tuple[list[Stop], list[Asked]]:
    """The cues of a scenario as stops, and its questions, those that are true of this run."""
    kernel, mode = kernel_of(scenario, overrides), mode_for(scenario, overrides)
    stops = [_cue(one) for one in scenario.cue if one.comes_in(kernel, mode)]
    questions = [
        asked_of(one, None if one.at is None else nanoseconds(one.at))
        for one in scenario.question
        if one.comes_in(kernel, mode)
    ]
    return stops, questions


def alone(scenario: Scenario, overrides: Overrides) -> Scene:
    """A scenario as a scene of its own: its cues and questions stop it, and its end."""
    stops, questions = moments_of(scenario, overrides)
    focus = scenario.layout.focus
    panes = tuple(dict.fromkeys((focus, *PANES)))[:2] if focus else PANES
    wish = scenario.layout.speed
    speed_ns = None if wish == Layout().speed else nanoseconds(wish)
    return Scene(
        1, scenario.title, False, (), 0.0, " ".join(scenario.story.split()), "",
        scenario.name, overrides, panes=panes, focus=focus, speed_ns=speed_ns,
        stops=(*stops, Stop("")), questions=tuple(questions),
    )  # fmt: skip


def _matrix(table: SceneTable) -> MatrixPart | None:
    part = table.matrix
    if part is None:
        return None
    return MatrixPart(part.kind, part.kernel, part.kernels, part.kinds)


def _stop(table: StopTable, line: int) -> Stop:
    at_ns = None if table.at in (None, END) else nanoseconds(str(table.at))
    speed_ns = None if table.speed is None else nanoseconds(table.speed)
    return Stop(
        table.say, table.note, at_ns, table.when, table.kind, table.kernel, table.panes,
        table.focus, speed_ns, table.thread, table.pause, line=line,
    )  # fmt: skip


def _cue(cue: Cue) -> Stop:
    at_ns = None if cue.at is None else nanoseconds(cue.at)
    return Stop(cue.caption, cue.note, at_ns, cue.when, focus=cue.focus, is_cue=True)


def _question(table: QuestionTable, line: int) -> Asked:
    at_ns = None if table.at in (None, END) else nanoseconds(str(table.at))
    return Asked(
        table.ask, table.answers, table.right, table.why, table.note, at_ns, table.when, line=line
    )


def _begin(text: str) -> tuple[int | None, str]:
    try:
        return nanoseconds(text), ""
    except ValueError:
        return None, text
