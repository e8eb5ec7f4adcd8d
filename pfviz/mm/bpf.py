"""What a BPF program does to an address space that it looks at: an operation, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfviz.mm.operations import Place


@dataclass(frozen=True, slots=True)
class BpfVmaIter:
    """Lock the VMA at `place`, and with it held call something that takes mmap_lock.

    `tries` is how it was repaired: the callee only tries mmap_lock, and gives up.
    """

    place: Place
    tries: bool = False
