"""Where a person's files are: configuration, own scenarios, what is remembered, what can be made
again. Names folders only; it creates nothing and reads nothing but the environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

NAME: Final = "pfviz"


def config_home() -> Path:
    """What a person writes: `config.toml`, `keymaps/`, `themes/` ($XDG_CONFIG_HOME/pfviz).

    On macOS `~/.config/pfviz` comes first there too, and `~/Library/Application Support/pfviz`
    counts where only that exists.
    """
    chosen = _home("XDG_CONFIG_HOME", ".config")
    if sys.platform == "darwin" and not os.environ.get("XDG_CONFIG_HOME"):
        native = user_home() / "Library" / "Application Support" / NAME
        if native.is_dir() and not chosen.is_dir():
            return native
    return chosen


def data_home() -> Path:
    """What a person keeps: `scenarios/` ($XDG_DATA_HOME/pfviz)."""
    return _home("XDG_DATA_HOME", ".local/share")


def state_home() -> Path:
    """What pfviz remembers by itself ($XDG_STATE_HOME/pfviz); losing it hurts nobody."""
    return _home("XDG_STATE_HOME", ".local/state")


def cache_home() -> Path:
    """What pfviz can make again ($XDG_CACHE_HOME/pfviz)."""
    return _home("XDG_CACHE_HOME", ".cache")


def _home(variable: str, fallback: str) -> Path:
    """The folder of a variable; a relative one is ignored, as the specification asks."""
    said = os.environ.get(variable, "")
    folder = Path(said) if said else None
    if folder is None or not folder.is_absolute():
        folder = user_home() / fallback
    return folder / NAME


def expanded(text: str) -> Path:
    """A path as a person writes it, `~` and all; `~` of a person who has no folder stays."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  (Path.expanduser raises)


def user_home() -> Path:
    """The person's own folder; `/`, where nobody can write, for someone who has none."""
    own = os.path.expanduser("~")  # noqa: PTH111  (Path.expanduser raises where this leaves the ~)
    return Path(own) if own != "~" else Path("/")
