"""The table of keys as text and data: a list, a keymap file to start from, a page of docs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import keys
from .key_words import spelled, spelled_key
from .keymap import Keymap


def objects(keymap: Keymap) -> list[dict[str, Any]]:
    """Every binding: id, keys as a file has them, what it does, group, screens."""
    return [
        {
            "id": key.id,
            "keys": written(key.keys),
            "label": key.label,
            "help": keymap.fill(key.help),
            "group": key.group,
            "screens": list(key.screens),
        }
        for key in keymap.table
    ]


def pairs(keymap: Keymap) -> Iterator[tuple[str, str]]:
    """(id and keys in columns, what it does) for a list of lines."""
    width = max(len(key.id) for key in keymap.table)
    keys_width = max(len(spelled(key.keys)) for key in keymap.table)
    for key in keymap.table:
        head = f"{key.id:<{width}}  {spelled(key.keys):<{keys_width}}  "
        yield head, keymap.fill(key.help)


def toml(keymap: Keymap) -> str:
    """A keymap file that has every binding with the keys it has now."""
    lines = [f'title = "{keymap.title}"', "", "[keys]"]
    for group in keys.GROUPS:
        lines += ["", f"# {group}"]
        for key in keymap.table:
            if key.group != group:
                continue
            if key.id == "pane.focus":
                lines += [
                    f'pane.{digit} = "{spelled_key(one)}"'
                    for digit, one in zip(keys.PANE_DIGITS, keymap.panes, strict=True)
                ]
            else:
                words = " ".join(written(key.keys))
                lines.append(f'{key.id} = "{words}"')
    return "\n".join((*lines, ""))


def written(words: str) -> list[str]:
    """Keys as a file has them: the characters themselves where a key types one."""
    found = []
    for key in filter(None, words.split(",")):
        shown = spelled_key(key)
        found.append(shown if shown.isascii() and shown.isprintable() else key)
    return found


def markdown(keymap: Keymap) -> str:
    """The tables of docs/keys.md, a group each."""
    parts = []
    for group in keys.GROUPS:
        rows = [f"## {group}", "", "| Key | Id | Where | What it does |", "|---|---|---|---|"]
        for key in keymap.table:
            if key.group == group:
                shown = spelled(key.keys).split(" ")
                said = " ".join(f"`{one}`" for one in shown).replace("|", "\\|")
                where = ", ".join(key.screens)
                rows.append(f"| {said} | `{key.id}` | {where} | {keymap.fill(key.help)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"
