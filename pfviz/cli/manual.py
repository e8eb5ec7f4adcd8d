"""The manual page, made from the verbs themselves: `make man` writes docs/man/pfviz.1.

Only what no verb can know of itself (files, variables, examples) is written here.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Final

import click

import pfviz
from pfviz.cli.verbs import EXIT_CODES, VERBS, cli
from pfviz.config.settings import described, variable

DATE: Final = "2026-11-23"
"""Of the release that the page belongs to; a date of today would make every page a new one."""
WIDTH: Final = 66
"""Before characters are escaped."""
SHARED_MIN: Final = 3
"""An option that so many verbs have is described once for all of them."""
Entry = tuple[str, str]
"""(what stands in front, what is said of it)."""
Verb = tuple[str, str, click.Command]
"""(the words that call it, what they take, the command)."""

FILES: Final = (
    ("$XDG_CONFIG_HOME/pfviz/config.toml", "Settings; pfviz config init writes one to start from. "
     "$XDG_CONFIG_HOME is ~/.config where it is not set."),
    ("$XDG_CONFIG_HOME/pfviz/keymaps/NAME.toml", "Keymaps of your own, for keymap = \"NAME\"."),
    ("$XDG_CONFIG_HOME/pfviz/themes/NAME.toml", "Themes of your own, for theme = \"NAME\"."),
    ("pfviz.toml", "Settings of a project, in the folder or above it in the same repository; "
     "[tool.pfviz] in pyproject.toml does as well."),
    ("$XDG_DATA_HOME/pfviz/scenarios/NAME.toml", "Scenarios of your own, to be played by name. "
     "$XDG_DATA_HOME is ~/.local/share where it is not set. Talks are in talks/ beside it."),
    ("$XDG_STATE_HOME/pfviz", "What pfviz remembers; it can be deleted at any time. "
     "$XDG_STATE_HOME is ~/.local/state where it is not set."),
)  # fmt: skip
VARIABLES: Final = (
    ("PFVIZ_CONFIG", "A file that is read in the place of config.toml."),
    ("NO_COLOR", "Set to anything: no colours; bold and reverse tell things apart."),
    ("FORCE_COLOR", "Set to anything: colours even where the terminal is thought to have none."),
    ("COLORTERM, TERM", "How many colours there are; TERM=dumb means that no screen is opened."),
    ("LC_ALL, LC_CTYPE, LANG", "A locale without UTF-8 means ASCII characters only."),
)
EXAMPLES: Final = (
    ("pfviz", "Choose from all scenarios."),
    ("pfviz play smaps-monitor", "A monitor reads smaps, and a process stops."),
    ("pfviz run two-mallocs --mode lockless --json", "The same figures on every machine."),
    ("pfviz compare fault-storm --threads 32", "What each lock mode makes of 32 threads."),
    ("pfviz matrix --kernel 6.7", "Which lock serves which fault there, and what 6.7 changed."),
    ("pfviz import maps self -o mine.toml", "A scenario of a process that is there."),
    ("PFVIZ_THEME=light pfviz play talk", "A talk, in the light theme."),
)
SEE_ALSO: Final = (
    ("madvise", 2), ("perf", 1), ("proc", 5), ("trace-cmd", 1), ("userfaultfd", 2),
)  # fmt: skip


def page() -> str:
    """The page, in the man macros; the same text on every machine."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    with click.Context(cli, info_name="pfviz") as ctx:
        verbs = list(_verbs(cli, ctx))
    shared = _shared(verbs)
    yield f'.TH PFVIZ 1 "{DATE}" "pfviz {pfviz.__version__}" "User Commands"'
    yield ".SH NAME"
    yield "pfviz \\- a terminal laboratory for Linux page\\-fault locking"
    yield ".SH SYNOPSIS"
    yield ".B pfviz"
    yield "[\\fIVERB\\fR] [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"
    yield ".SH DESCRIPTION"
    yield from _told(cli.help or "")
    yield ".SH VERBS"
    for path, usage, command in verbs:
        yield f'.SS "{_plain(f"{path} {usage}".rstrip())}"'
        yield from _told(command.help or "")
        own = [one for one in _options(command) if one not in shared]
        also = [one[0].partition(" ")[0].rstrip(",") for one in _options(command) if one in shared]
        yield from _entries(own, "B")
        if also:
            yield ".PP"
            yield from _folded(f"And {', '.join(also)}.")
    yield ".SH OPTIONS OF SEVERAL VERBS"
    yield from _entries(shared, "B")
    yield from _section("FILES", FILES, "I")
    yield from _section("ENVIRONMENT", _variables(), "B")
    yield from _section("EXIT STATUS", ((str(code), text) for code, text in EXIT_CODES), "B")
    yield from _section("EXAMPLES", EXAMPLES, "B")
    yield ".SH SEE ALSO"
    for number, (name, part) in enumerate(SEE_ALSO, start=1):
        yield f".BR {_plain(name)} ({part})" + (" ," if number < len(SEE_ALSO) else "")


def _verbs(group: click.Group, ctx: click.Context) -> Iterator[Verb]:
    """Every verb, and after a verb those below it."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None or command.hidden:
            continue
        with click.Context(command, info_name=name, parent=ctx) as inner:
            yield inner.command_path, " ".join(command.collect_usage_pieces(inner)), command
            if isinstance(command, click.Group):
                yield from _verbs(command, inner)


def _shared(verbs: Iterable[Verb]) -> list[Entry]:
    """Options that several verbs have with the same words, in the order of their first use."""
    counted = Counter(one for _, _, command in verbs for one in _options(command))
    found: dict[str, str] = {}
    for (names, said), times in counted.items():
        if times >= SHARED_MIN:
            found.setdefault(names, said)
    return list(found.items())


def _options(command: click.Command) -> Iterator[Entry]:
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            names = ", ".join(sorted(param.opts, key=len))
            if param.secondary_opts:
                names += f", {', '.join(param.secondary_opts)}"
            if not param.is_flag:
                is_number = isinstance(param.type, click.types.IntParamType)
                names += f" {param.metavar or ('N' if is_number else param.type.name.upper())}"
            yield names, param.help or ""


def _told(text: str) -> Iterator[str]:
    """A docstring: paragraphs, and examples that stay as they are after \\b."""
    first = True
    for part in re.split(r"\n\s*\n", re.sub(r"^ +", "", text.strip(), flags=re.M)):
        if not first:
            yield ".PP"
        first = False
        if part.startswith("\b"):
            yield ".nf"
            yield from (_plain(line) for line in part.removeprefix("\b").strip("\n").split("\n"))
            yield ".fi"
        else:
            yield from _folded(part)


def _section(title: str, rows: Iterable[Entry], font: str) -> Iterator[str]:
    yield f".SH {title}"
    yield from _entries(rows, font)


def _entries(rows: Iterable[Entry], font: str) -> Iterator[str]:
    for head, text in rows:
        yield ".TP"
        yield f".{font} {_plain(head)}"
        yield from _folded(text)


def _folded(text: str) -> Iterator[str]:
    """Text in lines of roff, none of them so long that nobody could edit it."""
    words = " ".join(text.split())
    yield from map(_plain, wrap(words, WIDTH, break_on_hyphens=False, break_long_words=False))


def _variables() -> Iterator[tuple[str, str]]:
    for name, meaning in described().items():
        more = ' As in "play.toggle=p quit=Q".' if name == "keys" else ""
        yield variable(name), meaning + more
    yield from sorted(_of_options().items())
    yield from VARIABLES


def _of_options() -> dict[str, str]:
    """Variable -> what it does, of all options that can be given so."""
    found: dict[str, str] = {}
    with click.Context(cli, info_name="pfviz") as ctx:
        for name in VERBS:
            command = cli.get_command(ctx, name)
            for param in command.params if command is not None else ():
                if isinstance(param, click.Option) and isinstance(param.envvar, str):
                    found.setdefault(param.envvar, f"{param.opts[-1]}: {param.help}")
    return found


def _plain(text: str) -> str:
    """Text that roff shows as it is."""
    said = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    said = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in said)
    return f"\\&{said}" if said[:1] in (".", "'") else said


if __name__ == "__main__":
    sys.stdout.write(page())
