"""`pfviz completion`: the script that teaches a shell our words."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import FishComplete, add_completion_class, get_completion_class

from pfviz.cli.options import Word
from pfviz.cli.output import write

SHELLS: Final = ("bash", "zsh", "fish")


class Fish(FishComplete):
    """As click's, which would cut a word's help at its first comma."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


@click.command("completion")
@click.argument("shell", type=Word("shell", SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish).

    \b
    eval "$(pfviz completion bash)"                                 in ~/.bashrc
    eval "$(pfviz completion zsh)"                                  in ~/.zshrc, after compinit
    pfviz completion fish > ~/.config/fish/completions/pfviz.fish   once
    """
    from pfviz.cli.verbs import cli

    add_completion_class(Fish)
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "pfviz", "_PFVIZ_COMPLETE").source()
    write(script.rstrip("\n") + "\n")
