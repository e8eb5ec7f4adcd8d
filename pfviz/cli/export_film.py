"""`pfviz export cast`, `svg`, `html`: what the screen shows, as a film or a picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import click

from pfviz.cli.export import opened_for, refuse_what_cannot_be, write_pieces
from pfviz.cli.input import run_to_read
from pfviz.cli.options import (
    MODE,
    SCENARIO,
    Duration,
    ParamType,
    ThemeName,
    Word,
    overrides_of,
    run_options,
)
from pfviz.cli.output import STDOUT, say
from pfviz.cli.progress import progress, quiet_option
from pfviz.config.theme_files import palette_of
from pfviz.report.camera import Size
from pfviz.report.formats import Format
from pfviz.report.recording import record
from pfviz.report.reel import SECOND_US
from pfviz.report.shoot import FPS, LAYOUTS, SIZE, Wish, compared_film, film_of, talk_film
from pfviz.report.stage_film import TIME
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import NO_CHANGES
from pfviz.scenario.schema import MODES
from pfviz.scenario.talk import Talk
from pfviz.sim.told import part
from pfviz.views.glyphs import ASCII, UNICODE
from pfviz.views.spots import parse_spot

STILL: Final = "svg"
"""The format that can be of one moment, and is unless a stretch is asked for."""
MOVING_US_MAX: Final = 90 * SECOND_US
WIDTH_MAX, HEIGHT_MAX = 400, 200
_CELLS: Final = re.compile(r"([0-9]{1,4})[x×]([0-9]{1,4})")


class Cells(ParamType):
    """COLUMNSxLINES, such as 100x31."""

    name = "columns x lines"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """The size, or an error that says what it can be."""
        if isinstance(value, Size):
            return value
        match = _CELLS.fullmatch(str(value).strip())
        if match is None:
            self.fail(f'"{printable(str(value))}" is not a size such as 80x24', param, ctx)
        size = Size(int(match[1]), int(match[2]))
        if not (24 <= size.width <= WIDTH_MAX and 6 <= size.height <= HEIGHT_MAX):
            self.fail(f"it is one of 24x6 to {WIDTH_MAX}x{HEIGHT_MAX}", param, ctx)
        return size


class Place(ParamType):
    """A place in a run: 412, 12.4us, 50%, cue 2, end."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if it can be a place; whether the run has it is seen later."""
        if value == "":
            return ""
        try:
            parse_spot(str(value))
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)
        return str(value)


class Modes(ParamType):
    """Two or three lock modes, with commas between them."""

    name = "modes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The modes, or an error with the nearest one."""
        if isinstance(value, tuple):
            return value
        modes = tuple(MODE.convert(word.strip(), param, ctx) for word in str(value).split(","))
        if not 2 <= len(set(modes)) == len(modes):
            self.fail(f'"{printable(str(value))}": name two or three of {", ".join(MODES)}',
                      param, ctx)  # fmt: skip
        return modes


Option = Callable[[Any], Any]

_AT = click.option(
    "--at", type=Place(), default="", metavar="PLACE",
    help='A picture of this moment: 12.4us, 412 (a step), 50%, "cue 2", end.',
)  # fmt: skip
_FILM: Final[tuple[Option, ...]] = (
    click.option("--from", "begin", type=Place(), default="", metavar="PLACE",
                 help='Begin here: 12.4us, 412, 50%, "cue 2".'),
    click.option("--to", "end", type=Place(), default="", metavar="PLACE", help="End here."),
    click.option("--speed", type=Duration(), metavar="TIME",
                 help="Simulated time in a second (20us); the scenario's own."),
    click.option("--fps", type=click.IntRange(1, 60), default=FPS, show_default=True,
                 help="Pictures a second."),
    click.option("--size", type=Cells(), default=f"{SIZE.width}x{SIZE.height}",
                 show_default=True, metavar="WxH", help="Columns and lines."),
    click.option("--theme", type=ThemeName(), default="dark", show_default=True,
                 help="Colours: dark, light, contrast, projector, ..."),
    click.option("--ascii", "ascii_only", is_flag=True, help="Only ASCII characters."),
    click.option("--layout", type=Word("layout", LAYOUTS), default=LAYOUTS[0],
                 show_default=True, help="lab: all panes; stage: few and large."),
    click.option("--compare", type=Modes(), default=(), metavar="MODES",
                 help="Lock modes side by side: mmap_lock,per-vma."),
    click.option("--align", type=Word("align", (TIME, "work")), default=TIME, show_default=True,
                 help="Compared runs stand at the same time, or where as much work is done."),
)  # fmt: skip
_OUTPUT = click.option("-o", "--output", default=STDOUT, metavar="FILE",
                       help="Write to FILE; - is standard output.")  # fmt: skip

EXAMPLES: Final = {
    "cast": """
    pfviz export cast smaps-monitor -o monitor.cast && asciinema play monitor.cast
    pfviz export cast fault-storm --mode mmap_lock --from 5us --to 20us --size 120x36 -o storm.cast
    pfviz export cast talk-3min -o talk.cast                   a whole talk
    """,
    "svg": """
    pfviz export svg smaps-monitor --at "cue 2" -o moment.svg
    pfviz export svg fault-storm --from 2us --to 12us --fps 5 -o storm.svg     moves by itself
    pfviz export svg smaps-monitor --compare mmap_lock,per-vma --at 2ms -o two.svg
    """,
    "html": """
    pfviz export html smaps-monitor -o monitor.html
    pfviz export html talk-3min --theme light -o talk.html     a whole talk
    """,
}


def command_for(chosen: Format) -> click.Command:
    """The command that writes one format of films."""

    def export(source: str, output: str, **options: Any) -> None:
        overrides = overrides_of(options)
        modes = options.pop("compare")
        refuse_what_cannot_be(chosen, output)
        wish = _wish(chosen, options)
        opened = run_to_read(source, overrides)
        if opened.talk is not None:
            is_changed = overrides != NO_CHANGES or bool(modes)
            _export_talk(chosen, opened.talk, output, wish, is_changed)
            return
        modes = modes or opened.modes
        if opened.capture is not None and (overrides != NO_CHANGES or modes):
            say("pfviz: a capture has happened: --kernel, --mode and the like change nothing")
        sources = [opened]
        if modes and opened.capture is None:
            base = opened.overrides.and_also(choices=())
            sources = [replace(opened, overrides=base.and_also(mode=mode)) for mode in modes]
        with opened_for(output) as file, progress(f"{chosen.name} of {opened.name}") as shown:
            heard = shown.part(0, 2, f"reading {opened.name}")
            recordings = [
                record(one, part(heard, number, len(sources))) for number, one in enumerate(sources)
            ]
            try:
                film = compared_film(recordings, modes, wish) if modes else film_of(
                    recordings[0], wish)  # fmt: skip
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            told = shown.part(1, 2, f"writing {chosen.name}")
            write_pieces(chosen.writer()(film), len(film), file, told)

    examples = "\n".join(line.strip() for line in EXAMPLES[chosen.name].strip().splitlines())
    export.__doc__ = (
        f"{chosen.about} SOURCE is a scenario, a talk or a capture (a name, a file or -).\n\n"
        f"Opens in: {chosen.opens}.\n\n\b\n{examples}"
    )
    still = (_AT,) if chosen.name == STILL else ()
    decorate = [
        click.argument("source", type=SCENARIO), run_options, *still, *_FILM, _OUTPUT, quiet_option,
    ]  # fmt: skip
    for option in reversed(decorate):
        export = option(export)
    return click.command(chosen.name)(export)


def _export_talk(chosen: Format, talk: Talk, output: str, wish: Wish, is_changed: bool) -> None:
    """Write the film of a whole talk, which is always of the stage."""
    if is_changed or wish.at or wish.begin or wish.end:
        raise click.UsageError("a talk is exported as it is: its file says what it shows")
    with opened_for(output) as file, progress(f"{chosen.name} of {talk.name}") as shown:
        film = talk_film(talk, wish, shown.part(0, 2, f"running {talk.name}"))
        if chosen.name == STILL and film.lasts_us > MOVING_US_MAX:
            raise click.UsageError(
                f"the talk takes {film.lasts_us // SECOND_US} seconds: too long for a picture that"
                " moves; take cast or html, or a scenario of it"
            )
        told = shown.part(1, 2, f"writing {chosen.name}")
        write_pieces(chosen.writer()(film), len(film), file, told)


def _wish(chosen: Format, options: dict[str, Any]) -> Wish:
    is_still = chosen.name == STILL and not (options["begin"] or options["end"])
    if options.get("at") and (options["begin"] or options["end"]):
        raise click.UsageError("--at is one moment, --from and --to are a stretch: not both")
    return Wish(
        is_still=is_still,
        at=options.get("at", ""),
        begin=options["begin"],
        end=options["end"],
        speed_ns=options["speed"] or 0,
        fps=options["fps"],
        size=options["size"],
        palette=palette_of(options["theme"]),
        glyphs=ASCII if options["ascii_only"] else UNICODE,
        layout=options["layout"],
        align=options["align"],
    )
