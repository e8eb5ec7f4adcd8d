"""The command line: one file per verb; the only layer that knows both faces."""

from __future__ import annotations

from pfviz.cli.verbs import cli
from pfviz.cli.verbs import cli as main

__all__ = ["cli", "main"]
