"""What locks are called, and what their words say: readers, writers, sequences, references."""

from __future__ import annotations

from typing import Final

from pfviz.sim.event import SPIN

from .fold_locks import HANDOFF_BIT, READER_MASK, READER_SHIFT, RWSEM_KINDS
from .frame import RANGE_LOCK, Frame, LockState
from .numbers import address

_WRITER_BIT: Final = 1
_WAITERS_BIT: Final = 2
_WORD_MASK: Final = (1 << 64) - 1
REFCOUNT_EXCLUDED: Final = 1 << 30
"""VMA_LOCK_OFFSET in `vm_refcnt`: a writer or detacher excludes readers (include/linux/mm.h)."""
TREE_LOCK: Final = "spinlock"
"""The kind of the lock on the VMA tree in `beyond`, the one spinlock that belongs to an mm."""
OF_MM: Final = {"mmap_lock": "mmap_lock", RANGE_LOCK: "VMA ranges", TREE_LOCK: "tree lock"}
"""The locks of a whole address space, and what they are called."""


def is_of_mm(lock: LockState) -> bool:
    """Whether it guards a whole address space: mmap_lock, or in `beyond` its two parts."""
    return lock.kind in OF_MM and (lock.kind != TREE_LOCK or lock.owner >= 0)


def title(frame: Frame, lock: LockState) -> str:
    """A lock's name: `mmap_lock`, `VMA heap`, `PTL 0x2a`; with the mm when there are several."""
    if is_of_mm(lock):
        if lock.owner not in frame.mms or frame.is_only_mm(lock.owner):
            return OF_MM[lock.kind]
        return f"{OF_MM[lock.kind]} {_mm_name(frame, lock.owner)}".strip()
    if lock.kind == "vma_lock":
        vma = frame.vmas.get(lock.owner)
        if vma is None:
            return f"VMA {lock.name} (gone)"
        process = "" if frame.is_only_mm(vma.mm) else f" ({_mm_name(frame, vma.mm)})"
        return f"VMA {vma.label if vma.name else address(vma.start)}{process}"
    if lock.kind == "ptl":
        name = lock.name.removeprefix("ptl ").replace("lock ", "").replace("0x", "")
        return f"PTL {name}"
    return lock.name or f"{lock.kind} {lock.id}"


def lock_name(frame: Frame, lock: int) -> str:
    """The name of a lock by its id, as the board writes it; its number when nobody told of it."""
    return title(frame, frame.locks[lock]) if lock in frame.locks else f"lock {lock}"


def _mm_name(frame: Frame, mm: int) -> str:
    """A process's name; after an exec or a fork another mm may have the same one."""
    name = frame.mms[mm].name
    is_shared = any(other != mm and one.name == name for other, one in frame.mms.items())
    return f"{name} mm {mm}" if is_shared else name


def words(frame: Frame, lock: LockState, wide: bool = False, raw: bool = True) -> str:
    """What the lock's words say: readers or writer, waiters, sequence numbers, reference count."""
    parts: list[str] = []
    writer = lock.writer
    if lock.kind == "vma_lock":
        parts.extend(_vma_words(frame, lock))
    elif lock.kind == RANGE_LOCK and lock.holders:
        held = len(lock.holders)
        parts.append("1 range held" if held == 1 else f"{held} ranges held")
    elif writer >= 0:
        parts.append("write")
    elif lock.holders:
        spins = all(mode == SPIN for mode, _ in lock.holders.values())
        parts.append("held" if spins else f"read {len(lock.holders)}")
    elif lock.has_word and lock.kind in RWSEM_KINDS and lock.word & READER_MASK:
        parts.append("granted, not woken yet")
    elif not lock.busy:
        parts.append("free")
    if is_of_mm(lock) and lock.sequence >= 0:
        parts.append(f"seq {lock.sequence}")
    if raw and lock.has_word and lock.kind in RWSEM_KINDS:
        parts.append(f"word {lock.word & _WORD_MASK:#x}{_bits(lock.word) if wide else ''}")
    if lock.downgraded_ns >= 0 and lock.holders and writer < 0:
        since = [hold[1] for hold in lock.holders.values()]
        if lock.downgraded_ns in since:
            parts.append("downgraded")
    return " · ".join(parts)


def _bits(word: int) -> str:
    """An rwsem's count as its flags say: ` (1 reader, waiters, handoff)`."""
    readers = (word & READER_MASK) >> READER_SHIFT
    parts = [f"{readers} reader{'s' if readers != 1 else ''}"] if readers else []
    flags = ((_WRITER_BIT, "writer"), (_WAITERS_BIT, "waiters"), (HANDOFF_BIT, "handoff"))
    parts.extend(name for bit, name in flags if word & bit)
    return f" ({', '.join(parts)})" if parts else ""


def _vma_words(frame: Frame, lock: LockState) -> list[str]:
    vma = frame.vmas.get(lock.owner)
    mm_sequence = frame.mm_sequence(vma.mm) if vma is not None else -1
    sequence = frame.vma_sequence(vma) if vma is not None else lock.sequence
    parts = []
    if vma is not None and vma.detached_ns >= 0:
        is_written = frame.is_written(vma) and not frame.splits_mmap_lock(vma.mm)
        parts.append("written · detached" if is_written else "detached")
    elif vma is not None and frame.is_written(vma):
        parts.append("written")
    elif lock.holders:
        readers = len(lock.holders)
        parts.append("1 reader" if readers == 1 else f"{readers} readers")
    else:
        parts.append("unlocked")
    if vma is not None and vma.refcount > 0 and lock.has_word:
        excluded = lock.word & REFCOUNT_EXCLUDED
        references = lock.word & (REFCOUNT_EXCLUDED - 1)
        parts.append(f"refs {references}{' excluded' if excluded else ''}")
    if sequence >= 0:
        parts.append(
            f"seq {sequence} / mm {mm_sequence}" if mm_sequence >= 0 else f"seq {sequence}"
        )
    return parts
