"""What each kernel event of a capture means for the log, one function an event.

A function is given the thread whose line it is and the argument text; it knows no other line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pfviz.sim import event as ev
from pfviz.sim.event import signed
from pfviz.trace import fields
from pfviz.trace.infer_mms import OWN_MM_CALLS
from pfviz.trace.infer_tasks import Io, Operation, Thread

if TYPE_CHECKING:
    from pfviz.trace.infer import Inference

Handler = Callable[["Inference", Thread, str], None]

_SECTORS_PER_PAGE = 8
_CLONE_THREAD = 0x10000
# Another CPU's shootdown and a task switch strike a thread anywhere; these are its own doing.
_OWN_FLUSHES = ("local mm shootdown", "remote ipi send", "local shootdown")


def _page_fault(run: Inference, thread: Thread, args: str, from_kernel: bool) -> None:
    found = fields.read_page_fault(args)
    if found is None:
        run.damaged += 1
        return
    run.close_fault(thread)
    mm = run.mms.of(thread)
    address = found.address if found.address is not None else 0
    vma = mm.vmas.at(address)
    fault = run.faults.open(thread.tid, address, found.error_code, from_kernel, mm.id, vma)
    if vma is not None:
        fault.is_prepared = vma.id in mm.vmas.prepared
        fault.is_fresh = vma.id in mm.vmas.fresh
    thread.fault = fault


def _page_fault_user(run: Inference, thread: Thread, args: str) -> None:
    _page_fault(run, thread, args, from_kernel=False)


def _page_fault_kernel(run: Inference, thread: Thread, args: str) -> None:
    _page_fault(run, thread, args, from_kernel=True)


def _start_locking(run: Inference, thread: Thread, args: str) -> None:
    lock = fields.read_mmap_lock(args)
    if lock is None:
        run.damaged += 1
        return
    fault = thread.fault
    if fault is not None and fault.from_kernel and (lock.write or fault.ended_exactly):
        run.close_fault(thread)  # This one is the system call's own.
    if thread.io is not None:
        run.end_io(thread)
    run.locks.start(thread, lock)


def _acquire_returned(run: Inference, thread: Thread, args: str) -> None:
    lock = fields.read_mmap_lock(args)
    if lock is None:
        run.damaged += 1
        return
    run.locks.returned(thread, lock)
    fault = thread.fault
    if fault is not None and lock.write and lock.success:
        run.mms.stack_grew(thread, fault.address)


def _released(run: Inference, thread: Thread, args: str) -> None:
    lock = fields.read_mmap_lock(args)
    if lock is None:
        run.damaged += 1
    else:
        run.locks.released(thread, lock)


def _contention_begin(run: Inference, thread: Thread, args: str) -> None:
    found = fields.read_contention(args)
    if found is None:
        run.damaged += 1
    else:
        run.locks.contention_begins(thread, *found)


def _contention_end(run: Inference, thread: Thread, args: str) -> None:
    found = fields.read_contention(args)
    if found is None:
        run.damaged += 1
    else:
        run.locks.contention_ends(thread, *found)


def _tlb_flush(run: Inference, thread: Thread, args: str) -> None:
    found = fields.read_tlb_flush(args)
    if found is None:
        run.damaged += 1
        return
    pages, reason = found
    mm = thread.mm.id if thread.mm is not None else -1
    row = run.rows.add(ev.TLB_FLUSH, thread.tid, run.text(reason), pages, -1, mm)
    if thread.fault is not None and reason.lower() in _OWN_FLUSHES:
        thread.fault.inside(run.rows.now_ns, row)


def sys_enter(run: Inference, thread: Thread, args: str) -> None:
    run.close_fault(thread)
    call, _, rest = args.partition(" ")
    values = fields.read_call(rest)
    operation = Operation(call, thread.operations, run.rows.now_ns, values)
    thread.operation = operation
    thread.operations += 1
    address = values.get("addr", values.get("start", values.get("brk", 0)))
    length = values.get("len", values.get("len_in", values.get("old_len", 0)))
    run.rows.add(
        ev.OP_BEGIN, thread.tid, run.text(call), signed(address), signed(length), operation.index
    )


def sys_exit(run: Inference, thread: Thread, args: str) -> None:
    run.close_fault(thread)
    call, _, returned = args.partition(" ")
    operation = thread.operation
    result = fields.read_returned(returned)
    if operation is None or operation.name != call or result is None:
        return  # A child returns from its parent's clone; a beginning may be lost.
    if call in OWN_MM_CALLS:
        run.mms.applied(thread, operation, result)
    elif call == "execve" and result == 0:
        run.mms.executed(thread)
    thread.operation = None
    latency_ns = run.rows.now_ns - operation.since_ns
    run.rows.add(ev.OP_END, thread.tid, run.text(call), latency_ns, signed(result), operation.index)


def _task_newtask(run: Inference, thread: Thread, args: str) -> None:
    found = fields.read_newtask(args)
    if found is None:
        run.damaged += 1
        return
    tid, flags = found
    mm = run.mms.cloned(thread, tid, flags)
    run.tasks.begin(tid, run.cpu, mm, thread.tgid if flags & _CLONE_THREAD else 0)


def _process_exit(run: Inference, thread: Thread, _args: str) -> None:
    run.close_fault(thread)
    thread.exiting = True


def _exit_mmap(run: Inference, thread: Thread, _args: str) -> None:
    if thread.fault is not None:
        thread.fault.killed()
    run.close_fault(thread)
    run.mms.destroyed(thread)


def _maple(run: Inference, thread: Thread, kind: int, args: str) -> None:
    found = fields.read_maple(args)
    if found is None:
        run.damaged += 1
        return
    mm = next(reversed(thread.holds.values()), None)
    if mm is None:
        run.foreign_tree_events += 1  # Some other maple tree: VMAs change under mmap_lock only.
        return
    value = int(found.value, 16) if found.value.strip("0x") else -1
    node = int(found.node, 16)
    detail = (found.minimum, found.maximum, found.first, found.last, node, 0, value)
    row = run.rows.add(
        kind, thread.tid, run.text(found.function), signed(found.first),
        run.rows.log.detail(detail), mm.id,
    )  # fmt: skip
    fault = thread.fault
    if fault is not None:
        fault.inside(run.rows.now_ns, row)
        fault.found_vma |= kind == ev.MA_READ and found.first >> 12 == fault.address >> 12


def _ma_read(run: Inference, thread: Thread, args: str) -> None:
    _maple(run, thread, ev.MA_READ, args)


def _ma_write(run: Inference, thread: Thread, args: str) -> None:
    _maple(run, thread, ev.MA_WRITE, args)


def _ma_op(run: Inference, thread: Thread, args: str) -> None:
    _maple(run, thread, ev.MA_OP, args)


def _filemap(run: Inference, thread: Thread, what: str, args: str) -> None:
    found = fields.read_filemap(args)
    if found is None:
        run.damaged += 1
        return
    major, minor, inode, first, count = found
    file = run.mms.file(major, minor, inode)
    row = run.rows.add(ev.PAGE_CACHE, thread.tid, run.text(what), file, first, count)
    if thread.fault is not None:
        thread.fault.inside(run.rows.now_ns, row)
        thread.fault.file = True
        thread.last_file = (file, first)


def _filemap_fault(run: Inference, thread: Thread, args: str) -> None:
    _filemap(run, thread, "looked up", args)


def _filemap_map_pages(run: Inference, thread: Thread, args: str) -> None:
    _filemap(run, thread, "mapped around", args)


def _filemap_add(run: Inference, thread: Thread, args: str) -> None:
    _filemap(run, thread, "added", args)


def _filemap_delete(run: Inference, thread: Thread, args: str) -> None:
    _filemap(run, thread, "removed", args)


def _block_issue(run: Inference, thread: Thread, args: str) -> None:
    found = fields.read_block_request(args)
    if found is None:
        run.damaged += 1
        return
    is_read, sectors = found
    fault = thread.fault
    if not is_read or fault is None or thread.last_file is None or not fault.file:
        return  # Written back or read ahead for a read(): no fault waits for it.
    fault.io = True
    run.end_io(thread)
    file, index = thread.last_file
    count = max(sectors // _SECTORS_PER_PAGE, 1)
    thread.io = Io(file, index, count, run.rows.now_ns)
    fault.inside(run.rows.now_ns, run.rows.add(ev.IO_BEGIN, thread.tid, file, index, count))


HANDLERS: Final[dict[str, Handler]] = {
    "page_fault_user": _page_fault_user,
    "page_fault_kernel": _page_fault_kernel,
    "mmap_lock_start_locking": _start_locking,
    "mmap_lock_acquire_returned": _acquire_returned,
    "mmap_lock_released": _released,
    "contention_begin": _contention_begin,
    "contention_end": _contention_end,
    "tlb_flush": _tlb_flush,
    "task_newtask": _task_newtask,
    "sched_process_exit": _process_exit,
    "exit_mmap": _exit_mmap,
    "ma_read": _ma_read,
    "ma_write": _ma_write,
    "ma_op": _ma_op,
    "mm_filemap_fault": _filemap_fault,
    "mm_filemap_map_pages": _filemap_map_pages,
    "mm_filemap_add_to_page_cache": _filemap_add,
    "mm_filemap_delete_from_page_cache": _filemap_delete,
    "block_rq_issue": _block_issue,
}
"""By the kernel's event name; `sys_enter` and `sys_exit` take every system call."""
