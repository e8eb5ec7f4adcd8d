"""Every setting of the viewer, with its default and what it does. Reads no file.

Nothing here changes what a run computes: that is said by a scenario or by a flag.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

KeyWords = str | list[str]
"""Keys with blanks between them (`"right l"`), or a list of keys."""

TRUE: Final = ("1", "true", "yes", "on")
FALSE: Final = ("0", "false", "no", "off")
"""How a variable says yes and no."""
PREFIX: Final = "PFVIZ_"
NOT_SETTINGS: Final = {
    name: f"--{name} or {PREFIX}{name.upper()}"
    for name in ("kernel", "mode", "machine", "seed", "threads")
}
"""What a run computes with, which no configuration may change, and how to say it instead."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the viewer, as a file has them."""

    theme: Annotated[str, Meta(description="Colours of the screen: dark, light, ...")] = "dark"
    ascii: Annotated[
        bool, Meta(description="Only ASCII characters, even where the terminal can do more.")
    ] = False
    stage_theme: Annotated[
        str,
        Meta(description="Colours of a talk, and of any run on stage; empty for those of theme."),
    ] = ""
    fps: Annotated[
        int, Meta(ge=1, le=60, description="Pictures a second, at most.")
    ] = 15  # fmt: skip
    keymap: Annotated[
        str, Meta(description="Which keys do what: default, vim, or a file of keymaps/ by name.")
    ] = "default"
    captions: Annotated[
        bool, Meta(description="Show the captions of cues when a run opens.")
    ] = True  # fmt: skip
    questions: Annotated[
        bool, Meta(description="Ask a scenario's questions while it plays.")
    ] = True  # fmt: skip
    watch: Annotated[
        bool, Meta(description="Play a scenario anew when its file is saved.")
    ] = True  # fmt: skip
    recent: Annotated[
        bool, Meta(description="Remember what was played, and where it was left.")
    ] = True  # fmt: skip
    keys: Annotated[
        dict[str, KeyWords | dict[str, KeyWords]],
        Meta(
            description="Single keys, by the id of what they do; `pfviz config keys` lists the ids."
        ),
    ] = {}


def names() -> tuple[str, ...]:
    """The names of all settings, in the order in which they are shown."""
    return tuple(field.name for field in msgspec.structs.fields(Settings))


def described() -> dict[str, str]:
    """Setting -> what it does."""
    properties = _properties()
    return {name: str(properties[name]["description"]) for name in names()}


def variable(name: str) -> str:
    """The environment variable of a setting: theme -> PFVIZ_THEME."""
    return PREFIX + name.upper()


def says_yes(text: str) -> bool:
    """Whether a variable says yes, for whoever looks at it before the settings are settled."""
    return text.strip().casefold() not in ("", *FALSE)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors (`#:schema` on its first line)."""
    schema = msgspec.json.schema(Settings)
    schema["title"] = "pfviz configuration"
    return schema


def rebindings(table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Binding id -> its keys; `step.forward = ...` and `"step.forward" = ...` are the same."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= {f"{name}.{rest}": keys for rest, keys in rebindings(value).items()}
        else:
            found[name] = tuple(value.split() if isinstance(value, str) else value)
    return found


def _properties() -> dict[str, Any]:
    definitions: dict[str, Any] = json_schema()["$defs"]
    properties: dict[str, Any] = definitions["Settings"]["properties"]
    return properties
