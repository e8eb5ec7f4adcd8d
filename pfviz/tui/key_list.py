"""The table of keys as text and data: a list, a keymap file to start from, a page of docs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from pfviz.config.keymap_files import read_keymap, shipped_folder

from . import keys
from .key_words import spelled, spelled_key
from .keymap import Keymap, laid_over


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


def page() -> str:
    """docs/keys.md: every key of the default keymap, and what the other ones that ship change."""
    named = read_keymap(shipped_folder() / "vim.toml")
    default, vim = Keymap(), laid_over(named.keys, named=named)
    groups = "\n\n".join(_group(default, group) for group in keys.GROUPS)
    changed = [
        f"| {_code(now.keys)} | {_code(was.keys)} | `{now.id}` | {now.label} |"
        for now, was in zip(vim.table, default.table, strict=True)
        if now.keys != was.keys
    ]
    return "\n".join((HEAD, groups, "", VIM.format(title=vim.title), *changed, ""))


def _group(keymap: Keymap, group: str) -> str:
    rows = [f"## {group}", "", "| Key | What it does | Where | Id |", "|---|---|---|---|"]
    rows += [
        f"| {_code(key.keys)} | {keymap.fill(key.help)} | {', '.join(key.screens)} | `{key.id}` |"
        for key in keymap.table
        if key.group == group
    ]
    return "\n".join(rows)


def _code(words: str) -> str:
    shown = (spelled_key(one).replace("|", "\\|") for one in words.split(",") if one)
    return " ".join("`` ` ``" if one == "`" else f"`{one}`" for one in shown)


HEAD: Final = """\
# Keys

`make docs` writes this page from the table that all screens are made from (`pfviz/tui/keys.py`).
`?` shows the same on the screen, and `ctrl+p` finds an action by its name.

Every key can be changed by its id: see [configuring.md](configuring.md). `pfviz config keys` lists
the keys that you have now.
"""
VIM: Final = """\
## The vim keymap

{title} `pfviz play NAME --keymap vim` takes it once, and
`keymap = "vim"` in the configuration keeps it. What it does not name has the key above.

| Key in vim | Key above | Id | What it does |
|---|---|---|---|"""

if __name__ == "__main__":
    sys.stdout.write(page())
