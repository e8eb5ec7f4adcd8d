"""Taking a run away: choosing a format, and writing the file while the lab goes on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from textual import work as worker

from pfviz.report.formats import FORMATS, Format
from pfviz.tui.export_job import ExportJob
from pfviz.tui.screens.lab_policies import LabPolicies

TOLD_EVERY_S: Final = 0.3


class LabExports(LabPolicies):
    """Actions around exports."""

    export_job: ExportJob | None = None
    """What is being written, or was last."""

    def action_export(self) -> None:
        """Choose a format and write the whole run in it."""
        if self._is_exporting():
            self.say(f"{self._job_words()} One file at a time.")
            self.moved()
            return
        is_capture = self.player.run.is_capture
        formats = [one for one in FORMATS if one.for_captures or not is_capture]

        def choose(number: int | None) -> None:
            if number is not None and number >= 0:
                self.start_export(formats[number])

        self.choose(
            "Export",
            "The whole run as a file in the current directory, for other tools.",
            [(one.name, one.opens) for one in formats],
            0,
            choose,
            abouts=[_about(one) for one in formats],
        )

    def start_export(self, chosen: Format) -> None:
        """Write the run in a format; what became of it is said when it is there."""
        if chosen.missing:
            self.say(f"{chosen.name} {chosen.missing}")
            return
        self.export_job = ExportJob(chosen, self.player.run, self.player.index)
        self.say(self._job_words())
        self._export(self.export_job)

    def go_back(self) -> None:
        """Out of an export first."""
        if self.export_job is not None and self._is_exporting():
            self.export_job.cancel()
            self.hush()
            self.moved()
        else:
            super().go_back()

    def _is_exporting(self) -> bool:
        return self.export_job is not None and not self.export_job.done

    def _job_words(self) -> str:
        assert self.export_job is not None
        return f"{self.export_job.progress}. {{back}} stops it."

    @worker(exclusive=True, group="export")
    async def _export(self, job: ExportJob) -> None:
        """Write, and say how far it is."""
        telling = self.set_interval(TOLD_EVERY_S, self._tell)
        self.compute()
        try:
            if self.app.is_web:
                await self._deliver(job)
            else:
                await job.run()
                self.say(job.outcome)
        finally:
            telling.stop()
        self.moved()

    async def _deliver(self, job: ExportJob) -> None:
        """Write for a browser to download: nothing of a visitor's stays on this machine."""
        with TemporaryDirectory(prefix="pfviz-") as folder:
            job.folder = Path(folder)
            await job.run()
            path = job.path
            if path is None or not path.exists():
                self.say(job.outcome)
            else:
                self.app.deliver_binary(path)  # Opens it now: it may be gone when it is read.
                self.say(f"Your browser saves {path.name}; it opens in: {job.format.opens}.")

    def _tell(self) -> None:
        if self._is_exporting() and self.export_job is not None and not self.export_job.cancelled:
            self.say(self._job_words())
            self.moved()


def _about(one: Format) -> str:
    return f"{one.about} {one.missing and f'It {one.missing}'}".rstrip()
