"""What every picture is, rows of exactly one size, and what everybody who takes them can do."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pfviz.views.rows import Rows

from .reel import Shot


class Size(NamedTuple):
    """Cells of a picture."""

    width: int
    height: int


class Camera(Protocol):
    """Paints shots; it may remember what it showed before, so it is given them in order."""

    def rows(self, shot: Shot) -> Rows:
        """Exactly as many rows and cells as the picture has."""
