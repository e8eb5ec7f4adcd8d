"""A kernel capture as text: what it counts up to, and its events line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pfviz.report.text import table
from pfviz.scenario.errors import printable
from pfviz.trace.capture_stats import capture_stats
from pfviz.trace.infer import infer_log
from pfviz.views.narrator import plain_lines


def stats(path: str) -> dict[str, Any]:
    """The statistics of a capture, as JSON keys."""
    return capture_stats(path)


def summary(path: str) -> list[str]:
    """The statistics of a capture as text."""
    found = stats(path)
    lines = [f"capture {printable(path)}"]
    for name, value in found.items():
        lines += _section(name, value)
    return lines


def _section(name: str, value: Any) -> list[str]:
    title = name.replace("_", " ")
    if isinstance(value, dict):
        rows = [(str(key), _plain(one)) for key, one in value.items()]
        return ["", title, *table(("", ""), rows)[1:]] if rows else []
    if isinstance(value, list):
        rows = [(str(number + 1), printable(_plain(one))) for number, one in enumerate(value[:20])]
        return ["", title, *table(("", ""), rows)[1:]] if rows else []
    return [f"{title}: {printable(_plain(value))}"]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return printable(str(value))


def story(path: str) -> Iterator[str]:
    """A capture event by event."""
    yield from plain_lines(infer_log(path))
