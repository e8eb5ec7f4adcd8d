"""Where a picture of the screen is written; what is on it, it does not know."""

from __future__ import annotations

from pathlib import Path


def write_screenshot(svg: str, folder: Path) -> Path:
    """Write to the first free name `pfviz-1.svg`, `pfviz-2.svg`, ... of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"pfviz-{number}.svg").exists():
        number += 1
    # Without this some viewers drop the blanks beside coloured words.
    path.write_text(svg.replace("<text ", '<text xml:space="preserve" '), encoding="utf-8")
    return path
