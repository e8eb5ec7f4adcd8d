"""The marks that painters draw with, in two sets: for UTF-8 terminals and for plain ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of marks; every mark takes one cell unless it says otherwise."""

    ascii_only: bool
    now: str = "│"
    rule: str = "─"
    arrow_left: str = "◂"
    arrow_right: str = "▸"
    reader: str = "●"
    writer: str = "■"
    waits_read: str = "□"
    waits_write: str = "▣"
    spinner: str = "▚"
    mark: str = "◆"
    dot: str = "·"
    cross: str = "✗"
    warn: str = "!"
    branch: str = "├─ "
    branch_last: str = "└─ "
    branch_past: str = "│  "
    slot: str = "▮"
    slot_free: str = "▯"
    fading: str = "▓▒░"
    """A dead node's slots: all readers of its time are inside, some have left, none is."""
    bars: str = " ▁▂▃▄▅▆▇█"
    """Nothing to a full cell: nine heights."""
    shares: str = "·▂▄▆█"
    """Pages present in a cell: none, few, half, most, all. Height is how many, texture which."""
    page_zero: str = "0"
    page_cow: str = "▞"
    page_file: str = "▒"
    no_page: str = "·"
    page_elsewhere: str = "s"
    page_huge: str = "H"
    """A page in swap, in a device's memory, or on the move."""
    time_axis: str = "─▸"
    times: str = "×"


UNICODE: Final = Glyphs(ascii_only=False)
ASCII: Final = Glyphs(
    ascii_only=True, now="|", rule="-", arrow_left="<", arrow_right=">", reader="o", writer="#",
    waits_read="r", waits_write="w", spinner="s", mark="*", dot="-", cross="x", branch="|- ",
    branch_last="`- ", branch_past="|  ", slot="#", slot_free="-", fading="%:.", bars=" ..::++##",
    shares=".:+%#", page_cow="C", page_file="F", no_page=".", time_axis="->",
    times="x",
)  # fmt: skip
