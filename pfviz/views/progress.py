"""How far long work has come, in one line; neither the work nor a terminal nor a clock is known."""

from __future__ import annotations

from typing import Final

from .rows import cell_width, clip

ETA_AFTER_S: Final = 1.0
"""Before that nobody can say how long it will take."""
BAR_CELLS: Final = 20


def line(
    what: str, share: float, done: int, lasted_s: float, width: int,
    *, unit: str = "", ends: str = "", ascii_only: bool = False,
) -> str:  # fmt: skip
    """What is done, a bar, the share, the time left, and `ends` (how to stop it), as room allows.

    A share below 0: nobody knows how much there is; then `done` is counted, in `unit`.
    """
    bar = ""
    if share >= 0:
        facts = f"{share:4.0%}"
        if share and lasted_s > ETA_AFTER_S:
            facts += f"  {_time(lasted_s * (1 - share) / share)} left"
        filled = round(share * BAR_CELLS)
        full, empty = ("#", "-") if ascii_only else ("━", "─")
        bar = full * filled + empty * (BAR_CELLS - filled)
    else:
        facts = f"{done:,} {unit}".rstrip()
        if done and lasted_s > ETA_AFTER_S:
            facts += f", {done / lasted_s:,.0f} a second"
    for parts in ((what, bar, facts, ends), (what, facts, ends), (what, facts)):
        said = "  ".join(part for part in parts if part)
        if cell_width(said) <= width:
            return said
    return clip(said, max(width, 0))


def _time(seconds: float) -> str:
    """So long, roughly: `3 s`, `2 min`, `5 h`."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600):,} h"
