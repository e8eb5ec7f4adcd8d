"""The cost table: everything in it is charged somewhere."""

from __future__ import annotations

from pathlib import Path

import pfviz
from pfviz.mm.costs import COSTS


def test_every_cost_is_charged_by_some_step_or_lock() -> None:
    package = Path(pfviz.__file__).parent
    sources = [path for part in ("sim", "sync", "mm") for path in (package / part).rglob("*.py")]
    text = "".join(path.read_text() for path in sources if path.name != "costs.py")
    assert [name for name in COSTS if f'"{name}"' not in text] == []
