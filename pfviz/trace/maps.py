"""The text of /proc/PID/maps as plain records, from a live process or a copy.

Knows the kernel's format (fs/proc/task_mmu.c, show_map_vma); it judges no VMA and merges none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pfviz.trace.capture_file import CaptureError, CaptureFile, printable

PAGE_BYTES = 4096

_LINE = re.compile(
    r"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps]) ([0-9a-f]+)"
    r" ([0-9a-f]+:[0-9a-f]+) (\d+)(?: +(.*?))? *"
)
# Copies may tell whose they are: `# pid 42 comm some name clock_monotonic BEGIN END`.
_WHOSE = re.compile(r"# pid (\d+) comm (.*?)(?: clock_monotonic ([\d.]+) ([\d.]+))?")
_DELETED = " (deleted)"


class MapsVma(NamedTuple):
    """One line of maps: addresses and offset in bytes, `end` exclusive, `name` "" when anonymous.

    `perms` is the kernel's four letters (`rw-p`), `dev` its major:minor in hex.
    """

    start: int
    end: int
    perms: str
    offset: int
    dev: str
    inode: int
    name: str

    @property
    def is_in_mm(self) -> bool:
        """Whether this is a VMA of the process; [vsyscall] lies in the kernel's half."""
        return self.end <= 1 << 63

    @property
    def is_file(self) -> bool:
        """Whether pages come from a file; shared anonymous memory has an inode as well."""
        return self.inode != 0

    @property
    def is_deleted(self) -> bool:
        """Whether the file behind it has no name any more."""
        return self.name.endswith(_DELETED)


@dataclass(frozen=True, slots=True)
class ProcessMaps:
    """The VMAs of one process in address order; `pid` 0 and `comm` "" when the text has no word.

    `copied_ns` is when a copy was begun and done (its clock is named in the copy), else None.
    """

    source: str
    pid: int
    comm: str
    vmas: tuple[MapsVma, ...]
    copied_ns: tuple[int, int] | None = None


def read_maps(source: str | Path) -> ProcessMaps:
    """Read the maps of a PID (digits, or "self") or of a file ("-" is standard input).

    Raises CaptureError naming file and line: no such process, no permission, not maps text, VMAs
    that overlap or are not whole pages.
    """
    text = str(source)
    if not text.isdigit() and text != "self":
        return parse_maps(text)
    process = Path("/proc") / text
    if not process.is_dir():
        raise CaptureError(f"/proc/{text}/maps", 0, f"there is no process {text}")
    found = parse_maps(str(process / "maps"), empty=f"process {text} has no user memory")
    try:
        comm = printable((process / "comm").read_text("utf-8", "replace").rstrip("\n"))
        pid = int(process.resolve().name)
    except OSError:
        return found  # It ended meanwhile: what was read is still true.
    return ProcessMaps(found.source, pid, comm, found.vmas)


def parse_maps(path: str, empty: str = "") -> ProcessMaps:
    """Read maps text from a file; `empty` is the reason given when it has no line (a process)."""
    try:
        file = CaptureFile(path)
    except CaptureError as error:
        reason = empty if empty and error.reason == "the file is empty" else error.reason
        raise CaptureError(error.source, error.line, reason) from None
    pid, comm, copied_ns = 0, "", None
    vmas: list[MapsVma] = []
    for number, line in enumerate((line for lines in file.blocks() for line in lines), 1):
        if line.startswith("#"):
            if (whose := _WHOSE.fullmatch(line)) is not None:
                pid, comm = int(whose[1]), whose[2]
                if whose[3]:
                    copied_ns = (_nanoseconds(whose[3]), _nanoseconds(whose[4]))
        elif line.strip():
            vma = _parse_line(file.name, number, line)
            if vmas and vma.start < vmas[-1].end:
                reason = f"{vma.start:x} begins before the line above ends ({vmas[-1].end:x})"
                raise CaptureError(file.name, number, reason)
            vmas.append(vma)
    if file.lost:
        raise CaptureError(file.name, len(vmas) + 1, file.lost)
    if not vmas:
        raise CaptureError(file.name, 1, empty or "there is no mapping in it")
    return ProcessMaps(file.name, pid, comm, tuple(vmas), copied_ns)


def _parse_line(source: str, number: int, line: str) -> MapsVma:
    match = _LINE.fullmatch(line)
    if match is None:
        reason = (
            f"not a line of /proc/PID/maps: {line.strip()[:40]!r}; expected"
            " `start-end rwxp offset dev inode name`"
        )
        raise CaptureError(source, number, reason)
    start, end, offset = int(match[1], 16), int(match[2], 16), int(match[4], 16)
    if start >= end:
        raise CaptureError(source, number, f"{match[1]}-{match[2]} is empty or turned round")
    for value, digits in ((start, match[1]), (end, match[2]), (offset, match[4])):
        if value % PAGE_BYTES:
            raise CaptureError(source, number, f"{digits} is not a multiple of a page (0x1000)")
    name = printable(match[7] or "")
    return MapsVma(start, end, match[3], offset, match[5], int(match[6]), name)


def _nanoseconds(stamp: str) -> int:
    seconds, _, fraction = stamp.partition(".")
    return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)
