"""Which panes are seen at which size, and how large: pure arithmetic over cells.

wide (100 x 32 and up)           stacked (60 x 14 and up)      single
header                           header                        header
1 Threads     | 2 Locks          tabs                          one pane
3 Address     | 4 Maple tree     1 Threads                     sentence
5 Latency | 6 Steps | 7 Counters the focused one, more if tall
sentence, hints                  sentence, hints
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PANES: Final = ("threads", "locks", "address", "tree", "latency", "steps", "counters")
"""Pane ids in the order of their numbers, from 1."""

WIDE_MIN: Final = (100, 32)
STACKED_MIN: Final = (50, 14)
SINGLE_MIN: Final = (24, 6)
SENTENCE_ROOM: Final = 24
"""From this height on the sentence gets four lines, two of them for a caption."""
ROOMY_LINES: Final = 48
"""From this height on lanes are two lines high if all of them can be."""
STACKED_PANE_LINES: Final = 8
"""A stacked pane is not made lower than this, its border included..."""
SQUEEZED_PANE_LINES: Final = 6
"""... but where every thread gets its lane by it."""

GRID: Final = (
    (("threads", 58), ("locks", 42)),
    (("address", 52), ("tree", 48)),
    (("latency", 36), ("steps", 38), ("counters", 26)),
)
"""Rows of (pane, share of the width in percent)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the lab divides its screen."""

    kind: str
    """`wide`, `stacked`, `single` or `tiny` (too small for anything but a word)."""
    rows: tuple[tuple[int, tuple[tuple[str, int], ...]], ...]
    """(height in lines, ((pane, width in cells), ...)) from top to bottom."""
    header_lines: int
    tab_lines: int
    sentence_lines: int
    hint_lines: int
    lane_lines: int = 1
    """How high lanes may be where there is room."""

    @property
    def visible(self) -> tuple[str, ...]:
        """The panes that are seen, from top left to bottom right."""
        return tuple(pane for _, row in self.rows for pane, _ in row)


@dataclass(frozen=True, slots=True)
class Needs:
    """How many rows there are to show in the panes whose contents differ most from run to run."""

    threads: int = 1
    vmas: int = 1
    nodes: int = 1


def plan(width: int, height: int, focused: str, zoomed: bool, needs: Needs) -> Plan:
    """The plan for a screen of so many cells."""
    if width < SINGLE_MIN[0] or height < SINGLE_MIN[1]:
        return Plan("tiny", (), 0, 0, 0, 0)
    if width < STACKED_MIN[0] or height < STACKED_MIN[1]:
        lines = height - 3
        return Plan("single", ((lines, ((focused, width),)),), 1, 0, 2, 0)
    header, sentence, hints = 2, 4 if height >= SENTENCE_ROOM else 2, 1
    if width >= WIDE_MIN[0] and height >= WIDE_MIN[1]:
        lines = height - header - sentence - hints
        if zoomed:
            alone = ((lines, ((focused, width),)),)
            return Plan("wide", alone, header, 0, sentence, hints, 3)
        high = 2 if height >= ROOMY_LINES else 1
        return Plan("wide", _grid(width, lines, needs, high), header, 0, sentence, hints, high)
    lines = height - header - sentence - hints - 1
    if zoomed:
        return Plan("stacked", ((lines, ((focused, width),)),), header, 1, sentence, hints)
    return Plan("stacked", _stack(width, lines, focused, needs.threads), header, 1, sentence, hints)


LEAST: Final = (8, 8, 9)
"""Rows of the grid are not made lower than this, borders included."""
LOWER_LINES: Final = 13
"""What histogram, steps and counters like to have."""


def _grid(
    width: int, lines: int, needs: Needs, lane_lines: int
) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    lanes = needs.threads + 5
    high_lanes = needs.threads * (lane_lines + 1) + 6
    if lane_lines > 1 and high_lanes <= lines * 2 // 5:
        lanes = high_lanes
    wanted = (
        max(LEAST[0], lanes),
        max(LEAST[1], min(max(needs.vmas + 2, 2 * needs.nodes + 4), lines // 4)),
        LOWER_LINES,
    )
    heights = _divided(lines, wanted)
    return tuple(
        (lines_of_row, _shares(width, row)) for lines_of_row, row in zip(heights, GRID, strict=True)
    )


def _divided(lines: int, wanted: tuple[int, int, int]) -> list[int]:
    """So many lines for three rows: the least for each, then up to what is wanted, then more."""
    heights = list(LEAST)
    spare = lines - sum(heights)
    missing = [want - height for want, height in zip(wanted, heights, strict=True)]
    total = sum(missing)
    for row in range(3):
        heights[row] += min(missing[row], spare * missing[row] // total) if total else 0
    spare = lines - sum(heights)
    heights[0] += spare // 5
    heights[2] += spare * 2 // 5  # Steps and histogram always have a use for more.
    heights[1] += lines - sum(heights)
    return heights


def _shares(width: int, row: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    widths = [width * share // 100 for _, share in row]
    widths[-1] += width - sum(widths)
    return tuple((pane, cells) for (pane, _), cells in zip(row, widths, strict=True))


def _stack(
    width: int, lines: int, focused: str, threads: int
) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    """Threads on top, then the focused pane and, while there is room, those that follow it."""
    count = max(1, min(len(PANES), lines // STACKED_PANE_LINES))
    if count == 1:
        return ((lines, ((focused, width),)),)
    shown = ["threads"]
    start = PANES.index(focused) if focused != "threads" else 1
    for offset in range(len(PANES)):
        pane = PANES[(start + offset) % len(PANES)]
        if pane not in shown and len(shown) < count:
            shown.append(pane)
    shown.sort(key=PANES.index)
    rest = STACKED_PANE_LINES * (count - 1)
    first = max(STACKED_PANE_LINES, min(threads + 5, max(lines // 2, lines - rest)))
    if first < threads + 3 <= lines - SQUEEZED_PANE_LINES * (count - 1):
        first = threads + 3  # A lane for everybody and the legend, if only a few lines are missing.
    each = (lines - first) // (count - 1)
    heights = [first] + [each] * (count - 1)
    heights[-1] += lines - sum(heights)
    return tuple((height, ((pane, width),)) for height, pane in zip(heights, shown, strict=True))
