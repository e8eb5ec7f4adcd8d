"""`pfviz completion`: the script that teaches a shell our words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pfviz.cli.options import Word
from pfviz.cli.output import write

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=Word("shell", SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish).

    For bash: eval "$(pfviz completion bash)" in ~/.bashrc.
    """
    from pfviz.cli.verbs import cli

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "pfviz", "_PFVIZ_COMPLETE").source()
    write(script.rstrip("\n") + "\n")
