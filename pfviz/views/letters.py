"""Large letters for titles, drawn with half blocks, whole blocks or #: a small font and its setter.

It knows letters and cells, no styles and no stage.
"""

from __future__ import annotations

from typing import Final

HEIGHT: Final = 8
"""Pixels: capitals are seven high, the eighth row is for what hangs below the line."""

_COLUMNS: Final = {
    " ": "000000", "!": "5f", '"': "070007", "'": "07", "(": "1c2241", ")": "41221c",
    "+": "08083e0808", ",": "8060", "-": "08080808", ".": "6060", "/": "6010080403",
    ":": "3636", ";": "8076", "=": "14141414", "?": "0201510906", "_": "8080808080",
    "%": "2313086462", "&": "3649562050", "*": "2a1c2a", "<": "08142241", ">": "41221408",
    "0": "3e4141413e", "1": "427f40", "2": "6251494946", "3": "2241494936", "4": "1814127f10",
    "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e",
    "A": "7e0909097e", "B": "7f49494936", "C": "3e41414122", "D": "7f4141413e", "E": "7f49494941",
    "F": "7f09090901", "G": "3e4141493a", "H": "7f0808087f", "I": "417f41", "J": "2040413f01",
    "K": "7f08142241", "L": "7f40404040", "M": "7f020c027f", "N": "7f0408107f", "O": "3e4141413e",
    "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946", "S": "2649494932", "T": "01017f0101",
    "U": "3f4040403f", "V": "1f2040201f", "W": "3f4038403f", "X": "6314081463", "Y": "0708700807",
    "Z": "6151494543",
    "a": "2054545478", "b": "7f48444438", "c": "3844444428", "d": "384444487f", "e": "3854545418",
    "f": "087e0902", "g": "18a4a4a47c", "h": "7f08040478", "i": "447d40", "j": "80847d",
    "k": "7f102844", "l": "417f40", "m": "7c04780478", "n": "7c08040478", "o": "3844444438",
    "p": "fc24242418", "q": "18242424fc", "r": "7c08040408", "s": "4854545424", "t": "043f4420",
    "u": "3c4040207c", "v": "1c2040201c", "w": "3c4030403c", "x": "4428102844", "y": "1ca0a0a07c",
    "z": "4464544c44",
}  # fmt: skip
"""A byte for each column from left to right, the lowest bit on top."""

_LIKE: Final = str.maketrans({"–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "…": ".", "·": "."})
_HALVES: Final = " ▀▄█"
"""Neither, the upper, the lower, both."""


def can_set(text: str) -> bool:
    """Whether the font has every letter of a text."""
    return all(char in _COLUMNS for char in text.translate(_LIKE))


def pixels(text: str) -> tuple[int, ...]:
    """A line of text as columns of bits, one column free between letters."""
    columns: list[int] = []
    for char in text.translate(_LIKE):
        if columns:
            columns.append(0)
        columns.extend(bytes.fromhex(_COLUMNS[char]))
    return tuple(columns)


def small(text: str) -> list[str]:
    """The text four rows high, a cell for two pixels above one another."""
    columns = pixels(text)
    return [
        "".join(_HALVES[column >> row & 3] for column in columns) for row in range(0, HEIGHT, 2)
    ]


def large(text: str, pixel: str = "██") -> list[str]:
    """The text eight rows high, `pixel` for each pixel."""
    blank = " " * len(pixel)
    columns = pixels(text)
    return [
        "".join(pixel if column >> row & 1 else blank for column in columns)
        for row in range(HEIGHT)
    ]


def lettering(text: str, width: int, height: int, pixel: str = "") -> list[str]:
    """A title as large as it goes into so many cells, over several lines; empty when it does not.

    `pixel` draws where there are no half blocks. All rows are of one width, the
    lines centred over one another.
    """
    if not can_set(text) or not text.strip():
        return []
    settings = (
        ((1, 8, lambda line: large(line, pixel)),) if pixel else ((2, 8, large), (1, 4, small))
    )
    for cells, rows, setting in settings:
        lines = _broken(text, width // cells)
        if not lines or len(lines) * (rows + 1) - 1 > height:
            continue
        drawn: list[str] = []
        for line in lines:
            drawn += [""] if drawn else []
            drawn += setting(line)
        widest = max(map(len, drawn))
        return [_centred(line, widest) for line in drawn]
    return []


def _centred(line: str, width: int) -> str:
    left = (width - len(line)) // 2
    return " " * left + line + " " * (width - len(line) - left)


def _broken(text: str, columns: int) -> list[str]:
    """The text broken at blanks so that each line takes at most so many columns of pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and len(pixels(longer)) <= columns:
            lines[-1] = longer
        elif len(pixels(word)) <= columns:
            lines.append(word)
        else:
            return []
    return lines
