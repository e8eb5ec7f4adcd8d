"""The command line: one file per verb; the only layer that knows both faces."""

from __future__ import annotations

from pfviz.cli.verbs import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run `pfviz` with the arguments of this process; does not return."""
    cli(prog_name="pfviz", windows_expand_args=False)
