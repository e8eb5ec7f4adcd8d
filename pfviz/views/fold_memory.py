"""Folds of what memory management reports: faults, VMAs, pages, files."""

# Every fold takes a whole event row, whatever it needs of it.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Final

from pfviz.sim import event as ev

from .frame import FaultState, Frame
from .memory_state import (
    PAGES_PER_TABLE,
    PRESENT,
    PTE_ELSEWHERE,
    PTE_HUGE,
    MmState,
    VmaState,
    tables_between,
)
from .settling import settle

PGMAJFAULT: Final = 16
TOOK_MMAP_LOCK: Final = 32
USER: Final = 4


def _mm_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[a]
    mm.parent = b
    mm.mmap_lock = c
    mm.name = f.log.texts[d]


# Faults


def _fault_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.fault = FaultState(a, b, c, d, now)
    del t.path_codes[:], t.path_ns[:]
    if t.mm < 0:
        t.mm = d
    settle(f, t, now)


def _fault_path(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    if t.fault is not None:
        t.fault.regime = a
        t.fault.attempt = b
    settle(f, t, now)


def _fault_fallback(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    texts = f.log.texts
    cause = texts[a]
    f.fallbacks[cause] = f.fallbacks.get(cause, 0) + 1
    if d >= 0 and (counter := texts[d]):
        f.counters[counter] = f.counters.get(counter, 0) + 1
    if t.fault is not None:
        t.fault.fallbacks.append((cause, b, c))
    t.path_codes.append(~a)
    t.path_ns.append(now)


def _fault_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    kind = f.log.texts[a]
    t.faults_done += 1
    fault = t.fault
    if fault is not None:
        fault.end_ns = now
        fault.kind = kind
        fault.flags = d
        fault.regime = c
    counters = f.counters
    if not kind.startswith("segv"):  # Those are refused before they are handled and counted.
        counters["pgfault"] = counters.get("pgfault", 0) + 1
    if d & PGMAJFAULT:
        counters["pgmajfault"] = counters.get("pgmajfault", 0) + 1
    if c == 1:
        counters["vma_lock_success"] = counters.get("vma_lock_success", 0) + 1
    if d & TOOK_MMAP_LOCK:  # A capture's word; see docs/captures.md.
        kernel = fault is not None and not fault.error_code & USER
        how = "anon_vma trylock" if c == 1 else "from kernel mode" if kernel else "fell back"
        for name in ("faults_with_mmap_lock", f"  {how}"):
            counters[name] = counters.get(name, 0) + 1
    f.faults_by_kind[kind] = f.faults_by_kind.get(kind, 0) + 1
    if 0 <= c < 3 and b >= 0:
        f.fault_latency[c].add(b)
        if b > f.fault_ns_max[c]:
            f.fault_ns_max[c] = b
    settle(f, t, now)


# VMAs


def _describe(f: Frame, vma: VmaState, detail: int, now: int) -> None:
    (vma.start, vma.end, vma.perms, vma.name, vma.kind, vma.pgoff, vma.has_anon_vma, vma.file) = (
        f.log.details[detail]
    )
    vma.changed_ns = now


def _vma_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    # Objects are recycled (SLAB_TYPESAFE_BY_RCU): the same id may come again as another VMA.
    vma = f.vmas[a] = VmaState(a, b, d)
    _describe(f, vma, c, now)
    f.mms[b].vmas[a] = vma
    lock = f.locks[d]
    lock.kind = "vma_lock"
    lock.owner = a


def _vma_changed(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    vma = f.vmas[a]
    _describe(f, vma, c, now)
    vma.changed_why = f.log.texts[d] if d >= 0 else ""


def _vma_detached(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.vmas[a].detached_ns = now


def _vma_freed(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    vma = f.vmas.pop(a, None)
    f.mms[b].vmas.pop(a, None)
    if vma is not None and vma.lock in f.locks and not f.locks[vma.lock].busy:
        del f.locks[vma.lock]


def _vma_lock_event(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    vma = f.vmas[a]
    what = vma.lock_what = f.log.texts[b]
    vma.lock_sequence = c
    vma.refcount = d
    if what in ("write_locked", "write_unlocked"):
        vma.writer = task if what == "write_locked" else -1
    if task < 0 or vma.lock not in f.locks:
        return
    # A refcounted VMA lock is no lock with holders of its own: this event is all there is.
    t, lock = f.tasks[task], f.locks[vma.lock]
    if what == "read_locked" and task not in lock.holders:
        lock.reads += 1
        lock.touched_ns = now
        lock.holders[task] = t.holds[lock.id] = (ev.READ, now)
        settle(f, t, now)
    elif what == "read_unlocked" and task in lock.holders:
        lock.touched_ns = now
        lock.hold_ns_max = max(lock.hold_ns_max, now - lock.holders.pop(task)[1])
        t.holds.pop(lock.id, None)
        settle(f, t, now)


# Pages


def _pte_set(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    if c & PTE_ELSEWHERE:
        _pte_cleared(f, now, task, a, b, c, d)
        mm.elsewhere.update(range(a >> 12, (a >> 12) + b))
        return
    if mm.elsewhere:
        mm.elsewhere.difference_update(range(a >> 12, (a >> 12) + b))
    if c & PTE_HUGE:
        mm.huge.add(a >> 21)
    elif mm.huge:
        mm.huge.discard(a >> 21)
    byte = PRESENT | (c & 0x3F)
    if b == 1:
        number = (a >> 12) & (PAGES_PER_TABLE - 1)
        table = mm.tables.get(a >> 21)
        if table is None:
            table = mm.tables[a >> 21] = bytearray(PAGES_PER_TABLE)
        if not table[number]:
            mm.pages_present += 1
        table[number] = byte
        return
    page, last = a >> 12, (a >> 12) + b
    while page < last:
        stop = min((page | (PAGES_PER_TABLE - 1)) + 1, last)
        table = mm.tables.setdefault(page >> 9, bytearray(PAGES_PER_TABLE))
        first = page & (PAGES_PER_TABLE - 1)
        _put(mm, table, first, first + stop - page, byte)
        page = stop


def _pte_cleared(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    page, last = a >> 12, (a >> 12) + b
    if mm.elsewhere:
        mm.elsewhere.difference_update(range(page, last))
    if mm.huge:
        mm.huge.difference_update(range(page >> 9, ((last - 1) >> 9) + 1))
    for number in tables_between(mm.tables, page >> 9, (last - 1) >> 9):
        first = max(page - (number << 9), 0)
        stop = min(last - (number << 9), PAGES_PER_TABLE)
        table = mm.tables[number]
        _put(mm, table, first, stop, 0)
        if stop - first > 1 and table.count(0) == PAGES_PER_TABLE:
            del mm.tables[number]


def _put(mm: MmState, table: bytearray, first: int, stop: int, byte: int) -> None:
    absent = table.count(0, first, stop)
    mm.pages_present += absent if byte else absent - (stop - first)
    table[first:stop] = bytes((byte,)) * (stop - first)


def _page_table(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    if c == 1 and f.log.texts[a] in ("free", "unlink"):
        mm = f.mms[d]
        table = mm.tables.pop(b >> 21, None)
        if table is not None:
            mm.pages_present -= PAGES_PER_TABLE - table.count(0)


# Files


def _file_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    file = f.files[a]
    file.name = f.log.texts[b]
    file.pages = c
    file.pages_present = d


def _page_cache(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    what = f.log.texts[a]
    if what in ADDED:
        f.files[b].pages_present += d
    elif what in REMOVED:
        f.files[b].pages_present = max(f.files[b].pages_present - d, 0)


ADDED: Final = frozenset(("added", "add", "present", "filled", "uptodate", "read"))
REMOVED: Final = frozenset(("removed", "remove", "evicted", "truncated"))


def _io_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.files[a].reads_in_flight += 1
    if task >= 0:
        t = f.tasks[task]
        t.io = True
        settle(f, t, now)


def _io_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    file = f.files[a]
    file.reads_in_flight = max(file.reads_in_flight - 1, 0)
    if task >= 0:
        t = f.tasks[task]
        t.io = False
        settle(f, t, now)


def _tlb_flush(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.tlb_flushes += 1


def _ipi(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.ipis += 1


FOLDS: Final = {
    ev.MM_NEW: _mm_new,
    ev.FAULT_BEGIN: _fault_begin,
    ev.FAULT_PATH: _fault_path,
    ev.FAULT_FALLBACK: _fault_fallback,
    ev.FAULT_END: _fault_end,
    ev.VMA_NEW: _vma_new,
    ev.VMA_CHANGED: _vma_changed,
    ev.VMA_DETACHED: _vma_detached,
    ev.VMA_FREED: _vma_freed,
    ev.VMA_LOCK_EVENT: _vma_lock_event,
    ev.PTE_SET: _pte_set,
    ev.PTE_CLEARED: _pte_cleared,
    ev.PAGE_TABLE: _page_table,
    ev.PAGE_CACHE: _page_cache,
    ev.IO_BEGIN: _io_begin,
    ev.IO_END: _io_end,
    ev.TLB_FLUSH: _tlb_flush,
    ev.IPI: _ipi,
    ev.FILE_NEW: _file_new,
}
