"""A film: pictures with their times, its captions, title and colours; it knows no file format.

It is what the writers of casts, moving pictures and pages are given; a still has one picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pfviz.views.inks import Ink, ink_table
from pfviz.views.palettes import Palette
from pfviz.views.rows import Rows

from .camera import Camera, Size
from .reel import Mark, Reel

Piece = tuple[int, bytes]
"""What a writer yields: how many pictures are written by now, and the next bytes of the file."""


@dataclass(frozen=True, slots=True)
class Part:
    """A reel and the camera that paints it, beginning at a time of the film."""

    at_us: int
    reel: Reel
    camera: Camera


@dataclass(frozen=True, slots=True)
class Film:
    """One film, to be gone through once: cameras remember what they showed."""

    title: str
    story: str
    size: Size
    palette: Palette
    parts: tuple[Part, ...]
    inks: Mapping[str, Ink] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inks", ink_table(self.palette))

    @property
    def lasts_us(self) -> int:
        """How long it is."""
        return max((part.at_us + part.reel.lasts_us for part in self.parts), default=0)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Its captions, in the order of time."""
        return tuple(
            replace(mark, at_us=part.at_us + mark.at_us)
            for part in self.parts
            for mark in part.reel.marks
        )

    def __len__(self) -> int:
        return sum(len(part.reel.shots) for part in self.parts)

    def pictures(self) -> Iterator[tuple[int, Rows]]:
        """(microseconds from the beginning, rows), painted as they are asked for."""
        for part in self.parts:
            for shot in part.reel.shots:
                yield part.at_us + shot.at_us, part.camera.rows(shot)
