"""`pfviz bench`: how fast pfviz itself is, as ratios that do not depend on the machine."""

from __future__ import annotations

import click

from pfviz.cli.options import Word, data_options
from pfviz.cli.output import STDOUT, write, write_json
from pfviz.cli.progress import progress


def _parts() -> tuple[str, ...]:
    from pfviz.bench.suite import SUITE

    return tuple(SUITE)


@click.command("bench")
@click.argument("parts", nargs=-1, type=Word("part", _parts))
@data_options
def command(parts: tuple[str, ...], output: str, **options: bool) -> None:
    """Measure how fast pfviz itself is: all PARTS, or those named."""
    from pfviz.bench.suite import SUITE, as_json, as_line, measure

    wants_json = options["as_json"]
    found = []
    parts = parts or tuple(SUITE)
    with progress("measuring", patience_s=0.0) as shown:
        for number, part in enumerate(parts):
            shown.part(number, len(parts), f"measuring {part} ({number + 1} of {len(parts)})")
            for measurement in measure((part,)):
                found.append(measurement)
                if not wants_json and output == STDOUT:
                    write(as_line(measurement) + "\n")  # Each as soon as it is there.
                shown(number, len(parts))
    if wants_json:
        write_json(as_json(found), output)
    elif output != STDOUT:
        write("".join(as_line(measurement) + "\n" for measurement in found), output)
