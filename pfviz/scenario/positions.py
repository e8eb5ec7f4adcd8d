"""Where each key of a TOML document stands: path to line number.

For error messages only. The text has passed `tomllib` before, so nothing is checked here.
"""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_STRINGS: Final = (
    ('"""', re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.S)),
    ("'''", re.compile(r"'''.*?'{3,5}", re.S)),
    ('"', re.compile(r'"(?:\\.|[^"\\])*"')),
    ("'", re.compile(r"'[^']*'")),
)


def positions(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and array element of a valid TOML document."""
    return _Scanner(text).scan()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest thing around it that is written down."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.lengths: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._blank()
        while self.at < len(self.text):
            if self._takes("[["):
                table = self._open(self._keys(), is_array=True)
                self._takes("]]")
            elif self._takes("["):
                table = self._open(self._keys(), is_array=False)
                self._takes("]")
            else:
                self._pair(table)
            self._blank()
        return self.lines

    def _open(self, keys: list[str], is_array: bool) -> Path:
        """The path a table header stands for: of arrays on the way, the last element counts."""
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if is_array and depth == len(keys) - 1:
                self.lengths[path] = self.lengths.get(path, 0) + 1
                self._note(path)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        self._note(path)
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._blank()
        if not self._takes("="):
            self.at += 1  # Cannot happen in valid TOML; never loop for ever.
            return
        self._blank()
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._takes("["):
            index = 0
            self._blank()
            while self.at < len(self.text) and not self._takes("]"):
                self._note((*path, index))
                self._value((*path, index))
                index += 1
                self._blank()
                self._takes(",")
                self._blank()
        elif self._takes("{"):
            self._blank()
            while self.at < len(self.text) and not self._takes("}"):
                self._pair(path)
                self._blank()
                self._takes(",")
                self._blank()
        elif not self._string():
            self._match(_SCALAR)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._blank()
            start = self.at
            if self._string():
                keys.append(self.text[start + 1 : self.at - 1])
            else:
                keys.append(self._match(_BARE))
            self._blank()
            if not self._takes("."):
                return keys

    def _string(self) -> bool:
        for quote, pattern in _STRINGS:
            if self.text.startswith(quote, self.at):
                self._match(pattern)
                return True
        return False

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def _takes(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _blank(self) -> None:
        self._match(_BLANK)

    def _note(self, path: Path, at: int | None = None) -> None:
        where = self.at if at is None else at
        self.lines.setdefault(path, self.text.count("\n", 0, where) + 1)
