"""VMAs come and go: allocation, duplication for splits and forks, freeing as the kernel does it.

Plain functions to be called from a step; which locks must be held is the caller's business.
"""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any

from pfviz.mm.vma import VM_HUGETLB, VM_UFFD, Vma
from pfviz.sim import event
from pfviz.sync.refcount import LimitedRefcount
from pfviz.sync.rwsem import RwSemaphore

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.world import Mm


def vm_area_alloc(
    engine: Mm, mm: AddressSpace, start: int, end: int, flags: int, **fields: Any
) -> Vma:
    """A VMA that is in no tree yet, with the lock that this world's kernel gives it.

    `fields` are further fields of `Vma`; vm_pgoff defaults to the page number of `start`.
    """
    pgoff = fields.pop("vm_pgoff", start >> 12)
    world = engine.world
    vma = Vma(engine.new_id(), mm, start, end, flags, pgoff, **fields)
    if world.vma_cache:
        vma = _recycle(world.vma_cache.pop(), vma)
    if world.has_vma_lock:
        if world.preset.vma_lock == "rwsem":
            vma.vm_lock = RwSemaphore(engine, "vma_lock", f"vm_lock {vma.id}", vma.id)
        else:
            vma.vm_refcnt = LimitedRefcount(engine, "vma_lock", f"vm_refcnt {vma.id}", vma.id)
    if world.splits_mmap_lock:
        vma.vm_lock_seq = 0
    vma.emit_new(engine)
    return vma


def vm_area_dup(engine: Mm, vma: Vma, start: int, end: int, mm: AddressSpace | None = None) -> Vma:
    """A copy of a VMA over [start, end), for a split (or, with `mm`, for a child): no anon_vma.

    A child's VMA has no userfaultfd (dup_userfaultfd without UFFD_FEATURE_EVENT_FORK).
    """
    return vm_area_alloc(
        engine,
        mm or vma.mm,
        start,
        end,
        vma.vm_flags if mm is None else vma.vm_flags & ~VM_UFFD,
        vm_pgoff=vma.page_index(start),
        kind=vma.kind,
        name=vma.name,
        vm_file=vma.vm_file,
        userfaultfd=vma.userfaultfd if mm is None else None,
    )


def vm_area_free(engine: Mm, vma: Vma, unreachable: bool = False) -> None:
    """Free a detached VMA: after a grace period (6.4-6.14 and lockless worlds) or at once.

    `unreachable`: no reader can be on its way to it, for its whole address space is gone.
    """
    assert vma.detached, f"VMA {vma.id} is freed while readers can lock it"
    engine.cost("vma_free")
    if vma.vm_flags & VM_HUGETLB:
        engine.world.hugetlb.close(engine, vma)  # type: ignore[union-attr]
    if engine.world.vma_free == "rcu" and not unreachable:
        engine.world.rcu.call_rcu(engine, "vm_area_struct", vma, free_vma)
    else:
        free_vma(engine, vma)


def free_vma(engine: Mm, vma: Vma) -> None:
    """The memory of the VMA is given back: nobody may look at it any more."""
    assert not vma.freed, f"VMA {vma.id} freed twice"
    vma.freed = True
    engine.emit(event.VMA_FREED, vma.id, vma.mm.id)
    if engine.world.vma_free == "typesafe":
        engine.world.vma_cache.append(vma)


def _recycle(old: Vma, new: Vma) -> Vma:
    """Give a freed object the fields of a new VMA (SLAB_TYPESAFE_BY_RCU, 6.15+).

    Who still points to it finds a valid VMA that may be another one, of another process: that is
    why a reader checks mm and range once it holds the reference count.
    """
    for name in (one.name for one in dataclass_fields(Vma)):
        setattr(old, name, getattr(new, name))
    return old
