"""What the doctor says of an installation: libraries, configuration, scenarios and talks."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import pfviz
from pfviz import places
from pfviz.cli.doctor_row import WRONG, Row, row
from pfviz.scenario.errors import ScenarioError, printable

NEEDS: Final = ("textual", "rich", "numpy", "click", "msgspec")
EXTRAS: Final = (
    ("textual-serve", "web", "pfviz serve"),
    ("perfetto", "perfetto", "pfviz export perfetto"),
    ("pyarrow", "parquet", "pfviz export parquet"),
)
"""(package, extra of ours, what it is for)."""


def libraries() -> list[Row]:
    """Versions of what is needed, and what else there is."""
    rows = [row("pfviz", f"{pfviz.__version__} in {Path(pfviz.__file__).parent}")]
    is_old = sys.version_info < (3, 11)
    advice = "3.11 or newer is needed" if is_old else ""
    rows.append(row("python", platform.python_version(), advice, WRONG if is_old else ""))
    for name in NEEDS:
        version = _version(name)
        if version:
            rows.append(row(name, version))
        else:
            rows.append(row(name, "missing", f"pip install {name}", WRONG))
    for name, extra, verb in EXTRAS:
        version = _version(name)
        without = f"not installed: {verb} needs it (pip install 'pfviz[{extra}]')"
        rows.append(row(name, version or without))
    return rows


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def configuration() -> list[Row]:
    """The files that count and whether they can be used, and where else things are."""
    rows: list[Row] = []
    try:
        from pfviz.config.files import user_path
        from pfviz.config.resolve import resolve
        from pfviz.tui.keymap import keymap_of

        resolved = resolve()
        keymap = keymap_of(resolved)
    except ScenarioError as error:
        rows.append(row("settings", str(error), "mend it; pfviz config validate looks again",
                        WRONG))  # fmt: skip
    else:
        read = ", ".join(printable(str(file.path)) for file in resolved.files)
        none = f"defaults; {user_path(os.environ)} would be read"
        rows.append(row("settings", read or none))
        rows.append(row("keymap", keymap.name))
        rows.append(row("theme", f"{resolved.settings.theme} ({resolved.origins['theme']})"))
    config = places.config_home()
    rows.append(row("own themes", config / "themes"))
    rows.append(row("own keymaps", config / "keymaps"))
    rows.append(row("remembers in", places.state_home()))
    return rows


def things_to_play() -> list[Row]:
    """Scenarios and talks: how many, and those that cannot be used."""
    from pfviz.scenario.load import listing
    from pfviz.scenario.names import own_folder, talk_folders
    from pfviz.scenario.talk_load import talks

    known = listing()
    rows = [row("scenarios", f"{len(known)}, own ones in {own_folder()}",
                "" if known else "the installation is not whole: install pfviz again",
                "" if known else WRONG)]  # fmt: skip
    rows += [row(one.name, one.error, f"pfviz scenario validate {one.path}", WRONG)
             for one in known if one.error]  # fmt: skip
    spoken = talks()
    rows.append(row("talks", f"{len(spoken)}, own ones in {talk_folders()[0]}"))
    rows += [row(one.name, one.error, f"pfviz check {one.path}", WRONG)
             for one in spoken if one.error]  # fmt: skip
    return rows
