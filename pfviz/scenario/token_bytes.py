"""Small numbers and texts as few bytes, and bytes as letters that survive being read aloud.

The letters are Crockford's base 32: either case, and I, L and O read as the digits they look like.
"""

from __future__ import annotations

from typing import Final

LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {
    **{letter: value for value, letter in enumerate(LETTERS)},
    "i": 1, "l": 1, "o": 0,
}  # fmt: skip
_NUMBER_MAX: Final = (1 << 64) - 1


class Writer:
    """Bytes in the making."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def number(self, value: int) -> None:
        """A number from 0 to 2**64 - 1: seven bits a byte, the lowest first."""
        if not 0 <= value <= _NUMBER_MAX:
            raise ValueError(f"{value} is no 64-bit number")
        while value > 0x7F:
            self.bytes.append(0x80 | value & 0x7F)
            value >>= 7
        self.bytes.append(value)

    def short(self, value: int) -> None:
        """A number of 16 bits that is as often large as small."""
        self.bytes += value.to_bytes(2, "big")

    def text(self, value: str) -> None:
        """A text, its length first."""
        data = value.encode()
        self.number(len(data))
        self.bytes += data


class Reader:
    """Reads what `Writer` wrote; ValueError wherever that cannot be."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self) -> int:
        """The number that comes next, written as `Writer` would and in no other way."""
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if value > _NUMBER_MAX or (shift and not byte):
            raise ValueError("a number is too long")
        return value

    def short(self) -> int:
        """The 16 bits that come next."""
        return int.from_bytes(self._take(2), "big")

    def text(self) -> str:
        """The text that comes next."""
        return self._take(self.number()).decode()

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != len(self.data):
            raise ValueError("there is more than belongs here")

    def _take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise ValueError("the end is missing")
        self.at += count
        return taken


def letters_of(data: bytes) -> str:
    """Bytes as letters, five bits each."""
    bits = int.from_bytes(data, "big")
    spare = -len(data) * 8 % 5
    bits <<= spare
    count = (len(data) * 8 + spare) // 5
    return "".join(LETTERS[bits >> 5 * place & 31] for place in reversed(range(count)))


def bytes_of(letters: str) -> bytes:
    """The bytes behind letters; ValueError for a letter that is none, or a wrong number of them."""
    bits = 0
    for letter in letters.casefold():
        if letter not in _VALUES:
            raise ValueError(f'"{letter}" is no letter of a token')
        bits = bits << 5 | _VALUES[letter]
    spare = len(letters) * 5 % 8
    if spare >= 5 or bits & (1 << spare) - 1:
        raise ValueError("letters are missing")
    return (bits >> spare).to_bytes(len(letters) * 5 // 8, "big")
