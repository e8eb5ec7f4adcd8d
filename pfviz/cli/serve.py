"""`pfviz serve`: pfviz on a web page, for this machine unless somebody says otherwise twice."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from pfviz.cli.input import run_to_read
from pfviz.cli.options import SCENARIO, look_options, overrides_of, run_options
from pfviz.cli.output import Complaint, leave, say
from pfviz.cli.play import MATRIX
from pfviz.scenario.documents import STDIN
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.policies import word
from pfviz.scenario.token import is_token

if TYPE_CHECKING:
    from socket import socket

LOOPBACK: Final = "127.0.0.1"
EXPOSED: Final = """\
pfviz: warning: whoever reaches {places} starts pfviz processes on this machine, as you,
pfviz: warning: without a password and without encryption. Only where you trust everybody.
pfviz: warning: From elsewhere without --expose: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"""
PASSED_ON: Final = ("kernel", "mode", "machine", "seed", "threads", "until", "without", "policy",
                    "compare")  # fmt: skip
LOOKS: Final = {"theme": "PFVIZ_THEME", "ascii_only": "PFVIZ_ASCII", "fps": "PFVIZ_FPS",
                "keymap": "PFVIZ_KEYMAP"}  # fmt: skip
"""How it looks is said by the environment, which the gallery heeds as well."""


@click.command("serve")
@click.argument("source", type=SCENARIO, required=False, default="")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="A free one if left out.")
@click.option("--host", default=LOOPBACK, metavar="NAME", help="Where to listen; 127.0.0.1.")
@click.option("--expose", is_flag=True, help="Let other machines in. Read the warning.")
@click.option("--public-url", default="", metavar="URL", help="Where a proxy shows this page.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@click.option("--compare", is_flag=True, help="Begin with the lock modes side by side.")
@run_options
@look_options
@click.pass_context
def command(ctx: click.Context, /, source: str, port: int, host: str, expose: bool,
            public_url: str, open_page: bool, **options: Any) -> None:  # fmt: skip
    """Show SOURCE (or the gallery) on a web page; each visitor has a pfviz of their own.

    It listens on this machine only, and is for who sits there. Needs pip install 'pfviz[web]'.

    \b
    pfviz serve                                  the gallery
    pfviz serve smaps-monitor --port 8000 --open
    """
    if importlib.util.find_spec("textual_serve") is None:
        raise Complaint("serve needs one more package: pip install 'pfviz[web]'", 2)
    _check_public(public_url)
    arguments = _arguments(ctx, source, overrides_of(options))
    for name, variable in LOOKS.items():
        if options[name] is not None:
            os.environ[variable] = str(
                int(options[name]) if name == "ascii_only" else options[name]
            )
    sockets = _listen(host, port, expose)
    port = sockets[0].getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    if expose:
        say(EXPOSED.format(places=url, port=port))
    shown = printable(source) or "the gallery"
    say(f"pfviz: {printable(public_url) or url} shows {shown}; Ctrl-C ends it")
    if open_page:
        click.launch(public_url or url)
    leave(_serve(arguments, sockets, host, public_url, expose))


def _check_public(url: str) -> None:
    """Complain of what is no address of a page: a browser that asks by it would be turned away."""
    from pfviz.serve.addresses import HTTP_PORTS, host_and_port

    if url and (url.partition(":")[0].casefold() not in HTTP_PORTS or host_and_port(url) is None):
        reason = f'--public-url "{printable(url)}" is no address such as https://faults.example/'
        raise Complaint(reason, 2)


def _serve(
    arguments: list[str], sockets: list[socket], host: str, public_url: str, expose: bool
) -> int:
    """Serve until a signal comes; the exit code."""
    from pfviz.serve.addresses import Names
    from pfviz.serve.server import PageServer

    names = Names.of(host, sockets[0].getsockname()[1], public_url, expose)
    return asyncio.run(PageServer(arguments, names).serve_on(sockets))


def _listen(host: str, port: int, expose: bool) -> list[socket]:
    """Sockets to listen on; Complaint for what others can reach, unless it is meant."""
    from pfviz.serve.addresses import AddressError, is_loopback, listen, resolved

    shown = printable(host)
    try:
        addresses = resolved(host)
        open_to_all = [one for one in addresses if not is_loopback(one)]
        if open_to_all and not expose:
            which = "" if open_to_all[0] == host else f" ({open_to_all[0]})"
            raise Complaint(
                f'--host "{shown}"{which} would let other machines run pfviz as you; --expose does '
                "it all the same, and `ssh -L` needs no such thing (see docs/web.md)", 2,
            )  # fmt: skip
        return listen(addresses, port)
    except AddressError as error:
        raise Complaint(f'--host "{shown}", port {port}: {error}', 2) from None


def _arguments(ctx: click.Context, source: str, overrides: Overrides) -> list[str]:
    """The command line of each visitor's pfviz: what was said to this one."""
    said = [
        part
        for param in ctx.command.params
        if param.name in PASSED_ON
        and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        for part in _option(param, ctx.params[param.name])
    ]
    if not source:
        if said:
            raise Complaint(f"{said[0]} is about a run: name a SOURCE, too", 2)
        return []
    if source == STDIN:
        raise Complaint("every visitor's pfviz reads SOURCE anew: a pipe cannot be read twice", 2)
    if source == MATRIX and not Path(source).exists():
        return ["play", *said, "--", source]
    run_to_read(source, overrides)  # What is wrong with it is said now, not on a page.
    here = Path(source)
    is_file = not is_token(source) and here.is_file()
    return ["play", *said, "--", str(here.resolve()) if is_file else source]


def _option(param: click.Parameter, value: Any) -> list[str]:
    """An option as it is typed."""
    name = max(param.opts, key=len)
    if value is True:
        return [name]
    if param.name == "policy":
        return [part for key, one in value for part in (name, f"{key}={word(one)}")]
    if param.name == "until":
        return [name, f"{value}ns"]
    if param.multiple if isinstance(param, click.Option) else False:
        return [part for one in value for part in (name, str(one))]
    return [name, str(value)]
