"""The keys that count: the table of all bindings with a keymap and single keys laid over it.

Everything that names a key on the screen asks here; nothing here acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from pfviz.config.keymap_files import DEFAULT, NamedKeymap, keymap_named
from pfviz.config.resolve import LAYERS, Origin, Resolved
from pfviz.scenario.errors import ScenarioError, hint, printable

from . import keys
from .key_words import UNBOUND, first_typed, key_of, spelled, spelled_key
from .keys import KEYS, PANE_DIGITS, SECOND, Key

ALWAYS_QUITS: Final = "ctrl+q"
RESERVED: Final = {"ctrl+c": "interrupts pfviz", ALWAYS_QUITS: "quits pfviz"}
"""Keys that do the same everywhere, so that there is always a way out."""
WORDS: Final = ("esc", "space", "enter", "tab")
_MARKER: Final = re.compile(r"\{([a-z_.-]+)\}")


@dataclass(frozen=True)
class Keymap:
    """All bindings with the keys that they have now."""

    name: str = DEFAULT
    title: str = ""
    table: tuple[Key, ...] = KEYS
    panes: tuple[str, ...] = PANE_DIGITS
    """The keys of the panes, 1 to 9."""

    @cached_property
    def by_id(self) -> Mapping[str, Key]:
        """Binding id -> the binding."""
        return {key.id: key for key in self.table}

    def of(self, screen: str) -> Iterator[Key]:
        """The keys that act on a screen, in the table's order."""
        return keys.keys_of(screen, self.table)

    def changes(self) -> dict[str, str]:
        """Binding id -> keys in Textual's words, of all that have other keys than in the table."""
        found = {
            now.id: now.keys or UNBOUND
            for now, was in zip(self.table, KEYS, strict=True)
            if now.keys != was.keys and now.id != "pane.focus"
        }
        for digit, key in zip(PANE_DIGITS, self.panes, strict=True):
            if key != digit:
                found[f"pane.{digit}"] = key or UNBOUND
        return found

    def listed(self, group: str) -> list[tuple[str, str]]:
        """(keys as a person reads them, what they do) of one group; `gg` stands with its whole."""
        return [(said, self.fill(text)) for said, text in keys.listed(group, self.table)]

    def spelled_of(self, name: str, while_typing: bool = False) -> str:
        """The first key of a binding as a person reads it; `no key` when it has none.

        `while_typing`: the first that does not type a letter where a line has the focus.
        """
        key = first_typed(self.by_id[name].keys, while_typing)
        return spelled(key) * 2 if name in SECOND.values() and key else spelled(key)

    def fill(self, text: str) -> str:
        """`{go.end} goes to the end` with the key in the place of the binding's id."""

        def key(found: re.Match[str]) -> str:
            if found[1] not in self.by_id:
                return found[0]
            said = self.spelled_of(found[1])
            # A sentence may begin with a word such as esc; `esc: stop` is none.
            begins = not found.start() and not text[found.end() :].startswith(":")
            return said.capitalize() if begins and said in WORDS else said

        return _MARKER.sub(key, text)

    def hints(
        self, listed: Iterable[tuple[str, str]], while_typing: bool = False
    ) -> list[tuple[str, str, str]]:
        """(key, what it does, action) of (binding id, what it does); other words stay as they are.

        A binding without a key to show is left out: the palette has it.
        """
        found = []
        for name, label in listed:
            key = self.by_id.get(name)
            if key is None:
                found.append((name, label, ""))
            elif key.hint and not while_typing:
                found.append((key.hint, label, key.action))
            elif first_typed(key.keys, while_typing):
                found.append((self.spelled_of(name, while_typing), label, key.action))
        return found


def keymap_of(resolved: Resolved) -> Keymap:
    """The keymap that the settings name, with their single keys over it.

    Raises ScenarioError (exit code 2): no such keymap, binding or key, or a key means two things
    on one screen.
    """
    named = _named(resolved)
    given = {one: Origin("default", str(named.path), named.lines.get(one, 0)) for one in named.keys}
    words = dict(named.keys)
    for name, one in resolved.rebindings().items():
        words[name], given[name] = one, resolved.origins[f"keys.{name}"]
    return laid_over(words, given, named)


def _named(resolved: Resolved) -> NamedKeymap:
    name = resolved.settings.keymap
    try:
        return keymap_named(name)
    except ScenarioError as error:
        if error.source == name:  # There is none: say where it was asked for.
            raise resolved.origins["keymap"].mistake(error.reason) from None
        raise


def laid_over(
    words: Mapping[str, Sequence[str]],
    given: Mapping[str, Origin] | None = None,
    named: NamedKeymap | None = None,
) -> Keymap:
    """The table with other keys for some bindings; `given` says where each was asked for.

    Raises ScenarioError (exit code 2) as `keymap_of`.
    """
    given = dict.fromkeys(words, Origin("flag", "keymap")) | dict(given or {})
    known = {key.id for key in KEYS} - {"pane.focus"} | {f"pane.{one}" for one in PANE_DIGITS}
    made: dict[str, str] = {}
    for name, listed in words.items():
        origin = given[name]
        if name not in known:
            reason = f'keys: no binding is called "{printable(name)}"{hint(name, known)}'
            raise origin.mistake(reason)
        try:
            made[name] = ",".join(map(key_of, listed))
        except ValueError as error:
            raise origin.mistake(f"{name}: {error}") from None
        _refuse_reserved(name, made[name], origin)
    if "quit" in made and ALWAYS_QUITS not in made["quit"].split(","):
        made["quit"] = ",".join(filter(None, (made["quit"], ALWAYS_QUITS)))
    panes = tuple(made.get(f"pane.{digit}", digit) for digit in PANE_DIGITS)
    table = tuple(_rehinted(key, made) for key in (_with_keys(key, made, panes) for key in KEYS))
    keymap = Keymap(
        named.name if named else DEFAULT, named.title if named else "", table, panes
    )  # fmt: skip
    for screen in keys.SCREENS:
        _refuse_clash(keymap, screen, given)
    return keymap


def _with_keys(key: Key, made: Mapping[str, str], panes: tuple[str, ...]) -> Key:
    if key.id == "pane.focus":
        return replace(key, keys=",".join(filter(None, panes)))
    return replace(key, keys=made[key.id]) if key.id in made else key


def _rehinted(key: Key, made: Mapping[str, str]) -> Key:
    """The hint in the words of the new keys: `←/→` of two bindings, one of which was changed."""
    names = (*((key.beside,) if key.beside else ()), key.id)
    if not key.hint or not any(name in made for name in names):
        return key
    plain = {one.id: first_typed(one.keys) for one in KEYS}
    firsts = [first_typed(made[name]) if name in made else plain[name] for name in names]
    if firsts == [plain[name] for name in names]:
        return key
    return replace(key, hint="/".join(spelled_key(first) for first in firsts if first))


def _refuse_reserved(name: str, made: str, origin: Origin) -> None:
    for key in made.split(","):
        if key in RESERVED and not (name == "quit" and key == ALWAYS_QUITS):
            raise origin.mistake(f"{name}: {key} {RESERVED[key]}, whatever a keymap says")


def _refuse_clash(keymap: Keymap, screen: str, given: Mapping[str, Origin]) -> None:
    meant: dict[str, str] = {}
    for key in keymap.of(screen):
        pairs = [(one, key.id) for one in key.keys.split(",") if one]
        if key.id == "pane.focus":
            pairs = [(one, f"pane.{digit}") for digit, one in zip(PANE_DIGITS, keymap.panes,
                                                                  strict=True) if one]  # fmt: skip
        for one, name in pairs:
            other = meant.setdefault(one, name)
            if other == name:
                continue
            # Who asked last is told, and that is a single key before a key of a keymap.
            free, asked = sorted((name, other), key=lambda one: _rank(given.get(one)))
            raise given[asked].mistake(
                f'{asked}: "{spelled_key(one)}" would mean both {asked} and {free} '
                f"{keys.SCREENS[screen]}; give {free} another key"
            )


def _rank(origin: Origin | None) -> int:
    return -1 if origin is None else LAYERS.index(origin.layer)
