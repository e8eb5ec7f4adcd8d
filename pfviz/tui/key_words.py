"""How a key is written: in Textual's words, as a person writes it in a file, as a screen shows it.

Knows no binding and needs no terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from pfviz.scenario.errors import hint, printable

SPELLINGS: Final = {
    "space": "space", "right": "→", "left": "←", "up": "↑", "down": "↓", "full_stop": ".",
    "comma": ",", "shift+right": "shift+→", "shift+left": "shift+←", "less_than_sign": "<",
    "greater_than_sign": ">", "right_square_bracket": "]", "left_square_bracket": "[",
    "right_curly_bracket": "}", "left_curly_bracket": "{", "pagedown": "PgDn", "pageup": "PgUp",
    "home": "Home", "end": "End", "colon": ":", "slash": "/", "apostrophe": "'", "minus": "-",
    "plus": "+", "equals_sign": "=", "question_mark": "?", "f1": "F1",
    "f2": "F2", "shift+down": "shift+↓", "shift+up": "shift+↑", "dollar_sign": "$",
    "escape": "esc",
}  # fmt: skip
"""Textual's name -> what a screen shows, where the rule does not give it."""
SHORTER: Final = {
    "solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at",
    "hyphen_minus": "minus", "plus_sign": "plus", "low_line": "underscore",
}  # fmt: skip
"""Unicode's name of a character -> Textual's, where they are not the same."""
LONGER: Final = {short: name for name, short in SHORTER.items()}
NAMED: Final = (
    "up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete",
    "backspace", "enter", "escape", "tab", "space", *(f"f{number}" for number in range(1, 25)),
)  # fmt: skip
OTHER_WORDS: Final = {
    "esc": "escape", "return": "enter", "pgdn": "pagedown", "pgup": "pageup", "del": "delete",
    "ins": "insert", "←": "left", "→": "right", "↑": "up", "↓": "down", " ": "space",
    "bs": "backspace",
}  # fmt: skip
MODIFIERS: Final = ("ctrl", "alt", "shift")
UNBOUND: Final = "unbound"
"""In Textual's words: no key; a name that no terminal can send."""


def key_of(word: str) -> str:
    """A key as a person writes it, in Textual's words: `]`, `PgDn`, `ctrl+d`, `question_mark`.

    Raises:
        ValueError: there is no such key; names the nearest that there is.
    """
    *modifiers, name = [part for part in re.split(r"\+(?!$)", word) if part] or [word]
    for modifier in modifiers:
        if modifier.casefold() not in MODIFIERS:
            known = hint(modifier, MODIFIERS)
            raise ValueError(
                f'"{printable(modifier)}" in "{printable(word)}" is no key to hold{known}'
            )
    held = [one for one in MODIFIERS if one in {modifier.casefold() for modifier in modifiers}]
    base = _base(name, word)
    if len(base) == 1 and base.isalpha():
        # A terminal sends the capital; with ctrl it sends the same for both.
        if "ctrl" in held:
            base = base.lower()
        elif "shift" in held:
            base = base.upper()
            held.remove("shift")
    return "+".join((*held, base))


def _base(name: str, word: str) -> str:
    if name in OTHER_WORDS:
        return OTHER_WORDS[name]
    if len(name) == 1:
        if name.isalnum():
            return name
        unicode_name = unicodedata.name(name, "").lower().replace("-", "_").replace(" ", "_")
        if unicode_name:
            return SHORTER.get(unicode_name, unicode_name)
    folded = name.casefold()
    folded = OTHER_WORDS.get(folded, folded)
    if folded in NAMED or character(folded):
        return folded
    choices = [*NAMED[:15], *OTHER_WORDS]
    raise ValueError(f'"{printable(word)}" is no key{hint(folded, choices)}')


def character(key: str) -> str:
    """The character that a key types; empty for one that types none."""
    if len(key) == 1:
        return key
    if key == "space":
        return " "
    if key in NAMED:  # Unicode knows some of them too, as controls.
        return ""
    try:
        return unicodedata.lookup(_unicode_name(key))
    except KeyError:
        return ""


def _unicode_name(key: str) -> str:
    name = LONGER.get(key, key)
    # Only these of the names in use have a hyphen where Textual writes an underscore.
    hyphens = {"less_than_sign": "LESS-THAN SIGN", "greater_than_sign": "GREATER-THAN SIGN",
               "hyphen_minus": "HYPHEN-MINUS"}  # fmt: skip
    return hyphens.get(name, name.replace("_", " ").upper())


def spelled_key(key: str) -> str:
    """One key as a screen shows it: `right_square_bracket` is `]`."""
    if key in SPELLINGS:
        return SPELLINGS[key]
    held, _, base = key.rpartition("+")
    if held:
        return f"{held}+{spelled_key(base)}"
    if re.fullmatch(r"f\d+", key):
        return key.upper()
    return character(key).strip() or key


def spelled(keys: str) -> str:
    """Keys with commas between them, as a person reads them: `right,l` is `→ l`."""
    if keys == "1,2,3,4,5,6,7,8,9":
        return "1…9"
    return " ".join(map(spelled_key, keys.split(","))) if keys else "no key"


def first_typed(keys: str, while_typing: bool = False) -> str:
    """The first of some keys, or while a line is being typed the first that types nothing."""
    listed: Iterable[str] = filter(None, keys.split(","))
    if while_typing:
        listed = (key for key in listed if not character(key))
    return next(iter(listed), "")
