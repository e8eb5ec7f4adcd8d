"""The bytes of a capture as clean lines of text: plain, gzip or standard input, whole or cut off.

Knows damage (binary data, a truncated gzip) and takes control characters out; it knows no event.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from pfviz.sim.told import Told, nobody

_BLOCK_BYTES = 1 << 18
_LINE_CHARS_MAX = 1 << 16  # The kernel's lines end below 8 KiB; longer is not text of ours.

LINE_CHARS_MAX = 1 << 26
"""A line of what pfviz itself wrote may hold a hundred texts, or a large detail."""

# Everything that could move a cursor: C0 but for newline and tab, and DEL.
_CONTROL = bytes(b for b in (*range(0x20), 0x7F) if b not in (0x09, 0x0A))
_NO_CONTROL = bytes.maketrans(_CONTROL, b"?" * len(_CONTROL))
# What UTF-8 can smuggle past that: C1 controls, line separators, direction overrides.
_WIDE_CONTROL = re.compile("[\x80-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_MAGIC = (
    (b"PERFILE2", "a perf.data file: run `perf script -i FILE > trace.txt` and play that"),
    (
        b"\x17\x08Dtracing",
        "a trace.dat file: run `trace-cmd report FILE > trace.txt`, play that",
    ),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\x7fELF", "a program, not a capture"),
)


class CaptureError(Exception):
    """A capture or maps file that cannot be used; the message is one line, `file:line: reason`."""

    exit_code = 3

    def __init__(self, source: str, line: int, reason: str) -> None:
        super().__init__(f"{source}:{line}: {reason}" if line else f"{source}: {reason}")
        self.source = source
        self.line = line
        self.reason = reason


def printable(text: str) -> str:
    """Return `text` without any character that could act on a terminal."""
    plain = text.encode("utf-8", "replace").translate(_NO_CONTROL).decode("utf-8", "replace")
    return _WIDE_CONTROL.sub("\ufffd", plain).replace("\t", " ").replace("\n", "?")


class _Stream(Protocol):
    def read1(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class CaptureFile:
    """A capture's lines in blocks; `lost` says why the end is missing, when it is.

    Opening reads the first block, so that what is plainly no capture fails at once (CaptureError).
    """

    def __init__(self, path: str | Path, told: Told = nobody) -> None:
        """`told` hears of the file's bytes as they are used; of a pipe's lines, without a total."""
        self._told = told
        self._bytes = self._lines = 0
        self.name = "<stdin>" if str(path) == "-" else printable(str(path))
        self.lost: str | None = None
        self.ends_midline = False
        """Whether the last line had no end; known when `blocks` has come to it."""
        self._stream = self._open(str(path))
        self._first = self._read()
        if not self._first:
            reason = (
                "a truncated gzip file with nothing to read" if self.lost else "the file is empty"
            )
            raise CaptureError(self.name, 0, reason)
        self.is_binary = b"\0" in self._first
        """Whether text is not what the file holds."""
        for magic, advice in _MAGIC:
            if self._first.startswith(magic):
                raise CaptureError(self.name, 1, f"this is {advice}")

    def _open(self, path: str) -> _Stream:
        try:
            if path == "-":
                raw = sys.stdin.buffer
                plain = raw if isinstance(raw, io.BufferedReader) else _buffered(raw)
            else:
                plain = Path(path).open("rb")  # noqa: SIM115 -- closed by blocks()
                self._bytes = os.fstat(plain.fileno()).st_size
            self._plain = plain
            gzipped = plain.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CaptureError(self.name, 0, f"cannot be read: {reason}") from None
        return gzip.GzipFile(fileobj=plain) if gzipped else plain

    def _read(self) -> bytes:
        """Return the next bytes, or none at the end; a broken end is remembered in `lost`."""
        if self.lost:
            return b""
        try:
            # read1 hands over what a damaged stream still gave before it broke.
            return self._stream.read1(_BLOCK_BYTES)
        except EOFError:
            self.lost = "the gzip data end too early"
        except (zlib.error, gzip.BadGzipFile):
            self.lost = "the gzip data are damaged from here on"
        except OSError as error:
            self.lost = f"reading failed: {error.strerror or type(error).__name__}"
        return b""

    @property
    def begin(self) -> bytes:
        """The first bytes of the file, at least one."""
        return self._first

    def blocks(self, line_chars_max: int = _LINE_CHARS_MAX) -> Iterator[list[str]]:
        """Yield the file's lines, without line ends, in lists of some thousands.

        A last line without a newline is a line like any other, unless the file was cut off:
        half an event would be a wrong one, so it is left out.
        """
        rest = b""
        block = self._first
        while block:
            self._told(self._plain.tell() if self._bytes else self._lines, self._bytes)
            cut = block.rfind(b"\n") + 1
            if cut:
                lines = _lines(rest + block[:cut])
                self._lines += len(lines)
                yield lines
                rest = b""
            rest += block[cut:]
            if len(rest) > line_chars_max:
                yield _lines(rest[:line_chars_max] + b"\n")
                rest = b""
            block = self._read()
        self.ends_midline = bool(rest)
        if rest and not self.lost:
            yield _lines(rest + b"\n")
        self._stream.close()


def _lines(block: bytes) -> list[str]:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    text = block.translate(_NO_CONTROL).decode("utf-8", "replace")
    if not text.isascii():
        text = _WIDE_CONTROL.sub("\ufffd", text)
    lines = text.split("\n")
    lines.pop()
    return lines


def _buffered(raw: Any) -> io.BufferedReader:
    """Give a stand-in for standard input the `peek` that a real one has."""
    return io.BufferedReader(raw)
