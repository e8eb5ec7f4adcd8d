"""From a page back to the VMAs that may map it: anon_vmas and their root lock.

Only what locking and merging need: who shares an anon_vma, under which root rwsem. Knows no paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.sim.engine import Engine
from pfviz.sync.rwsem import RwSemaphore

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma


@dataclass(slots=True, eq=False)
class AnonVma:
    """One anon_vma: the VMAs in its interval tree may map its pages."""

    id: int
    rwsem: RwSemaphore
    """The root's lock: the only one ever taken (anon_vma_lock_write locks anon_vma->root)."""
    root_id: int
    vmas: dict[int, Vma] = field(default_factory=dict)
    """The VMAs linked to it (its interval tree), by their ids, in order."""


def new_anon_vma(engine: Engine[Any]) -> AnonVma:
    """A fresh root anon_vma (anon_vma_alloc), linked to no VMA yet."""
    number = engine.new_id()
    return AnonVma(number, RwSemaphore(engine, "anon_vma", f"anon_vma {number}", -1), number)


def link_vma(vma: Vma, anon_vma: AnonVma) -> None:
    """Chain a VMA to an anon_vma (anon_vma_chain_link)."""
    vma.anon_vma_chain.append(anon_vma)
    anon_vma.vmas[vma.id] = vma


def find_mergeable_anon_vma(prev: Vma | None, vma: Vma, following: Vma | None) -> AnonVma | None:
    """A neighbour's anon_vma that this VMA may share, so that the two can merge later.

    The next VMA is asked first (mm/mmap.c). It must touch, agree in flags but access bits, file and
    offset, and have a chain of one. Callers hold mmap_lock: the neighbours are not VMA-locked.
    """
    if following is not None and _reusable(vma, following):
        return following.anon_vma
    if prev is not None and _reusable(prev, vma):
        return prev.anon_vma
    return None


def _reusable(below: Vma, above: Vma) -> bool:
    anon_vma = above.anon_vma or below.anon_vma
    if anon_vma is None or below.vm_end != above.vm_start:
        return False
    owner = above if above.anon_vma is not None else below
    ignored = 0x7  # VM_ACCESS_FLAGS
    return (
        below.vm_flags & ~ignored == above.vm_flags & ~ignored
        and below.vm_file is above.vm_file
        and above.vm_pgoff == below.vm_pgoff + below.pages
        and len(owner.anon_vma_chain) == 1
    )


def anon_vma_clone(target: Vma, source: Vma) -> None:
    """Chain `target` to every anon_vma of `source` (a split, or the first half of a fork)."""
    for anon_vma in source.anon_vma_chain:
        link_vma(target, anon_vma)


def anon_vma_fork(engine: Engine[Any], child: Vma, parent: Vma) -> None:
    """Give a child's VMA its parent's chain and an anon_vma of its own under the same root.

    A parent without an anon_vma has no pages to share: the child gets nothing either. The caller
    holds the root's rwsem for writing when `parent.anon_vma` is set.
    """
    child.anon_vma = None
    if parent.anon_vma is None:
        return
    anon_vma_clone(child, parent)
    own_anon_vma(engine, child, parent.anon_vma)


def own_anon_vma(engine: Engine[Any], child: Vma, parent: AnonVma) -> None:
    """Give a forked VMA an anon_vma of its own below its parent's (second half of a fork)."""
    own = AnonVma(engine.new_id(), parent.rwsem, parent.root_id)
    link_vma(child, own)
    child.anon_vma = own


def unlink_anon_vmas(vma: Vma) -> None:
    """Take a VMA out of all its anon_vmas (free_pgtables does it before it frees tables)."""
    for anon_vma in vma.anon_vma_chain:
        del anon_vma.vmas[vma.id]
    vma.anon_vma_chain.clear()
    vma.anon_vma = None


def has_anon_vma(vma: Vma, number: int) -> bool:
    """Whether the page of an anon_vma can be found from this VMA (for the rules, I13)."""
    return any(anon_vma.id == number for anon_vma in vma.anon_vma_chain)
