"""What is wrong with a scenario, in one line a person can act on; and the nearest valid word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

_LISTED_MAX: Final = 12
_MINOR_MAX: Final = 30
"""No kernel has a greater second number (2.6 apart, the last ones were x.19 or x.20): a typo."""


class ScenarioError(Exception):
    """A scenario that cannot be used: `source:line: what is wrong`, never more than one line.

    `exit_code` is 2 where the words are wrong, 3 where there is no text to read.
    """

    def __init__(self, source: str, line: int, reason: str, exit_code: int = 2) -> None:
        where = f"{source}:{line}" if line else source
        super().__init__(printable(f"{where}: {reason}"))
        self.source = source
        self.line = line
        self.reason = printable(reason)
        self.exit_code = exit_code


def printable(text: str) -> str:
    """Return `text` on one line and without any character that could act on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be; None when nothing is near."""
    known = sorted(set(choices))
    by_folded = {choice.casefold().replace("_", "-"): choice for choice in reversed(known)}
    folded = word.casefold().replace("_", "-")
    if folded in by_folded:
        return by_folded[folded]
    near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.55)
    if near:
        return by_folded[near[0]]
    # A part of a compound ("helo" for "hello-fault"), or its beginning.
    for begins in (True, False):
        for choice in known:
            parts = choice.casefold().replace("_", "-").split("-")
            begun = len(folded) > 1 and parts[0].startswith(folded)
            if begun if begins else difflib.get_close_matches(folded, parts, n=1, cutoff=0.75):
                return choice
    return None


def hint(word: str, choices: Iterable[str]) -> str:
    """`; did you mean "smaps"?`, or `; it is one of a, b, c` when nothing is near."""
    known = sorted(set(choices))
    near = nearest(word, known)
    if near is not None:
        return f'; did you mean "{near}"?'
    if len(known) > _LISTED_MAX:
        known[_LISTED_MAX:] = [f"and {len(known) - _LISTED_MAX} more"]
    return f"; it is one of {', '.join(known)}" if known else ""


def version_hint(word: str, versions: Iterable[str]) -> str:
    """`; the nearest is "6.12"`: the newest of those that are not newer."""
    # Oldest first; what is no number ("beyond") comes after them all and is near to nothing.
    known = sorted(set(versions), key=lambda one: (_version_number(one) < 0, _version_number(one)))
    wanted = _version_number(word)
    if wanted < 0:
        near_word = nearest(word, known)
        return (
            f'; did you mean "{near_word}"?' if near_word else f"; it is one of {', '.join(known)}"
        )
    if wanted % 1000 > _MINOR_MAX and (near_word := _begun_by(word.strip().casefold(), known)):
        return f'; did you mean "{near_word}"?'
    numbered = [version for version in known if _version_number(version) >= 0]
    # A kernel does what the newest one does that is not newer: 6.14 is like 6.12, not like 6.15.
    near = ([numbered[0], *(one for one in numbered if _version_number(one) <= wanted)])[-1]
    return f'; the nearest is "{near}" of {", ".join(known)}'


def _begun_by(word: str, versions: Iterable[str]) -> str | None:
    """The longest of the versions that `word` begins with: 6.6 for 6.66."""
    return max((one for one in versions if word.removeprefix("v").startswith(one)),
               key=len, default=None)  # fmt: skip


def _version_number(text: str) -> int:
    """A version as one number to take distances of; -1 when it is none."""
    match = re.fullmatch(r"v?([0-9]{1,3})\.([0-9]{1,3})(?:[.-].*)?", text.strip().casefold())
    return int(match[1]) * 1000 + int(match[2]) if match else -1
