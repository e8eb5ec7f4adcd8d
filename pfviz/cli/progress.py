"""The line on standard error that says how far long work has come, and how to stop it.

Only a terminal gets one, only after a while, and it is gone when the work is; what the work is, it
refuses to know.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TextIO, TypeVar

import click

from pfviz.config.settings import says_yes
from pfviz.scenario.errors import printable
from pfviz.sim.told import Told, part
from pfviz.views.progress import line

PATIENCE_S: Final = 0.5
"""Work that is done sooner says nothing."""
EVERY_S: Final = 0.1
STOPS: Final = "ctrl-C stops"
_QUIET: Final = "pfviz.quiet"

F = TypeVar("F", bound=Callable[..., Any])


def quiet_option(function: F) -> F:
    """-q: no word about how far the work has come."""
    return click.option(
        "-q", "--quiet", is_flag=True, envvar="PFVIZ_QUIET", expose_value=False,
        callback=_remember, help="Do not show how far long work has come.",
    )(function)  # fmt: skip


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_QUIET] = value
    return value


class Progress:
    """How far one piece of work has come; call it with (done, total), total 0 when not known."""

    def __init__(
        self, what: str, unit: str = "", stream: TextIO | None = None,
        now: Callable[[], float] = perf_counter, patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        """`unit` is what `done` counts when nobody knows the total; it is said then."""
        self.what = what
        self._unit = unit
        self._stream = stream
        self._now = now
        self._began_s = now()
        self._next_s = self._began_s + patience_s
        self._share = 0.0
        self._seen = False

    def __call__(self, done: int, total: int) -> None:
        """Take note; draw the line when it is time to."""
        now_s = self._now()
        if total > 0:
            self._share = max(self._share, min(done / total, 1.0))
        if self._stream is None or now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        seen, self._seen = self._seen, True  # First: an interrupt may come while it is written.
        if _is_dumb():
            if not seen:
                self._stream.write(f"pfviz: {self.what}; {STOPS}\n")
        else:
            columns = shutil.get_terminal_size().columns
            line = self.line(done, total, now_s - self._began_s, columns - 1)
            self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()

    def part(self, number: int, of: int, what: str = "") -> Told:
        """For part `number` (from 0) of so many: what it tells counts as its share of the whole."""
        self.what = what or self.what
        self(number, of)
        return part(self, number, of)

    def line(self, done: int, total: int, lasted_s: float, width: int) -> str:
        """The line, in at most so many cells: the bar goes first, then the words behind it."""
        share = self._share if total > 0 or self._share else -1.0
        return line(
            printable(self.what), share, done, lasted_s, width, unit=self._unit, ends=STOPS,
            ascii_only=not _is_utf8(self._stream),
        )  # fmt: skip

    def clear(self) -> None:
        """Take the line away; the next one comes when it is time to."""
        if self._seen and self._stream is not None and not _is_dumb():
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._seen = False


_shown: list[Progress] = []
"""The work that is going on, the innermost last; a process has one standard error."""


@contextmanager
def progress(what: str, unit: str = "", patience_s: float = PATIENCE_S) -> Iterator[Progress]:
    """Show how far what happens inside has come; the line is gone afterwards, however it ends."""
    one = Progress(what, unit, _terminal(), patience_s=patience_s)
    _shown.append(one)
    try:
        yield one
    finally:
        one.clear()
        _shown.remove(one)


def reading(path: str) -> str:
    """What is done while a file is read; "-" is standard input."""
    return f"reading {'standard input' if path == '-' else Path(path).name}"


def make_room() -> None:
    """Take the line away: something else is about to be written to the terminal."""
    for one in _shown:
        one.clear()


def _terminal() -> TextIO | None:
    """Standard error, if somebody looks at it and wants to be told."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and ctx.meta.get(_QUIET, False):
        return None
    stream = sys.stderr
    return stream if stream is not None and stream.isatty() else None


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def _is_utf8(stream: TextIO | None) -> bool:
    if says_yes(os.environ.get("PFVIZ_ASCII", "")):
        return False
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "") == "utf8"
