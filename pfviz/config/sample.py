"""What `pfviz config init` writes: every setting with its default, commented out and explained."""

from __future__ import annotations

from textwrap import wrap
from typing import Final

import msgspec

from pfviz.config.settings import Settings, described, variable

WIDTH: Final = 96
HEAD: Final = """\
#:schema ./pfviz-config.json
# Save what `pfviz config schema` prints under that name, and your editor knows every key.
# `pfviz config show` says which values count, and where each comes from:
# flag over PFVIZ_* over a project's pfviz.toml over this file over default.
"""
KEYS: Final = """\
# [keys]
# play.toggle = "p"
# step.forward = "right l"
"""


def sample() -> str:
    """The text of a configuration file that changes nothing."""
    parts = [HEAD]
    for name, meaning in described().items():
        said = "".join(f"# {line}\n" for line in wrap(f"{meaning} ({variable(name)})", WIDTH))
        if name == "keys":
            parts.append(said + KEYS)
        else:
            value = msgspec.json.encode(getattr(Settings(), name)).decode()
            parts.append(f"{said}# {name} = {value}\n")
    return "\n".join(parts)
