"""Places as a scenario writes them: a name or an address, and pages further on or back."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

_OFFSET: Final = re.compile(r"(?P<base>.+?)\s*(?P<pages>[+-]\s*[0-9_]+)")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F_]+|[0-9][0-9_]*")


def parse_place(text: str, names: Container[str]) -> tuple[str | int, int]:
    """The base (one of `names`, or an address) and the offset in pages; ValueError otherwise.

    A whole name wins over a name with an offset, so that "ld-2" can be the name of a VMA.
    """
    text = text.strip()
    if text in names:
        return text, 0
    base, pages = text, 0
    match = _OFFSET.fullmatch(text)
    if match is not None:
        base = match["base"].strip()
        pages = int(match["pages"].replace("_", "").replace(" ", ""))
    if base in names:
        return base, pages
    if _ADDRESS.fullmatch(base):
        return int(base.replace("_", ""), 0), pages
    raise ValueError(base)
