"""A run being written to a file while the screen goes on: how far it is, how it ended.

The file appears whole or not at all. Which format writes what, `report.formats` knows.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pfviz.places import state_home
from pfviz.report.formats import Format
from pfviz.report.recording import Piece, Recording
from pfviz.report.whole_file import free_name, whole_file

from .run import Run

SLICE_S: Final = 0.004
"""How long the engine may hold the event loop at a time while the run goes to its end."""
REST_S: Final = 0.004
"""How long it leaves the loop alone afterwards: the lab may be playing meanwhile."""
_ODD: Final = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(slots=True)
class ExportJob:
    """One export; `run` does it, `cancel` gives up and leaves nothing behind."""

    format: Format
    run_shown: Run
    position: int
    """Where the viewer stands: what shows one moment shows this one."""
    folder: Path | None = None
    """Where to write; None is this folder, or pfviz's own where that cannot be written."""
    path: Path | None = None
    """The file, once it is known where it can be."""
    error: str = ""
    done: bool = False
    cancelled: bool = False
    _written: int = 0

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        if not self.run_shown.finished:
            known = len(self.run_shown.timeline)
            return f"Export: the run goes to its end first, {known:,} events so far"
        if self.format.film:
            return f"Writing {self.format.name}: {self._written:,} pictures"
        share = 100 * self._written // max(len(self.run_shown.log), 1)
        return f"Writing {self.format.name}: {min(share, 100)} %"

    @property
    def outcome(self) -> str:
        """What became of it, in words."""
        if self.cancelled:
            return "The export was stopped; nothing was written."
        if self.error:
            return f"The export failed: {self.error}."
        return f"Saved {self.path}; it opens in: {self.format.opens}."

    def cancel(self) -> None:
        """Stop at the next piece."""
        self.cancelled = True

    async def run(self) -> None:
        """Wait for the run's end, then write it; `done` afterwards, whatever happened."""
        try:
            while not (self.run_shown.finished or self.cancelled):
                self.run_shown.advance(SLICE_S)
                await asyncio.sleep(REST_S)
            if not self.cancelled:
                await self._write()
        except OSError as error:
            self.error = error.strerror or type(error).__name__
        except _StoppedError:
            pass
        except Exception as error:
            # A writer's complaint about this very run: nothing to count, nothing to show.
            if not hasattr(error, "exit_code") and not isinstance(error, ValueError):
                raise
            self.error = str(error)
        finally:
            self.done = True

    async def _write(self) -> None:
        run = self.run_shown
        recipe = run.recipe
        name = recipe.scenario.name if recipe is not None else run.title
        recording = Recording(run.log, name, position=self.position, origin=run.origin)
        if recipe is not None:
            recording = Recording(
                run.log, name, recipe.scenario, recipe.overrides, self.position, run.origin
            )  # fmt: skip
        pieces = await asyncio.to_thread(self.format.write, recording)
        stem = _ODD.sub("-", name).strip("-.") or "pfviz"
        self.path = free_name(self.folder or folder_to_write(), stem, self.format.suffix)
        with whole_file(self.path) as file:
            # Pieces are made in a thread of their own: some take longer than a frame may.
            while (piece := await asyncio.to_thread(_next, pieces)) is not None:
                if self.cancelled:
                    raise _StoppedError
                self._written = piece[0]
                file.write(piece[1])


class _StoppedError(Exception):
    """Somebody gave up."""


def _next(pieces: Iterator[Piece]) -> Piece | None:
    """The next piece, or None at the end: an iterator's own end cannot cross from a thread."""
    return next(pieces, None)


def folder_to_write() -> Path:
    """The current directory, or pfviz's state directory where that cannot be written."""
    here = Path.cwd()
    if os.access(here, os.W_OK):
        return here
    folder = state_home()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
