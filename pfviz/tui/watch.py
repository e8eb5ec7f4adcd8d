"""Files that somebody may be writing: whether they are as they were, by their times and sizes.

It reads none of them. Half a file is no change yet: only what stays the same for one look counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pfviz.scenario.load import own_folder

LOOK_EVERY_S: Final = 0.5

Mark = tuple[int, int, int] | None
"""A file's time in ns, its size and its number; None while there is none."""


class Watch:
    """Some files, looked at again and again."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._known = self._seen = self._look()

    def _look(self) -> tuple[Mark, ...]:
        return tuple(_mark(path) for path in self.paths)

    def changed(self) -> bool:
        """Whether a file is another one than when this was last True, and has come to rest."""
        now = self._look()
        rests = now == self._seen
        self._seen = now
        if not rests or now == self._known:
            return False
        self._known = now
        return True


def own_files() -> tuple[Path, ...]:
    """The scenarios that a person keeps: they are opened by name."""
    folder = own_folder()
    return tuple(sorted(folder.glob("*.toml"))) if folder.is_dir() else ()


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
