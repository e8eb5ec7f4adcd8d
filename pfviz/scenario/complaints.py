"""Errors of `tomllib` and `msgspec`, said again in the words of the file: line, key, way out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from msgspec import inspect

from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.positions import Path, line_of, positions
from pfviz.scenario.schema import Scenario
from pfviz.scenario.times import PATTERN

_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?", re.S)
_PART: Final = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.S)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`", re.S)
_INVALID: Final = re.compile(r"Invalid (?:enum )?value '?(.*?)'?", re.S)
_WRONG_TYPE: Final = re.compile(r"Expected `(.*)`, got `(.*)`", re.S)
_TOML_AT: Final = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column \d+\)", re.S)
_TYPES: Final = {
    "str": "text in quotes", "int": "a whole number", "bool": "true or false", "float": "a number",
    "array": "a list", "object": "a table", "null": "nothing",
}  # fmt: skip


def not_toml(source: str, text: str, error: tomllib.TOMLDecodeError) -> ScenarioError:
    """The text is not TOML at all."""
    match = _TOML_AT.fullmatch(str(error))
    if match is None:
        return ScenarioError(source, text.count("\n") + 1, f"not TOML: {error}")
    return ScenarioError(source, int(match["line"]), f"not TOML: {match['what']}")


def not_valid(
    source: str, text: str, plain: Any, message: str, root: type = Scenario
) -> ScenarioError:
    """The TOML has a key or a value that a `root` cannot have; `message` is msgspec's."""
    match = _AT.fullmatch(message)
    assert match is not None
    path = tuple(
        int(part["index"]) if part["index"] else str(part["key"])
        for part in _PART.finditer(match["path"] or "")
    )
    what = match["what"]
    lines = positions(text)
    if unknown := _UNKNOWN.fullmatch(what):
        key = unknown[1]
        reason = f'key "{key}" is not known here{hint(key, keys_at(plain, path, root))}'
        return ScenarioError(source, line_of(lines, (*path, key)), reason)
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if missing := _MISSING.fullmatch(what):
        where = "at the top of the file"
        if name:
            where = f"in [[{_dotted(path)}]]" if isinstance(path[-1], int) else f"in [{name}]"
        reason = f'key "{missing[1]}" is missing {where}'
        return ScenarioError(source, line_of(lines, path), reason)
    return ScenarioError(source, line_of(lines, path), _wrong_value(plain, path, name, what, root))


def _wrong_value(plain: Any, path: Path, name: str, what: str, root: type) -> str:
    if invalid := _INVALID.fullmatch(what):
        choices = choices_at(plain, path, root)
        return f'{name} = "{invalid[1]}" is not known here{hint(invalid[1], choices)}'
    if "matching regex" in what and repr(PATTERN)[1:-1] in what:
        return f'{name} is not a time: write it in quotes, with a unit: "20us", "1.5ms", "3s"'
    if wrong := _WRONG_TYPE.fullmatch(what):
        kinds = [one for one in wrong[1].split(" | ") if one != "null"]
        wanted = " or ".join(_TYPES.get(one, one) for one in kinds)
        return f"{name} should be {wanted}, not {_TYPES.get(wrong[2], wrong[2])}"
    if name == "perms":
        return 'perms should be letters with - for no, such as "rw-p" (a VMA) or "rw-" (an op)'
    said = what.replace("`int`", "a number").replace("`str`", "text").replace("`", "")
    return f"{name}: {said[0].lower()}{said[1:]}"


def _dotted(path: Path) -> str:
    return ".".join(part for part in path if isinstance(part, str))


def keys_at(plain: Any, path: Path, root: type = Scenario) -> tuple[str, ...]:
    """The keys that the table at `path` may have."""
    for kind in _kinds_at(plain, path, root):
        if isinstance(kind, inspect.StructType):
            own = tuple(field.encode_name for field in kind.fields)
            return (*own, kind.tag_field) if kind.tag_field else own
    return ()


def choices_at(plain: Any, path: Path, root: type = Scenario) -> tuple[str, ...]:
    """The words that may stand at `path`, when only some may."""
    words = [
        str(value)
        for kind in _kinds_at(plain, path, root)
        if isinstance(kind, inspect.LiteralType)
        for value in kind.values
    ]
    if not words:  # The key that tells kinds of table apart: its words are their tags.
        words = [
            str(kind.tag)
            for kind in _kinds_at(plain, path[:-1], root, any_tag=True)
            if isinstance(kind, inspect.StructType) and kind.tag
        ]
    return tuple(word for word in words if word)


def _kinds_at(plain: Any, path: Path, root: type, any_tag: bool = False) -> list[inspect.Type]:
    kinds = [inspect.type_info(root)]
    for depth, part in enumerate(path):
        here = _plain_at(plain, path[:depth])
        kinds = [deeper for kind in kinds for deeper in _into(kind, part, here)]
    here = _plain_at(plain, path)
    return [one for kind in kinds for one in _members(kind, here, any_tag)]


def _into(kind: inspect.Type, part: str | int, here: Any) -> Iterator[inspect.Type]:
    for member in _members(kind, here, any_tag=False):
        if isinstance(member, inspect.StructType) and isinstance(part, str):
            yield from (field.type for field in member.fields if field.encode_name == part)
        elif isinstance(member, inspect.VarTupleType) and isinstance(part, int):
            yield member.item_type


def _members(kind: inspect.Type, here: Any, any_tag: bool) -> Iterator[inspect.Type]:
    """The kinds a union stands for, those left out whose tag the file does not have."""
    if isinstance(kind, inspect.Metadata):
        yield from _members(kind.type, here, any_tag)
    elif isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _members(member, here, any_tag)
    elif isinstance(kind, inspect.StructType) and kind.tag_field and not any_tag:
        if isinstance(here, dict) and here.get(kind.tag_field) == kind.tag:
            yield kind
    else:
        yield kind


def _plain_at(plain: Any, path: Path) -> Any:
    for part in path:
        try:
            plain = plain[part]
        except (KeyError, IndexError, TypeError):
            return None
    return plain
