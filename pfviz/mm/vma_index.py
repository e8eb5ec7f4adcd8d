"""What paths ask of the structure that holds an address space's VMAs, whatever tree it is.

Two answer: `vma_tree.VmaTree` (a maple tree, 6.1 and later) and `rb_vma_tree.RbVmaTree` (until
6.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm


class VmaIndex(Protocol):
    """VMAs by address: look-ups, stores and gaps, charged and reported as the kernel's are."""

    mm_id: int

    def lookup(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address; charges the walk, emits TREE_WALK."""
        ...

    def find(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address (find_vma), charged and reported as such."""
        ...

    def load(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address (vma_lookup), charged and reported as such."""
        ...

    def next_at(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address, for one who goes through all of them."""
        ...

    def at(self, address: int) -> Vma | None:
        """The VMA that covers an address, without cost or event (for rules and set-up)."""
        ...

    def next_of(self, vma: Vma) -> Vma | None:
        """The VMA after one in the tree."""
        ...

    def prev_of(self, vma: Vma) -> Vma | None:
        """The VMA before one in the tree."""
        ...

    def before(self, address: int) -> Vma | None:
        """The last VMA that begins below an address."""
        ...

    def between(self, start: int, end: int) -> Iterator[Vma]:
        """The VMAs that touch [start, end), ascending; do not store while iterating."""
        ...

    def gap_below(self, low: int, high: int, length: int) -> int | None:
        """The start of the highest free range of `length` bytes in [low, high)."""
        ...

    def __iter__(self) -> Iterator[Vma]: ...

    def __len__(self) -> int: ...

    def prealloc(self, engine: Mm, start: int, end: int, vma: Vma | None) -> Any:
        """Plan a store of `vma` (None clears) over [start, end), so that it cannot fail."""
        ...

    def store_prealloc(self, engine: Mm, plan: Any) -> None:
        """Carry out a planned store."""
        ...

    def store(
        self, engine: Mm, start: int, end: int, vma: Vma | None, via: str, bulk: bool = False
    ) -> None:
        """Store `vma` (None clears) over [start, end), planning and storing in one."""
        ...

    def copy_from(self, engine: Mm, other: Any) -> None:
        """Become a copy of another tree of the same kind, entries included."""
        ...

    def destroy(self, engine: Mm) -> None:
        """Drop every node."""
        ...

    def set_rcu(self, readers: bool) -> None:
        """Whether somebody may walk the tree without a lock from now on."""
        ...

    @property
    def replaces_nodes(self) -> bool:
        """Whether stores leave old nodes to those who walk without a lock (RCU mode)."""
        ...

    def check(self) -> None:
        """Check every invariant of the structure; raises AssertionError with the tree drawn."""
        ...

    @property
    def dead_nodes(self) -> int:
        """How many replaced nodes wait for their grace period."""
        ...
