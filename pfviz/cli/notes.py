"""`pfviz notes`: a talk's speaker notes in a second terminal, or printed."""

from __future__ import annotations

from typing import Any

import click

from pfviz.cli.options import SCENARIO, data_options, screen_options
from pfviz.cli.output import leave
from pfviz.cli.play import has_screen, tell_talk
from pfviz.cli.screen import screen_words
from pfviz.scenario.talk_load import open_talk


@click.command("notes")
@click.argument("talk", type=SCENARIO, default="talk")
@screen_options
@data_options
def command(talk: str, plain: bool, as_json: bool, output: str, **look: Any) -> None:
    """Show the speaker notes of TALK (a name or a file), beside the stage that plays it.

    They follow the stage that runs on this machine for the same person, and turn it. Without a
    terminal, or with --plain, --json or -o, all of them are printed.

    \b
    pfviz notes talk              in a second terminal, while pfviz play talk runs in the first
    pfviz notes talk --plain      to print them
    """
    opened = open_talk(talk)
    if plain or as_json or output != "-" or not has_screen():
        leave(tell_talk(opened, as_json, output))
    words = screen_words(**look)
    from pfviz.tui.start import run_app

    leave(run_app(notes=opened, **words))
