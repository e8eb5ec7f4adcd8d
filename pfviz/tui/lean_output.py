"""Escape sequences with what is said twice left out: the same picture in fewer bytes.

Textual dresses every piece of a line from nothing: colour, ground, text, reset. Neighbours mostly
share the ground, and blanks need no colour. Knows SGR only; all else passes as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.driver import Driver

_SGR: Final = re.compile(r"\x1b\[([0-9;]*)m")
_BASIC: Final = frozenset(str(code) for code in range(1, 10))
"""Bold, dim, italic, underline, blink, reverse, hidden, strike."""
_DRAWS_ON_BLANKS: Final = frozenset(["4", "7", "9", "21"])
"""Flags that show where there is no letter."""

Look = tuple[str, str, tuple[str, ...]]
"""Codes of the colour and of the ground, and the flags."""
PLAIN: Final[Look] = ("", "", ())


def lean(data: str) -> str:
    """The data with as few SGR codes as will do; it begins and ends without any look."""
    parts = _SGR.split(data)
    if len(parts) < 4:
        return data
    out = [parts[0]]
    asked = shown = PLAIN
    for at in range(1, len(parts), 2):
        look = _parsed(parts[at], asked)
        if look is None:  # Not ours, so nothing is known of it.
            return data
        asked = look
        text = parts[at + 1]
        if not text:
            continue
        if asked != shown:
            if text.isspace() and _same_blank(asked, shown):
                out.append(text)
                continue
            out.append(_change(shown, asked))
            shown = asked
        out.append(text)
    if shown != PLAIN:
        out.append("\x1b[0m")
    return "".join(out)


def _same_blank(one: Look, other: Look) -> bool:
    """Whether blanks look the same in both: their letters' colour does not show."""
    if one[1] != other[1]:
        return False
    return not (_DRAWS_ON_BLANKS.intersection(one[2]) or _DRAWS_ON_BLANKS.intersection(other[2]))


_KNOWN: Final[dict[str, Look | None]] = {}
_KNOWN_MAX: Final = 4096


def _parsed(codes: str, before: Look) -> Look | None:
    """The look after some codes; None when they say what we do not know."""
    if codes in ("", "0"):
        return PLAIN
    if before == PLAIN and codes in _KNOWN:
        return _KNOWN[codes]
    color, ground, flags = before
    parts = iter(codes.split(";"))
    look: Look | None
    for part in parts:
        if part in ("", "0"):
            color, ground, flags = PLAIN
        elif part in _BASIC:
            flags = flags if part in flags else tuple(sorted((*flags, part)))
        elif part in ("38", "48"):
            kind = next(parts, "")
            rest = [next(parts, "") for _ in range({"2": 3, "5": 1}.get(kind, 0))]
            if not rest or "" in rest:
                return None
            said = ";".join((part, kind, *rest))
            color, ground = (said, ground) if part == "38" else (color, said)
        elif part == "39":
            color = ""
        elif part == "49":
            ground = ""
        elif len(part) == 2 and part[0] in "39" and part[1] in "01234567":
            color = part
        elif (len(part) == 2 and part[0] == "4") or (len(part) == 3 and part[:2] == "10"):
            ground = part
        else:
            return None
    look = (color, ground, flags)
    if before == PLAIN and len(_KNOWN) < _KNOWN_MAX:
        _KNOWN[codes] = look
    return look


def _change(shown: Look, asked: Look) -> str:
    """The shortest codes from one look to another."""
    lost = (shown[0] and not asked[0]) or (shown[1] and not asked[1])
    if lost or not set(shown[2]) <= set(asked[2]):
        # Codes that take one thing away differ among old terminals; a reset does not.
        parts = ["0" if asked != PLAIN else "", *asked[2], asked[0], asked[1]]
        return f"\x1b[{';'.join(part for part in parts if part) or '0'}m"
    parts = [flag for flag in asked[2] if flag not in shown[2]]
    parts += [now for now, was in zip(asked[:2], shown[:2], strict=True) if now != was]
    return f"\x1b[{';'.join(parts)}m"


_NEWER: Final = re.compile(
    r"\x1b\](?:22|52);[^\x07]*\x07"  # the mouse pointer's shape, the clipboard
    r"|\x1b\[[<>][0-9]*u"  # a keyboard protocol
    r"|\x1b\[\?[0-9]+\$p"  # questions about modes
)
"""What an old terminal or a console does not know and might show as letters."""


def without_newer(data: str) -> str:
    """The data without what terminals of the last century never heard of."""
    return _NEWER.sub("", data)


def lean_driver(base: type[Driver], is_old: bool) -> type[Driver]:
    """A driver that writes lean escape sequences, and all else as `base` does.

    An old terminal gets nothing that it would not know.
    """

    class LeanDriver(base):  # type: ignore[misc, valid-type]
        def write(self, data: str) -> None:
            super().write(lean(without_newer(data) if is_old else data))

    return LeanDriver
