"""Which address space a thread works on, and what its system calls do to the VMAs in it.

An mm is known by the hashed pointer in mmap_lock events; pointers are reused after exit_mmap.
"""

from __future__ import annotations

from pfviz.sim import event as ev
from pfviz.sim.event import signed
from pfviz.trace.infer_tasks import Mm, Operation, Thread
from pfviz.trace.infer_vmas import (
    GONE,
    MAP_ANONYMOUS,
    MAP_SHARED,
    MAP_TYPE,
    NEW,
    Change,
    RangeMap,
    perms_of,
)
from pfviz.trace.late_rows import LateRows
from pfviz.trace.maps import PAGE_BYTES, MapsVma, ProcessMaps

# System calls that lock the mmap_lock of the caller's own mm.
OWN_MM_CALLS = frozenset(
    ("mmap", "munmap", "mprotect", "madvise", "mremap", "brk", "mlock", "munlock", "msync")
)
_CLONES = ("fork", "vfork", "clone", "clone3")
_EXITS = ("exit", "exit_group")
# Calls in which a lock on an unknown mm is a lock on the caller's own.
_OWN_FIRST = OWN_MM_CALLS | {"execve", *_CLONES}
_MADV_DONTNEED = 4
_CLONE_VM = 0x100
_USER_BYTES = 1 << 47  # x86-64 with four levels of page tables.

FileKey = tuple[int, int, int]  # major, minor, inode


class Mms:
    """The address spaces of a capture and the files mapped in them."""

    def __init__(self, rows: LateRows) -> None:
        self._rows = rows
        self._by_pointer: dict[str, Mm] = {}
        self._by_process: dict[int, Mm] = {}
        self._files: dict[FileKey, int] = {}
        self._names: dict[FileKey, str] = {}
        self._cloned: dict[int, Mm] = {}
        self._all: list[Mm] = []

    def at_pointer(self, thread: Thread, pointer: str) -> Mm:
        """Return the mm whose mmap_lock the thread touches, making it when it is new."""
        mm = self._by_pointer.get(pointer)
        operation = thread.operation
        call = operation.name if operation is not None else ""
        if mm is None or (mm is not thread.mm and self._is_made_by(call, thread, mm)):
            mm = self._by_pointer[pointer] = self._meet(thread, pointer, call)
        own = call in OWN_MM_CALLS or (operation is None and thread.fault is not None)
        if own and thread.mm is not mm:
            thread.mm = mm
            self._by_process.setdefault(thread.tgid or thread.tid, mm)
        return mm

    def _is_made_by(self, call: str, thread: Thread, mm: Mm) -> bool:
        """Whether a known pointer must be a new mm, the old one's end having gone unseen."""
        if call == "execve" and thread.operation is not None:
            return not thread.operation.new_mms
        return call in _CLONES and thread.tid not in mm.holders and not self._cloned.get(thread.tid)

    def _meet(self, thread: Thread, pointer: str, call: str) -> Mm:
        """A pointer that was not seen before: say whose mm it is."""
        operation = thread.operation
        if call == "execve" and operation is not None and not operation.new_mms:
            mm = self._new(thread, pointer, None)  # execve locks the new mm first, then the old.
            operation.new_mms.append(mm)
            return mm
        if call in _CLONES and thread.mm is not None and thread.mm.pointer:
            mm = self._cloned[thread.tid] = self._new(thread, pointer, thread.mm)
            return mm
        own = thread.fault is not None and operation is None
        if thread.mm is not None and not thread.mm.pointer and (own or call in _OWN_FIRST):
            thread.mm.pointer = pointer
            return thread.mm
        mm = self._new(thread, pointer, None)
        if thread.mm is None and call in _OWN_FIRST:
            thread.mm = mm
        return mm

    def of(self, thread: Thread) -> Mm:
        """Return the thread's own mm, as far as it can be told yet."""
        if thread.mm is None or thread.mm.is_gone:
            process = thread.tgid or thread.tid
            mm = _executed(thread.operation) or self._by_process.get(process)
            if mm is None or mm.is_gone:
                mm = self._new(thread, "", None)
            thread.mm = self._by_process[process] = mm
        return thread.mm

    def cloned(self, parent: Thread, child: int, clone_flags: int) -> Mm | None:
        """Return the mm of a new task: the parent's with CLONE_VM, else the one just copied."""
        if clone_flags & _CLONE_VM:
            return parent.mm
        mm = self._cloned.pop(parent.tid, None)
        if mm is not None and parent.mm is not None:
            mm.process = child
            self._by_process[child] = mm
            self._tell(mm, parent.mm.vmas.copy_to(mm.vmas), "fork")
        return mm

    def executed(self, thread: Thread) -> None:
        """The thread runs another program now: what it locked meanwhile is its new mm."""
        mm = _executed(thread.operation)
        if mm is None:
            return
        process = thread.tgid or thread.tid
        if thread.mm is not None and thread.mm is not mm and thread.mm.process == process:
            thread.mm.ended_by_exec = True
        thread.mm = self._by_process[process] = mm

    def destroyed(self, thread: Thread) -> None:
        """exit_mmap: the mm that the thread holds for write is taken down."""
        for mm in thread.holds.values():
            if mm.holders.get(thread.tid, (0, 0))[1]:
                self._take_down(mm, thread)

    def written(self, thread: Thread, mm: Mm) -> None:
        """The thread releases an mm it held for write; at its end that was exit_mmap.

        Not every capture has the exit_mmap event, so a write lock taken when a thread exits, or by
        execve on the mm it leaves, counts as one. Only then may the pointer come again.
        """
        operation = thread.operation
        call = operation.name if operation is not None else ""
        leaves = call == "execve" and operation is not None and mm not in operation.new_mms
        if not mm.is_gone and (thread.exiting or call in _EXITS or leaves):
            self._take_down(mm, thread)
        if mm.is_gone and self._by_pointer.get(mm.pointer) is mm:
            del self._by_pointer[mm.pointer]

    def _take_down(self, mm: Mm, thread: Thread) -> None:
        self._clear_range(mm, 0, _USER_BYTES)
        self._tell(mm, mm.vmas.clear(), "exit")
        mm.is_gone = True
        mm.ended_by_exec = thread.operation is not None and thread.operation.name == "execve"

    def applied(self, thread: Thread, operation: Operation, result: int) -> None:
        """Do to the VMAs what a system call that succeeded did."""
        if result < 0:
            return
        call, args = operation.name, operation.arguments
        mm = self.of(thread)
        changes: list[Change] = []
        start, length = args.get("addr", args.get("start", 0)), _pages(args.get("len", 0))
        if call == "mmap":
            flags = args.get("flags", 0)
            anonymous = bool(flags & MAP_ANONYMOUS)
            perms = perms_of(args.get("prot", 0), flags & MAP_TYPE == MAP_SHARED)
            name = "" if anonymous else f"fd {args.get('fd', 0)}"
            offset = (result if anonymous else args.get("off", 0)) // PAGE_BYTES
            kind = "anon" if anonymous else "file"
            changes = mm.vmas.map(result, result + length, perms, name, kind, offset)
            self._clear_pages(mm, [change for change in changes if change[0] == GONE])
        elif call == "munmap":
            changes = mm.vmas.unmap(start, start + length)
            self._clear_range(mm, start, length)
        elif call == "mprotect":
            rights = perms_of(args.get("prot", 0), shared=False)[:3]
            changes = mm.vmas.protect(start, start + length, rights)
        elif call == "brk":
            changes = mm.vmas.set_brk(result)
        elif call == "mremap":
            old_length = _pages(args.get("old_len", 0))
            new_length = _pages(args.get("new_len", 0))
            changes = mm.vmas.move(start, old_length, result, new_length)
            if result != start:
                self._clear_range(mm, start, old_length)
        elif call == "madvise" and args.get("behavior") == _MADV_DONTNEED:
            self._clear_range(mm, start, _pages(args.get("len_in", 0)))
        self._tell(mm, changes, call)

    def stack_grew(self, thread: Thread, address: int) -> None:
        """A fault below a stack took the mmap_lock for write: the stack reaches it now."""
        mm = self.of(thread)
        self._tell(mm, mm.vmas.grow_down(address), "stack growth")

    def snapshot(self, thread: Thread, maps: ProcessMaps) -> None:
        """Take over the VMAs of a copy of /proc/PID/maps."""
        mm = self.of(thread)
        for told in maps.vmas:
            key = _file_key(told)
            if key is not None:
                self._names[key] = told.name
        self._tell(mm, mm.vmas.replace_all(maps.vmas), "as in maps", maps.vmas)

    def file(self, major: int, minor: int, inode: int) -> int:
        """Return the id of a file, telling the log of it when it is new."""
        key = (major, minor, inode)
        found = self._files.get(key)
        if found is None:
            found = self._files[key] = self._rows.new_id()
            name = self._names.get(key, f"inode {inode} on {major}:{minor}")
            self._rows.add(ev.FILE_NEW, -1, found, self._rows.log.text(name), 0, 0)
        return found

    def finish(self, threads: dict[int, Thread]) -> None:
        """Name every mm after the process that has it."""
        texts = self._rows.log.texts
        for mm in self._all:
            owner = threads.get(mm.process)
            name = f"{texts[owner.name_text]} {mm.process}" if owner else f"{mm.process}"
            texts[mm.name_text] = f"{name} before exec" if mm.ended_by_exec else name

    def _new(self, thread: Thread, pointer: str, parent: Mm | None) -> Mm:
        rows = self._rows
        name = len(rows.log.texts)
        rows.log.texts.append("")  # Filled in by `finish`, when names are final.
        mm = Mm(
            rows.new_id(), rows.new_id(), RangeMap(rows.new_id), pointer,
            thread.tgid or thread.tid, name
        )  # fmt: skip
        self._all.append(mm)
        lock_name, kind = rows.log.text("mmap_lock"), rows.log.text("mmap_lock")
        rows.add(ev.MM_NEW, thread.tid, mm.id, parent.id if parent else -1, mm.lock, name)
        rows.add(ev.LOCK_NEW, thread.tid, mm.lock, kind, lock_name, mm.id)
        return mm

    def _tell(
        self, mm: Mm, changes: list[Change], why: str, told: tuple[MapsVma, ...] = ()
    ) -> None:
        rows = self._rows
        keys = {vma.start: _file_key(vma) for vma in told}
        for what, vma in changes:
            if what == GONE:
                rows.add(ev.VMA_DETACHED, -1, vma.id, mm.id)
                rows.add(ev.VMA_FREED, -1, vma.id, mm.id)
                continue
            key = keys.get(vma.start)
            file = self.file(*key) if key is not None else -1
            detail = rows.log.detail(
                (vma.start, vma.end, vma.perms, vma.name, vma.kind, vma.pgoff_pages, False, file)
            )
            if what == NEW:
                rows.add(ev.VMA_NEW, -1, vma.id, mm.id, detail, -1)
            else:
                rows.add(ev.VMA_CHANGED, -1, vma.id, mm.id, detail, rows.log.text(why))

    def _clear_pages(self, mm: Mm, changes: list[Change]) -> None:
        for _, vma in changes:
            self._clear_range(mm, vma.start, vma.end - vma.start)

    def _clear_range(self, mm: Mm, start: int, length: int) -> None:
        if length:
            self._rows.add(ev.PTE_CLEARED, -1, signed(start), length // PAGE_BYTES, 0, mm.id)


def _executed(operation: Operation | None) -> Mm | None:
    """The mm that execve built: the last one it locked that it did not take down."""
    if operation is None:
        return None
    return next((mm for mm in reversed(operation.new_mms) if not mm.is_gone), None)


def _pages(length: int) -> int:
    return -(-length // PAGE_BYTES) * PAGE_BYTES


def _file_key(vma: MapsVma) -> FileKey | None:
    """maps prints a device as hex `fe:00`, the page cache's events as decimal `254:0`."""
    if not vma.is_file:
        return None
    major, _, minor = vma.dev.partition(":")
    return int(major, 16), int(minor, 16), vma.inode
