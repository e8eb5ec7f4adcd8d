"""The one table of export formats: name, ending, what opens it, what it needs, who writes it.

The command line and the lab both read it; a format's module is imported when it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pfviz.report.recording import Piece, Recording

Writer = Callable[..., "Iterator[Piece]"]
"""`writer(recording, **options)` yields the file piece by piece; the options are the format's."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format that a run or a capture can be written in."""

    name: str
    suffix: str
    """How its files end, with the point."""
    about: str
    """What is in it, as a sentence for help."""
    opens: str
    """What opens it."""
    module: str
    """The module whose `pieces` writes it."""
    binary: bool = False
    extra: str = ""
    """The extra of pfviz that brings what it needs: `pip install 'pfviz[extra]'`."""
    needs: str = ""
    """The package that the extra brings, as it is imported."""
    film: bool = False
    """Whether it shows the screen: a picture or a film, which can be of a talk, too."""
    for_captures: bool = True
    """Whether a capture can be written so; what plays on a clock of steps needs a scenario."""

    @property
    def missing(self) -> str:
        """What to do before it can be written, in one line; "" when nothing is missing."""
        if not self.needs or importlib.util.find_spec(self.needs) is not None:
            return ""
        return f"needs a package that is not installed here: pip install 'pfviz[{self.extra}]'"

    def writer(self) -> Writer:
        """The function that writes it, imported now."""
        pieces: Writer = importlib.import_module(self.module).pieces
        return pieces

    def write(self, recording: Recording, **options: Any) -> Iterator[Piece]:
        """Yield the file piece by piece."""
        if self.film:
            from pfviz.report.shoot import Wish, film_of

            return self.writer()(film_of(recording, Wish(is_still=self.name == "svg")), **options)
        return self.writer()(recording, **options)


FORMATS: Final = (
    Format(
        "cast", ".cast", "The screen as it plays, with a marker at each caption.",
        "asciinema, any terminal", "pfviz.report.cast", film=True,
    ),
    Format(
        "svg", ".svg", "The screen as a picture, of a moment or one that moves.",
        "browsers, READMEs, slides", "pfviz.report.svg", film=True,
    ),
    Format(
        "html", ".html", "A page that plays the screen, with the captions as text.",
        "any browser", "pfviz.report.html", film=True,
    ),
    Format(
        "perfetto", ".pftrace",
        "Threads, CPUs, locks with holders and waiters, and arrows from release to acquire.",
        "ui.perfetto.dev, trace_processor", "pfviz.report.perfetto",
        binary=True, extra="perfetto", needs="perfetto",
    ),
    Format(
        "chrome", ".trace.json", "The same tracks as JSON (Trace Event Format).",
        "ui.perfetto.dev, chrome://tracing, speedscope", "pfviz.report.chrome",
    ),
    Format(
        "ftrace", ".ftrace.txt",
        "The kernel's own trace text, and all that no kernel traces; pfviz reads it again.",
        "ui.perfetto.dev, grep, pfviz play, pfviz trace stats", "pfviz.report.ftrace",
    ),
    Format(
        "csv", ".csv", "A table: events, faults, locks or operations, a row each.",
        "LibreOffice, Excel, pandas", "pfviz.report.spreadsheet",
    ),
    Format(
        "jsonl", ".jsonl", "A JSON object per event; pfviz reads it again.",
        "jq, pandas, pfviz play", "pfviz.report.jsonl",
    ),
    Format(
        "parquet", ".parquet", "The same tables as csv, with types.",
        "pandas, DuckDB, Spark", "pfviz.report.parquet",
        binary=True, extra="parquet", needs="pyarrow",
    ),
    Format(
        "hgrm", ".hgrm", "Latencies of faults, waits or an operation as percentiles.",
        "HdrHistogram plotters", "pfviz.report.hgrm",
    ),
)  # fmt: skip


def format_named(name: str) -> Format:
    """The format of that name; KeyError when there is none."""
    for one in FORMATS:
        if one.name == name:
            return one
    raise KeyError(name)
