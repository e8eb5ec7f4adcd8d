"""Live reload of a talk: its file and those of its scenarios are watched, and read anew when saved.

What is wrong is a quiet line, while the talk goes on as it was. What is new the show knows.
"""

from __future__ import annotations

from pathlib import Path

from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.load import find
from pfviz.scenario.talk import Talk
from pfviz.scenario.talk_load import open_talk
from pfviz.tui.screens.playing import PlayingScreen
from pfviz.tui.stage_show import Show
from pfviz.tui.watch import LOOK_EVERY_S, Watch
from pfviz.views.rows import clean


class StageReload(PlayingScreen):
    """A stage that looks at the files of its talk."""

    show: Show
    file_watch: Watch | None = None
    file_problem = ""
    """What is wrong with a file that was saved; "" when all is well."""

    def begin_to_watch(self) -> None:
        """Begin to look at the talk's files, if it has any and somebody wants that."""
        if self.show.talk.path and self.app.settings.watch:
            self.file_watch = Watch(files_of_talk(self.show.talk))
            self.set_interval(LOOK_EVERY_S, self.look_at_files)

    def look_at_files(self) -> None:
        """Take the talk anew when it was saved; not while another screen is in front."""
        if self.file_watch is not None and self.is_seen and self.file_watch.changed():
            self.reload()

    def reload(self) -> None:
        """Read the talk again; a scene that is another one now begins at the same stop."""
        path = self.show.talk.path
        try:
            talk = open_talk(path)
        except ScenarioError as error:
            self.file_problem = problem_of(error)
        else:
            self.file_problem = ""
            self.show.renew(talk)
            self.file_watch = Watch(files_of_talk(talk))
            self.say(f"{clean(Path(path).name)} was read again.")
        self.moved()


def files_of_talk(talk: Talk) -> tuple[Path, ...]:
    """The file of a talk, those of its scenarios, and those they take their VMAs from."""
    files = [Path(talk.path)]
    for name, scenario in talk.scenarios.items():
        try:
            path = find(name)
        except ScenarioError:
            continue  # It was deleted meanwhile: reading the talk again will say so.
        files += [path, path.parent / scenario.maps] if scenario.maps else [path]
    return tuple(dict.fromkeys(files))


def problem_of(error: ScenarioError) -> str:
    """`file:line: what is wrong`, in one line."""
    name = Path(error.source).name
    where = f"{name}:{error.line}" if error.line else name
    return clean(f"{where}: {error.reason}")
