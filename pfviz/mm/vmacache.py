"""The vmacache: each thread remembers the VMAs that it found last, four of them by address.

mm/vmacache.c, until Linux 6.0; the maple tree made it superfluous. A look-up that hits walks no
tree. It refuses to know trees and locks: mmap_lock must be held as for any look-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma

VMACACHE_SIZE: Final = 4
VMACACHE_SHIFT: Final = 21
"""PMD_SHIFT on x86-64: addresses in one page table share an entry."""


@dataclass(slots=True, eq=False)
class VmaCache:
    """What one thread remembers (struct vmacache); only of its own address space."""

    seqnum: int = 0
    """mm->vmacache_seqnum when it was filled; any other number there makes it void."""
    vmas: list[Vma | None] = field(default_factory=lambda: [None] * VMACACHE_SIZE)

    def is_valid(self, seqnum: int) -> bool:
        """Whether nothing was unmapped since; if so, forget everything and begin again."""
        if self.seqnum == seqnum:
            return True
        self.seqnum = seqnum
        self.vmas = [None] * VMACACHE_SIZE
        return False

    def find(self, seqnum: int, address: int) -> tuple[int, Vma] | None:
        """The entry that covers an address and its place, the likely place first, then the rest.

        `seqnum` is the address space's number now.
        """
        if not self.is_valid(seqnum):
            return None
        first = slot_of(address)
        for step in range(VMACACHE_SIZE):
            slot = (first + step) % VMACACHE_SIZE
            vma = self.vmas[slot]
            if vma is not None and vma.vm_start <= address < vma.vm_end:
                return slot, vma
        return None

    def update(self, address: int, vma: Vma) -> int:
        """Remember what a walk found for an address; returns the place."""
        slot = slot_of(address)
        self.vmas[slot] = vma
        return slot


def slot_of(address: int) -> int:
    """The place of an address (VMACACHE_HASH)."""
    return (address >> VMACACHE_SHIFT) & (VMACACHE_SIZE - 1)
