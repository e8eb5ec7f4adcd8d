"""Captures that ship with pfviz, so that a real kernel can be watched before taking one's own.

Recorded on Linux 6.18.44 (x86-64, 2 CPUs, KVM) with ftrace; each folder of `recorded` holds the
capture, the process's maps from near its beginning, and how it was taken.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """A recorded capture: its name, what was recorded, on which kernel, and where the file is."""

    name: str
    title: str
    kernel: str
    path: Path


def samples() -> tuple[Sample, ...]:
    """The recorded captures, sorted by name."""
    folder = Path(str(resources.files("pfviz.trace"))) / "recorded"
    return tuple(_sample(path) for path in sorted(folder.glob("*/trace.txt.gz")))


def _sample(path: Path) -> Sample:
    about = tomllib.loads((path.parent / "README.toml").read_text(encoding="utf-8"))
    return Sample(path.parent.name, str(about["title"]), str(about["kernel"]), path)
