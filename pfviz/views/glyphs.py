"""The marks that painters draw with, in three sets: for UTF-8, for a Linux console, for ASCII.

A console has a font of 256 or 512 marks. What stands in `CONSOLE` is in the kernel's own font (code
page 437) and in the Latin fonts that Debian loads, which have no half blocks and no `▓`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .states import State


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
    tick: str = "✓"
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
    is_console: bool = False

    @property
    def has_half_blocks(self) -> bool:
        """Whether `▀` and `▄` can be drawn."""
        return not (self.ascii_only or self.is_console)

    def of(self, state: State) -> str:
        """The mark of a thread's state."""
        if self.ascii_only:
            return state.ascii
        return state.console if self.is_console else state.glyph


UNICODE: Final = Glyphs(ascii_only=False)
ASCII: Final = Glyphs(
    ascii_only=True, now="|", rule="-", arrow_left="<", arrow_right=">", reader="o", writer="#",
    waits_read="r", waits_write="w", spinner="s", mark="*", dot="-", tick="+", cross="x",
    branch="|- ", branch_last="`- ", branch_past="|  ", slot="#", slot_free="-", fading="%:.",
    bars=" ..::++##",
    shares=".:+%#", page_cow="C", page_file="F", no_page=".", time_axis="->",
    times="x",
)  # fmt: skip

CONSOLE: Final = Glyphs(
    ascii_only=False, is_console=True, arrow_left="◀", arrow_right="▶", reader="•",
    waits_read="o", waits_write="#", spinner="%", mark="♦", tick="+", cross="x",
    slot="■", slot_free="·", fading="▒░·", bars=" .:░░▒▒██",
    shares="·░▒■█", page_cow="±", page_file="≡", time_axis="─▶",
)  # fmt: skip

CONSOLE_FONT: Final = frozenset(
    "¡¢£¥§ª«¬°±²µ¶·º»¼½¿ÄÅÆÇÉÑÖ×Üßàáâäåæçèéêëìíîïñòóôö÷ùúûüÿƒπ•‼ⁿ←↑→↓∞∩≈≡≤≥"
    "─│┌┐└┘├┤┬┴┼═║╒╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡╢╣╤╥╦╧╨╩╪╫╬█░▒■▲▶▼◀♦"
)
"""Marks beyond ASCII that every console font looked at has: the kernel's, and Lat15 and Uni2."""

CONSOLE_LOOK_ALIKES: Final = str.maketrans(
    {
        **dict(zip("╭╮╰╯", "┌┐└┘", strict=True)),
        **dict(zip("┏┓┗┛━┃", "╔╗╚╝═║", strict=True)),
        **dict.fromkeys("┄┈╌╍▁▔", "─"),
        **dict.fromkeys("▏▎▍▌▐▕▊▋▉", "│"),
        **dict.fromkeys("▂▃▄", "░"),
        **dict.fromkeys("▅▆▚▞", "▒"),
        **dict.fromkeys("▇▓▮", "█"),
        **dict.fromkeys("▸❯›►", "▶"),
        **dict.fromkeys("◂‹◄", "◀"),
        **dict.fromkeys("●◉", "•"),
        **dict.fromkeys("◇◆", "♦"),
        **dict.fromkeys("△", "▲"),
        **dict.fromkeys("▽", "▼"),
        **dict.fromkeys("✓✔", "+"),
        "✗": "x",
        "○": "o",
        "□": "o",
        "▣": "#",
        "▯": "·",
        "‖": "║",
        "≠": "!",
        "…": "~",
        "▀": '"',
        "–": "-",
        "—": "-",
        **dict.fromkeys("“”", '"'),
        "’": "'",
        "\xa0": " ",
    }
)
"""What a console shows for marks that its font lacks, cell for cell."""

ASCII_LOOK_ALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝", "+"),
        **dict.fromkeys("─━═╌┄┈▁▔▂", "-"),
        **dict.fromkeys("│┃║▏▎▍▌▐▕▊", "|"),
        **dict.fromkeys("▃▄▅▆▇█▓", "#"),
        **dict.fromkeys("▒░▚▞", ":"),
        **dict.fromkeys("●◆♦◇◉", "*"),
        **dict.fromkeys("▶▸❯›", ">"),
        **dict.fromkeys("◀◂‹", "<"),
        **dict.fromkeys("▲△↑", "^"),
        **dict.fromkeys("▼▽↓", "v"),
        **dict.fromkeys("▀“”", '"'),
        **dict.fromkeys("■▣▮", "#"),
        **dict.fromkeys("□○", "o"),
        "—": "-",
        "▯": "-",
        "≈": "~",
        "≡": "=",
        "╍": "=",
        "✗": "x",
        "‖": "=",
        "≠": "!",
        **dict.fromkeys("✓✔", "+"),
        "•": "*",
        "\xa0": " ",
        "…": "~",
        "µ": "u",
        "·": "-",
        "→": ">",
        "←": "<",
        "×": "x",
        "–": "-",
        "’": "'",
        "≥": ">",
        "≤": "<",
        "\N{REPLACEMENT CHARACTER}": "?",
    }
)
"""What ASCII has instead, cell for cell."""
