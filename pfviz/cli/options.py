"""Options that several verbs have, and the words they take, each with the nearest valid one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from pfviz.cli.input import piped
from pfviz.cli.progress import quiet_option
from pfviz.mm.presets import PRESETS
from pfviz.scenario import policies
from pfviz.scenario.errors import hint, printable, version_hint
from pfviz.scenario.machines import MACHINES, machine_kind
from pfviz.scenario.overrides import SEED_MAX, THREADS_MAX, Overrides
from pfviz.scenario.schema import MODES
from pfviz.scenario.times import nanoseconds

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # Not subscriptable before click 8.3.


class Word(ParamType):
    """One of some words."""

    def __init__(self, name: str, words: Iterable[str] | Callable[[], Iterable[str]]) -> None:
        """Words that are dear to find are given as a function, called when they are needed."""
        self.name = name
        self._words = words

    @property
    def words(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._words() if callable(self._words) else self._words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word, or an error with the nearest one."""
        text = str(value)
        if text not in self.words:
            self.fail(f'"{printable(text)}" is not known here{hint(text, self.words)}', param, ctx)
        return text

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class KernelName(Word):
    """The name of a kernel preset."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or an error with the version that is nearest by its number."""
        text = str(value)
        if text not in self.words:
            known = version_hint(text, self.words)
            self.fail(f'"{printable(text)}" is not known here{known}', param, ctx)
        return text


class MachineName(Word):
    """The name of a machine, or a size such as 2x16."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or an error with the nearest one."""
        try:
            machine_kind(str(value))
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)
        return str(value)


class Named(ParamType):
    """The name of something that a person may have made: checked where it is read."""

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in self.known() if name.startswith(incomplete)]

    def known(self) -> Iterable[str]:
        """All that can be named now."""
        raise NotImplementedError


class ThemeName(Named):
    """The name of a theme."""

    name = "theme"

    def known(self) -> Iterable[str]:
        """The themes that ship, and a person's own."""
        from pfviz.config.theme_files import theme_names

        return theme_names()


class KeymapName(Named):
    """The name of a keymap."""

    name = "keymap"

    def known(self) -> Iterable[str]:
        """The keymaps that ship, and a person's own."""
        from pfviz.config.keymap_files import keymap_names

        return keymap_names()


class Duration(ParamType):
    """A time with its unit; the value is in nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in nanoseconds, or an error that says how to write one."""
        try:
            ns = nanoseconds(str(value))
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)
        if not ns:
            self.fail("is no time at all", param, ctx)
        return ns


class PolicySwitch(ParamType):
    """NAME=VALUE, one of the switches of `[policy]`."""

    name = "name=value"

    def __init__(self, several: bool = False) -> None:
        self.several = several
        """Whether values may be given with commas between them; then the value is a tuple."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """The switch and its value, checked as in a scenario file."""
        name, _, text = str(value).partition("=")
        try:
            if self.several:
                found = [policies.parse(name, part) for part in text.split(",")]
                return found[0][0], tuple(one for _, one in found)
            return policies.parse(name, text)
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Switches that begin so."""
        return [
            CompletionItem(f"{switch.name}=", help=switch.meaning)
            for switch in policies.SWITCHES
            if switch.name.startswith(incomplete)
        ]


class ScenarioName(ParamType):
    """A file, "-", or the name of a scenario."""

    name = "scenario"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """The text as it is: opening it will tell more. A pipe becomes standard input."""
        if ctx is None or ctx.resilient_parsing:
            return str(value)  # The shell only asks for words to complete.
        return piped(str(value))

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Names that begin so, and files."""
        from pfviz.scenario.names import titles
        from pfviz.trace.samples import samples

        known = [*titles(), *((one.name, one.title) for one in samples())]
        items = [
            CompletionItem(name, help=title) for name, title in known if name.startswith(incomplete)
        ]
        return items or [CompletionItem(incomplete, type="file")]


SCENARIO = ScenarioName()
MODE = Word("mode", MODES)
KERNEL = KernelName("kernel", PRESETS)

_RUN_OPTIONS = (
    click.option("--kernel", type=KERNEL, envvar="PFVIZ_KERNEL", help="Kernel preset: 6.12, ..."),
    click.option("--mode", type=MODE, envvar="PFVIZ_MODE", help="mmap_lock, per-vma or lockless."),
)
_WORLD_OPTIONS = (
    click.option(
        "--machine", type=MachineName("machine", MACHINES), envvar="PFVIZ_MACHINE",
        help="laptop, server, ... or SOCKETSxCPUS.",
    ),
    click.option("--seed", type=click.IntRange(0, SEED_MAX), envvar="PFVIZ_SEED",
                 help="Who goes first among equals."),
    click.option("--threads", type=click.IntRange(1, THREADS_MAX), envvar="PFVIZ_THREADS",
                 help="How many of the threads that scale."),
    click.option("--until", type=Duration(), metavar="TIME",
                 help="End the run at this simulated time (20us)."),
    click.option("--without", multiple=True, metavar="THREAD", help="Leave a thread out."),
)  # fmt: skip
_POLICY = click.option("--policy", type=PolicySwitch(), multiple=True,
                       help="Change a switch of [policy]: merge=false.")  # fmt: skip
_POLICIES = click.option(
    "--policy", type=PolicySwitch(several=True), multiple=True,
    help="Change a switch, or compare its values: io_wait=restart,hold.",
)  # fmt: skip


def run_options(function: F) -> F:
    """--kernel, --mode and everything of `world_options`."""
    for option in reversed((*_RUN_OPTIONS, *_WORLD_OPTIONS, _POLICY)):
        function = option(function)
    return function


def compared_options(function: F) -> F:
    """--machine, --seed, --threads, --until, --without, and --policy with one value or several."""
    for option in reversed((*_WORLD_OPTIONS, _POLICIES)):
        function = option(function)
    return function


def data_options(function: F) -> F:
    """--json, -o and -q."""
    function = quiet_option(function)
    function = click.option(
        "-o", "--output", default="-", metavar="FILE", help="Write to FILE; - is standard output."
    )(function)
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def screen_options(function: F) -> F:
    """--plain, and what `look_options` gives."""
    function = look_options(function)
    said = "No screen: what happens, in sentences to be read aloud."
    return click.option("--plain", is_flag=True, help=said)(function)


def steps_option(function: F) -> F:
    """--steps."""
    said = "No screen: every step, or every event of a capture, a line each."
    return click.option("--steps", is_flag=True, help=said)(function)


def look_options(function: F) -> F:
    """--theme, --ascii, --fps, --keymap: None where nothing was said, so that settings count."""
    for option in reversed(
        (
            click.option("--theme", type=ThemeName(), help="Colours of the screen."),
            click.option("--ascii/--no-ascii", "ascii_only", default=None,
                         help="Only ASCII characters."),
            click.option("--fps", type=click.IntRange(1, 60), help="Pictures a second, at most."),
            click.option("--keymap", type=KeymapName(), help="Which keys do what: default, vim."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def overrides_of(options: dict[str, Any]) -> Overrides:
    """The changes that `run_options` or `world_options` collected; takes them out of the dict."""
    policy = dict(options.pop("policy", ()))
    return Overrides(
        kernel=options.pop("kernel", None),
        mode=options.pop("mode", None),
        machine=options.pop("machine", None),
        seed=options.pop("seed", None),
        threads=options.pop("threads", None),
        until_ns=options.pop("until", None),
        without=tuple(options.pop("without", ())),
        policy=tuple(sorted(policy.items())),
    )
