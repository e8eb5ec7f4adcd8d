"""A TOML document: its text, and its tables as what they should be; errors name line and key.

Knows no name of a scenario and nothing of what tables mean to one another.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pfviz.scenario import complaints
from pfviz.scenario.errors import ScenarioError

BYTES_MAX: Final = 16 << 20
STDIN: Final = "-"
EMPTY: Final = "the file is empty"

T = TypeVar("T")


def converted(text: str, source: str, root: type[T]) -> T:
    """Turn TOML into a `root`, types and bounds checked; ScenarioError with line and key."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise complaints.not_toml(source, text, error) from None
    except RecursionError:
        raise ScenarioError(source, 0, "tables are nested too deeply") from None
    try:
        return msgspec.convert(plain, root)
    except msgspec.ValidationError as error:
        raise complaints.not_valid(source, text, plain, str(error), root) from None


def read_text(path: Path) -> str:
    """The text of a scenario file; ScenarioError (exit code 3) when it is none."""
    label = "<stdin>" if str(path) == STDIN else str(path)
    try:
        data = sys.stdin.buffer.read(BYTES_MAX + 1) if label == "<stdin>" else _bytes(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise ScenarioError(label, 0, reason, exit_code=3) from None
    if not data.strip():
        raise ScenarioError(label, 0, EMPTY, exit_code=3)
    if len(data) > BYTES_MAX:
        raise ScenarioError(label, 0, "is larger than 16 MiB: not a scenario", exit_code=3)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = "is not text (UTF-8); a scenario is a TOML file"
        raise ScenarioError(label, line, reason, exit_code=3) from None
    if "\0" in text:
        reason = "is not text; a scenario is a TOML file"
        raise ScenarioError(label, text.count("\n", 0, text.index("\0")) + 1, reason, exit_code=3)
    return text.replace("\r\n", "\n")


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES_MAX + 1)
