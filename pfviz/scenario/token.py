"""A share token: one run, and the moment at which somebody looks at it, as a short word.

    pf1:smaps-monitor:0g4r2m81c7q0h5vn2k
    version, name, and what was changed about it, with a check of the whole

It is all that a run is made from. What is in the file of that name, others look at.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass
from typing import Any, Final

from pfviz.scenario import policies
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import NO_CHANGES, SEED_MAX, THREADS_MAX, Overrides
from pfviz.scenario.schema import MODES
from pfviz.scenario.token_bytes import Reader, Writer, bytes_of, letters_of

VERSION: Final = "pf1"
CHARACTERS_MAX: Final = 4096
"""Nothing this long is a token: a decision of who runs takes some four characters."""

_SHAPE: Final = re.compile(r"pf([0-9]{1,4}):", re.I)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]")
_ESCAPED: Final = re.compile(r"@([0-9a-f]{2})")
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""What mail programs and web pages put into long words."""

SWITCHES: Final = (
    "io_wait", "merge", "io_wait_file", "io_wait_swap", "io_wait_userfaultfd", "restart_lock",
    "uffd_notify", "page_table_free", "driver_opt_in", "map_pages_ahead", "thp", "fragmented",
    "lockless_scope", "lockless_snapshot", "lockless_fallback", "lockless_attempts",
    "fault_around", "downgrade", "tree_in_place",
)  # fmt: skip
"""Policies by number. New ones come at the end: a number keeps its meaning."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a run: after how many events, and where that is in its workload.

    The workload's place is for runs that turn out to be others: of a changed file, or by another
    pfviz. `check` is 16 bits of what happened until then (`report.share.log_check`).
    """

    events: int
    after_ns: int = 0
    """How long after the last of these events."""
    operations: int = 0
    faults: int = 0
    """Faults since the last operation."""
    check: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """What a token holds; `content` is 16 bits of what the scenario's world is made of."""

    name: str
    content: int
    overrides: Overrides = NO_CHANGES
    moment: Moment | None = None
    modes: tuple[str, ...] = ()
    """The modes that are compared; none when one run is looked at."""
    stop: tuple[int, int] | None = None
    """Of a talk: the scene and the stop in it, from 0."""

    def __str__(self) -> str:
        return encode(self)


class TokenError(ScenarioError):
    """A word that begins like a token and is none, or none that is known here."""

    def __init__(self, text: str, reason: str) -> None:
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        super().__init__(shown, 0, reason)


def is_token(text: str) -> bool:
    """Whether a word is meant to be a token (of any version, whole or damaged)."""
    return _SHAPE.match(_joined(text)) is not None


def encode(token: Token) -> str:
    """The token as a word of letters, digits and `:.-_@`, safe in shells, mails and addresses."""
    out = Writer()
    out.short(token.content)
    _write_overrides(out, token)
    name = "".join(char if _PLAIN.match(char) else _escape(char) for char in token.name)
    out.short(_check(name, bytes(out.bytes)))
    return f"{VERSION}:{name}:{letters_of(bytes(out.bytes))}"


def decode(text: str) -> Token:
    """The token that a word means; blanks and line breaks in it do not matter.

    Raises:
        TokenError: it is of another version, mistyped or cut off.
    """
    joined = _joined(text)
    shape = _SHAPE.match(joined)
    if shape is None:
        raise TokenError(joined, "is no share token: those begin with pf1:")
    if f"pf{int(shape[1])}" != VERSION:
        reason = f"is a token of another pfviz (pf{int(shape[1])}); this one reads {VERSION}"
        raise TokenError(joined, reason)
    name, _, letters = joined[shape.end() :].rpartition(":")
    try:
        if len(joined) > CHARACTERS_MAX:
            raise ValueError
        data = bytes_of(letters)
        if len(data) < 4 or _check(name, data[:-2]) != int.from_bytes(data[-2:], "big"):
            raise ValueError
        return _read(Reader(data[:-2]), _unescape(name))
    except ValueError:
        reason = "is no whole share token: a part is missing or mistyped"
        raise TokenError(joined, reason) from None


def _joined(text: str) -> str:
    return "".join(text.translate(_INVISIBLE).split())


def _check(name: str, data: bytes) -> int:
    """A cyclic check that tells every change of one character, or of two next to each other."""
    return crc_hqx(data, crc_hqx(f"{name}:".encode(), 0xFFFF))


def _escape(char: str) -> str:
    return "".join(f"@{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def _unescape(name: str) -> str:
    data = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name).encode("latin-1")
    text = data.decode()
    if not text or not text.isprintable():
        raise ValueError("no name")
    return text


# What follows the content: flags, then what they announce, in their order.

_MODE_BITS: Final = 2
(_KERNEL, _MOMENT, _POLICY, _SEED, _THREADS, _MACHINE, _UNTIL, _WITHOUT, _CHOICES, _COMPARED,
 _AFTER, _TALK) = (1 << bit for bit in range(_MODE_BITS, _MODE_BITS + 12))  # fmt: skip


def _write_overrides(out: Writer, token: Token) -> None:
    changes, moment = token.overrides, token.moment
    flags = 0 if changes.mode is None else 1 + MODES.index(changes.mode)
    for flag, is_set in (
        (_KERNEL, changes.kernel is not None),
        (_MOMENT, moment is not None),
        (_POLICY, bool(changes.policy)),
        (_SEED, changes.seed is not None),
        (_THREADS, changes.threads is not None),
        (_MACHINE, changes.machine is not None),
        (_UNTIL, changes.until_ns is not None),
        (_WITHOUT, bool(changes.without)),
        (_CHOICES, bool(changes.choices)),
        (_COMPARED, bool(token.modes)),
        (_AFTER, moment is not None and moment.after_ns > 0),
        (_TALK, token.stop is not None),
    ):
        flags |= flag if is_set else 0
    out.number(flags)
    if changes.kernel is not None:
        _write_kernel(out, changes.kernel)
    if moment is not None:
        for value in (moment.events, moment.operations, moment.faults):
            out.number(value)
        out.short(moment.check)
    if changes.policy:
        out.number(len(changes.policy))
        for name, choice in changes.policy:
            out.number(SWITCHES.index(name))
            values = policies.values_of(name)
            out.number(values.index(choice) if values else choice)
    for number in (changes.seed, changes.threads):
        if number is not None:
            out.number(number)
    if changes.machine is not None:
        out.text(changes.machine)
    if changes.until_ns is not None:
        out.number(changes.until_ns)
    if changes.without:
        out.text("\0".join(changes.without))
    _write_choices(out, changes.choices)
    if token.modes:
        out.number(len(token.modes))
        for mode in token.modes:
            out.number(MODES.index(mode))
    if moment is not None and moment.after_ns > 0:
        out.number(moment.after_ns)
    for number in token.stop or ():
        out.number(number)


def _write_choices(out: Writer, choices: tuple[tuple[int, int], ...]) -> None:
    if choices:
        out.number(len(choices))
        before = -1
        for number, choice in choices:
            out.number(number - before - 1)
            out.number(choice)
            before = number


def _read(data: Reader, name: str) -> Token:
    content = data.short()
    flags = data.number()
    mode = flags & (1 << _MODE_BITS) - 1
    if flags >= _TALK << 1 or mode > len(MODES):
        raise ValueError("flags that mean nothing")
    changes: dict[str, Any] = {"mode": MODES[mode - 1] if mode else None}
    if flags & _KERNEL:
        changes["kernel"] = _read_kernel(data)
    moment = [data.number() for _ in range(3)] if flags & _MOMENT else []
    check = data.short() if moment else 0
    if flags & _POLICY:
        changes["policy"] = tuple(_read_switch(data) for _ in range(data.number()))
    changes["seed"] = data.number() if flags & _SEED else None
    changes["threads"] = data.number() if flags & _THREADS else None
    changes["machine"] = data.text() if flags & _MACHINE else None
    changes["until_ns"] = data.number() if flags & _UNTIL else None
    if flags & _WITHOUT:
        changes["without"] = tuple(data.text().split("\0"))
    if flags & _CHOICES:
        changes["choices"] = _read_choices(data)
    _refuse_nonsense(changes)
    modes = tuple(_mode(data) for _ in range(data.number())) if flags & _COMPARED else ()
    after_ns = data.number() if flags & _AFTER else 0
    stop = (data.number(), data.number()) if flags & _TALK else None
    data.end()
    place = None
    if moment:
        events, operations, faults = moment
        place = Moment(events, after_ns, operations, faults, check)
    return Token(name, content, Overrides(**changes), place, modes, stop)


def _refuse_nonsense(changes: dict[str, Any]) -> None:
    """Hold a token to what the command line allows: somebody may have made it by hand."""
    for name, most in (("seed", SEED_MAX), ("threads", THREADS_MAX)):
        if (changes[name] or 0) > most:
            raise ValueError(f"{name} is too large")
    if 0 in (changes["threads"], changes["until_ns"]):
        raise ValueError("none at all")
    for name, value in changes.get("policy", ()):
        policies.checked(name, value)


def _mode(data: Reader) -> str:
    number = data.number()
    if number >= len(MODES):
        raise ValueError("no mode")
    return MODES[number]


def _read_switch(data: Reader) -> tuple[str, Any]:
    number, choice = data.number(), data.number()
    if number >= len(SWITCHES):
        raise ValueError("no switch")
    values = policies.values_of(SWITCHES[number])
    if values and choice >= len(values):
        raise ValueError("no value of that switch")
    return SWITCHES[number], values[choice] if values else choice


def _read_choices(data: Reader) -> tuple[tuple[int, int], ...]:
    choices, before = [], -1
    for _ in range(data.number()):
        before += data.number() + 1
        choices.append((before, data.number()))
    return tuple(choices)


def _write_kernel(out: Writer, kernel: str) -> None:
    """6.12 as one number, any other name as text after a 0."""
    major, point, minor = kernel.partition(".")
    if point and major.isdecimal() and minor.isdecimal() and kernel == f"{int(major)}.{int(minor)}":
        number = int(major) << 6 | int(minor)
        if 0 < int(major) < 1 << 20 and int(minor) < 1 << 6:
            out.number(number)
            return
    out.number(0)
    out.text(kernel)


def _read_kernel(data: Reader) -> str:
    number = data.number()
    return f"{number >> 6}.{number & 63}" if number else data.text()
