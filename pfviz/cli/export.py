"""`pfviz export`: a run or a capture in a format that other tools open."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
from click.shell_completion import CompletionItem

from pfviz.cli.groups import Group
from pfviz.cli.input import run_to_read
from pfviz.cli.options import SCENARIO, Word, overrides_of, run_options
from pfviz.cli.output import STDOUT, Complaint, beside, columns, say, write_lines
from pfviz.cli.progress import make_room, progress, quiet_option
from pfviz.report.formats import FORMATS, Format, format_named
from pfviz.report.whole_file import whole_file
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import NO_CHANGES
from pfviz.sim.told import Told

if TYPE_CHECKING:
    from pfviz.report.recording import Piece
    from pfviz.report.source import Source

Option = Callable[[Any], Any]

_TABLE = click.option(
    "--table", type=Word("table", ("events", "faults", "locks", "operations")), default="events",
    show_default=True, help="events, faults, locks or operations: a row each.",
)  # fmt: skip

_OF = click.option(
    "--of", default="faults", show_default=True, metavar="WHAT",
    help="faults; vma_lock, mmap_lock or lockless: those that ended so; waits for locks; or an "
    "operation such as mmap.",
)  # fmt: skip

OPTIONS: Final[dict[str, tuple[Option, ...]]] = {
    # format: options of its own; they are handed to its writer by name
    "csv": (_TABLE,),
    "hgrm": (_OF,),
    "parquet": (_TABLE,),
}


class Formats(Group):
    """A group with a command per format of the table."""

    noun = "format"

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The formats in the order of the table."""
        return [one.name for one in FORMATS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command that writes one format."""
        try:
            chosen = format_named(cmd_name)
        except KeyError:
            return None
        if chosen.film:
            from pfviz.cli.export_film import command_for

            return command_for(chosen)
        return _command_for(chosen)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The formats that begin so, from the table."""
        found = [
            CompletionItem(one.name, help=one.about)
            for one in FORMATS
            if one.name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter  # noqa: ARG002
    ) -> None:  # fmt: skip
        """List the formats from the table."""
        with formatter.section("Formats"):
            formatter.write_dl([(one.name, one.about) for one in FORMATS])


@click.group("export", cls=Formats, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Write a run or a capture in a format that other tools open.

    \b
    pfviz export                                       the formats, and what opens them
    pfviz export svg smaps-monitor --at "cue 2" -o moment.svg
    pfviz export csv writer-convoy --table faults      a row per page fault
    pfviz export perfetto smaps-monitor -o run.pftrace
    """
    if ctx.invoked_subcommand is None:
        write_lines(format_lines(columns()))


def format_lines(width: int | None) -> list[str]:
    """Each format with what is in it and what opens it."""
    lines = []
    room = max(len(one.name) for one in FORMATS) + 2
    for one in FORMATS:
        needs = f" (needs pfviz[{one.extra}])" if one.missing else ""
        said = f"{one.about} Opens in: {one.opens}.{needs}"
        lines += beside(f"{one.name:<{room}}", said, width)
    return [*lines, "", "pfviz export FORMAT SOURCE -o FILE; pfviz export FORMAT --help says more"]


def _command_for(chosen: Format) -> click.Command:
    """The command of one format: SOURCE, what a run can be told, -o, and its own options."""

    def export(source: str, output: str, **options: Any) -> None:
        overrides = overrides_of(options)
        refuse_what_cannot_be(chosen, output)
        opened = run_to_read(source, overrides)
        if opened.talk is not None:
            raise click.UsageError(
                f"{chosen.name} is of one run, and {printable(source)} is a talk:"
                " name a scenario, or take cast or html"
            )
        if opened.capture is not None and overrides != NO_CHANGES:
            say("pfviz: a capture has happened: --kernel, --mode and the like change nothing")
        if opened.modes and overrides.mode is None:
            one, several = opened.overrides.mode or opened.modes[0], " and ".join(opened.modes)
            say(f"pfviz: the token compares {several}; this is {one}, and --mode takes another")
        export_to(output, chosen, opened, options)

    export.__doc__ = (
        f"{chosen.about} SOURCE is a scenario or a capture (a name, a file or -).\n\n"
        f"Opens in: {chosen.opens}."
    )
    decorate: list[Option] = [
        click.argument("source", type=SCENARIO),
        run_options,
        *OPTIONS.get(chosen.name, ()),
        click.option(
            "-o", "--output", default=STDOUT, metavar="FILE",
            help="Write to FILE; - is standard output.",
        ),
        quiet_option,
    ]  # fmt: skip
    for option in reversed(decorate):
        export = option(export)
    return click.command(chosen.name)(export)


def refuse_what_cannot_be(chosen: Format, output: str) -> None:
    """Complain before anything has run: a package is missing, or a terminal would get bytes."""
    if missing := chosen.missing:
        raise Complaint(f"{chosen.name} {missing}", 2)
    if (chosen.binary or chosen.film) and output == STDOUT and sys.stdout.isatty():
        what = "binary" if chosen.binary else "long"
        raise Complaint(
            f"{chosen.name} is {what}, nothing for a terminal: name a file with -o FILE", 2
        )


def export_to(output: str, chosen: Format, source: Source, options: dict[str, Any]) -> None:
    """Run or read the source and write it; a file appears only when it is whole."""
    with opened_for(output) as file:
        _write(chosen, source, options, file)


@contextmanager
def opened_for(output: str) -> Iterator[BinaryIO]:
    """What `-o` names, to write bytes to; a file appears only when all went well."""
    if output == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        with whole_file(Path(output)) as file:
            yield file
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Complaint(f"{printable(output)}: cannot be written: {reason}", 2) from None


def write_pieces(pieces: Iterable[Piece], total: int, file: BinaryIO, told: Told) -> None:
    """Write a file piece by piece, telling how far it has come."""
    for done, data in pieces:
        told(done, total)
        if file is sys.stdout.buffer:
            make_room()
        file.write(data)
    file.flush()


def _write(chosen: Format, source: Source, options: dict[str, Any], file: BinaryIO) -> None:
    with progress(f"{chosen.name} of {source.name}") as shown:
        from pfviz.report.recording import record

        recording = record(source, shown.part(0, 2, f"reading {source.name}"))
        told = shown.part(1, 2, f"writing {chosen.name}")
        write_pieces(chosen.write(recording, **options), len(recording.log), file, told)
    if options.get("table") == "events" and chosen.name == "csv":
        from pfviz.report.spreadsheet import ROWS_MAX

        if len(recording.log) >= ROWS_MAX:
            say(f"pfviz: {len(recording.log):,} rows; a spreadsheet holds {ROWS_MAX:,}")
