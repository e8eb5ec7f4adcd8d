"""A scenario as TOML text: what differs from the defaults, in the order of the schema."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import msgspec

from pfviz.scenario.schema import SCHEMA_URL, Scenario

_HEX: Final = ("start",)


def to_toml(scenario: Scenario, comment: str = "") -> str:
    """The text of a scenario file that reads back as the same scenario."""
    lines = [f"#:schema {SCHEMA_URL}"]
    lines += [f"# {line}".rstrip() for line in comment.splitlines()]
    tables: list[str] = []
    for name in scenario.__struct_fields__:
        value = getattr(scenario, name)
        if name != "schema_version" and value == _default(scenario, name):
            continue
        if isinstance(value, msgspec.Struct):
            tables += ["", f"[{name}]", *_pairs(value, name)]
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            for one in value:
                tables += ["", f"[[{name}]]", *_pairs(one, name)]
        else:
            lines.append(f"{name} = {_scalar(name, value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _pairs(table: msgspec.Struct, path: str) -> list[str]:
    """The lines of a table, its own tables last."""
    config = table.__struct_config__
    lines = [f"{config.tag_field} = {_scalar('', config.tag)}"] if config.tag_field else []
    inner: list[str] = []
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if value == _default(table, name):
            continue
        if isinstance(value, msgspec.Struct):
            inner += [f"[{path}.{name}]", *_pairs(value, f"{path}.{name}")]
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            for one in value:
                inner += [f"[[{path}.{name}]]", *_pairs(one, f"{path}.{name}")]
        else:
            lines.append(f"{name} = {_scalar(name, value)}")
    return lines + inner


def _default(table: msgspec.Struct, name: str) -> Any:
    return _defaults(type(table))[name]


@cache
def _defaults(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """By name. Kept, for msgspec compiles a class's annotations anew each time it is asked."""
    return {field.name: field.default for field in msgspec.structs.fields(kind)}


def _scalar(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if name in _HEX:
            return hex(value)
        case int():
            return str(value)
        case str():
            # JSON's escapes are TOML's, but for DEL, which JSON leaves alone.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple():
            return "[" + ", ".join(_scalar(name, one) for one in value) + "]"
    raise AssertionError((name, value))
