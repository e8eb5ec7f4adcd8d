"""Live reload: the file of the scenario that is played is watched, and played anew when saved.

What is wrong with it is shown over the lab, while the last good run plays on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual.widgets import Static

from pfviz.report.source import files_of, open_scenario
from pfviz.scenario.errors import ScenarioError
from pfviz.tui.reload_words import complaint, what_changed
from pfviz.tui.screens.lab_questions import LabQuestions
from pfviz.tui.watch import LOOK_EVERY_S, Watch


class LabReload(LabQuestions):
    """A lab that looks at the file of its scenario."""

    file_watch: Watch | None = None

    def begin_to_watch(self) -> None:
        """Begin to look at the run's file, if it has one and somebody wants that."""
        path = self.player.run.path
        if path and self.app.settings.watch and self.player.run.recipe is not None:
            self.file_watch = Watch(files_of(path))
            self.set_interval(LOOK_EVERY_S, self.look_at_file)

    def look_at_file(self) -> None:
        """Play the file anew when it was saved; not while another screen is in front."""
        if self.file_watch is not None and self.is_seen and self.file_watch.changed():
            self.reload(self.file_watch.paths[0])

    def reload(self, path: Path) -> None:
        """Read the file again; the run goes on at the same place in its workload."""
        recipe = self.player.run.recipe
        if recipe is None:
            return
        try:
            scenario = open_scenario(str(path))
        except ScenarioError as error:
            self._complain(complaint(error, path))
            return
        files = files_of(str(path))
        if self.file_watch is not None and files != self.file_watch.paths:
            self.file_watch = Watch(files)
        new = replace(recipe, scenario=scenario).with_changes(choices=())
        self._complain("")
        said = what_changed(recipe.scenario, scenario)
        if not said:
            self.say(f"{path.name} was saved; nothing in it is new.")
            self.moved()
            return

        def failed(why: str) -> None:
            self._complain(complaint(ScenarioError(str(path), 0, why), path))

        said = f"Reloaded {path.name}: {said}; the same seed {new.seed}."
        self._remake(new, said, failed=failed)

    def _complain(self, text: str) -> None:
        """Show what is wrong with the file, or nothing any more."""
        panel = self.query_one("#file-problem", Static)
        panel.display = bool(text)
        panel.update(text)
