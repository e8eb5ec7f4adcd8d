"""An address space as system calls and /proc/PID/maps tell it: which VMAs there must be.

Keeps ranges and says what changed; whether the kernel merged two VMAs it can only guess, so it
merges none but grown heaps, and takes a snapshot's word over its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from pfviz.trace.maps import PAGE_BYTES, MapsVma

_KIND_OF_NAME = {"[heap]": "heap", "[stack]": "stack"}

_PROT_LETTERS = ((1, "r"), (2, "w"), (4, "x"))
MAP_SHARED = 0x1
MAP_TYPE = 0xF
MAP_FIXED = 0x10
MAP_ANONYMOUS = 0x20


@dataclass(frozen=True, slots=True)
class Range:
    """One inferred VMA: `id` stays while it shrinks or changes its rights."""

    id: int
    start: int
    end: int
    perms: str
    name: str
    kind: str
    pgoff_pages: int


NEW, CHANGED, GONE = "new", "changed", "gone"
Change = tuple[str, Range]


class RangeMap:
    """The VMAs of one mm in address order; every method returns the changes in order."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._starts: list[int] = []
        self._ranges: list[Range] = []
        self.brk = 0
        self.prepared: set[int] = set()
        """VMAs that have an anon_vma, as far as faults showed."""
        self.fresh: set[int] = set()
        """VMAs mapped before our eyes that no fault has given an anon_vma yet."""

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)

    def at(self, address: int) -> Range | None:
        """Return the VMA that covers an address, or None."""
        place = bisect_right(self._starts, address) - 1
        if place >= 0 and address < self._ranges[place].end:
            return self._ranges[place]
        return None

    def map(
        self, start: int, end: int, perms: str, name: str, kind: str, pgoff_pages: int
    ) -> list[Change]:
        """Map a range, taking away what was there."""
        changes = self.unmap(start, end)
        vma = Range(self._new_id(), start, end, perms, name, kind, pgoff_pages)
        self._put(vma)
        self.fresh.add(vma.id)
        return [*changes, (NEW, vma)]

    def prepare(self, vma: Range) -> None:
        """A fault gave the VMA an anon_vma."""
        self.prepared.add(vma.id)
        self.fresh.discard(vma.id)

    def unmap(self, start: int, end: int) -> list[Change]:
        """Take a range away; VMAs at its edges shrink or are split."""
        changes: list[Change] = []
        for vma in self._overlapping(start, end):
            left, _, right = self._cut(vma, start, end)
            self._drop(vma)
            if left is not None:
                self._put(left)
                changes.append((CHANGED, left))
            if right is not None:
                if left is None:
                    right = replace(right, id=vma.id)
                self._put(right)
                changes.append((CHANGED if left is None else NEW, right))
            if left is None and right is None:
                changes.append((GONE, vma))
        return changes

    def protect(self, start: int, end: int, rights: str) -> list[Change]:
        """Change the rights of a range ("rw-"); VMAs at its edges are split."""
        changes: list[Change] = []
        for vma in self._overlapping(start, end):
            if vma.perms[:3] == rights:
                continue
            left, middle, right = self._cut(vma, start, end)
            self._drop(vma)
            middle = replace(middle, perms=rights + vma.perms[3])
            for piece in (left, middle, right):
                if piece is not None:
                    self._put(piece)
                    changes.append((CHANGED if piece.id == vma.id else NEW, piece))
        return changes

    def set_brk(self, top: int) -> list[Change]:
        """Move the end of the heap; the first answer only says where it begins."""
        top = -(-top // PAGE_BYTES) * PAGE_BYTES
        old, self.brk = self.brk, top
        if not old or top == old:
            return []
        if top < old:
            return self.unmap(top, old)
        below = self.at(old - 1)
        if below is None or below.kind != "heap" or below.end != old:
            return self.map(old, top, "rw-p", "[heap]", "heap", old // PAGE_BYTES)
        changes = self.unmap(old, top)
        grown = replace(below, end=top)
        self._replace(below, grown)
        return [*changes, (CHANGED, grown)]

    def grow_down(self, address: int) -> list[Change]:
        """Let the stack above an address begin at the address's page (expand_downwards)."""
        place = bisect_right(self._starts, address)
        vma = self._ranges[place] if place < len(self._ranges) else None
        if vma is None or vma.kind != "stack":
            return []
        start = address - address % PAGE_BYTES
        grown = replace(
            vma,
            start=start,
            pgoff_pages=max(vma.pgoff_pages - (vma.start - start) // PAGE_BYTES, 0),
        )
        self._replace(vma, grown)
        return [(CHANGED, grown)]

    def move(self, old: int, old_length: int, new: int, new_length: int) -> list[Change]:
        """Move or resize a mapping as mremap does; what it is stays the same."""
        vma = self.at(old)
        if vma is None:
            return self.map(new, new + new_length, "rw-p", "", "anon", new // PAGE_BYTES)
        if new == old and new_length < old_length:
            return self.unmap(old + new_length, old + old_length)
        if new == old and vma.end == old + old_length:
            changes = self.unmap(vma.end, old + new_length)
            grown = replace(vma, end=old + new_length)
            self._replace(vma, grown)
            return [*changes, (CHANGED, grown)]
        pgoff = vma.pgoff_pages + (old - vma.start) // PAGE_BYTES
        changes = self.unmap(old, old + old_length)
        return changes + self.map(new, new + new_length, vma.perms, vma.name, vma.kind, pgoff)

    def replace_all(self, vmas: Iterable[MapsVma]) -> list[Change]:
        """Take a snapshot's word: what it has and we have not is new, the rest changes or goes."""
        wanted = {vma.start: vma for vma in vmas if vma.is_in_mm}
        changes: list[Change] = []
        for known in list(self._ranges):
            told = wanted.get(known.start)
            if told is None:
                self._drop(known)
                changes.append((GONE, known))
        for start, told in wanted.items():
            place = bisect_left(self._starts, start)
            found = self._ranges[place] if place < len(self._starts) else None
            same = found is not None and found.start == start
            number = found.id if same and found is not None else self._new_id()
            vma = Range(
                number, start, told.end, told.perms, told.name, kind_of(told),
                told.offset // PAGE_BYTES,
            )  # fmt: skip
            if same and found is not None:
                if vma != found:
                    self._replace(found, vma)
                    changes.append((CHANGED, vma))
            else:
                self._put(vma)
                changes.append((NEW, vma))
            if told.name == "[heap]":
                self.brk = told.end
        return changes

    def clear(self) -> list[Change]:
        """Take everything away: the process ended or became another program."""
        gone = [(GONE, vma) for vma in self._ranges]
        self._starts, self._ranges, self.brk = [], [], 0
        return gone

    def copy_to(self, other: RangeMap) -> list[Change]:
        """Give a forked child the same VMAs under numbers of their own."""
        other._ranges = [replace(vma, id=other._new_id()) for vma in self._ranges]
        for mine, copy in zip(self._ranges, other._ranges, strict=True):
            if mine.id in self.prepared:
                other.prepared.add(copy.id)
            if mine.id in self.fresh:
                other.fresh.add(copy.id)
        other._starts = list(self._starts)
        other.brk = self.brk
        return [(NEW, vma) for vma in other._ranges]

    def _overlapping(self, start: int, end: int) -> list[Range]:
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self._ranges[first].end <= start:
            first += 1
        return self._ranges[first : bisect_left(self._starts, end)]

    def _cut(self, vma: Range, start: int, end: int) -> tuple[Range | None, Range, Range | None]:
        """Return what lies before, in and after [start, end); the lowest piece keeps the number."""
        left = replace(vma, end=start) if vma.start < start else None
        middle = vma
        if left is not None:
            middle = replace(_tail(middle, start), id=self._new_id())
        right = None
        if vma.end > end:
            right = replace(_tail(vma, end), id=self._new_id())
            middle = replace(middle, end=end)
        for kind in (self.prepared, self.fresh):
            if vma.id in kind:
                kind.update(piece.id for piece in (middle, right) if piece is not None)
        return left, middle, right

    def _put(self, vma: Range) -> None:
        place = bisect_left(self._starts, vma.start)
        self._starts.insert(place, vma.start)
        self._ranges.insert(place, vma)

    def _drop(self, vma: Range) -> None:
        place = bisect_left(self._starts, vma.start)
        del self._starts[place], self._ranges[place]

    def _replace(self, old: Range, new: Range) -> None:
        place = bisect_left(self._starts, old.start)
        self._starts[place], self._ranges[place] = new.start, new


def _tail(vma: Range, start: int) -> Range:
    moved = vma.pgoff_pages + (start - vma.start) // PAGE_BYTES
    return replace(vma, start=start, pgoff_pages=moved)


def perms_of(prot: int, shared: bool) -> str:
    """Return maps' four letters for the protection bits of mmap and mprotect."""
    letters = "".join(letter if prot & bit else "-" for bit, letter in _PROT_LETTERS)
    return letters + ("s" if shared else "p")


def kind_of(vma: MapsVma) -> str:
    """Return what backs a VMA by its name in maps."""
    if vma.is_file:
        return "file"
    if vma.name.startswith(("[vvar", "[vdso", "[vsyscall")):
        return "other"
    return _KIND_OF_NAME.get(vma.name, "anon")
