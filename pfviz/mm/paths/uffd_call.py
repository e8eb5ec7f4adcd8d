"""The calls of a userfaultfd monitor: from the system call to the chain that carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.errno import EAGAIN, EBADF, EINVAL
from pfviz.mm.operations import PAGE_SIZE, Uffd
from pfviz.mm.paths import uffd_fill, uffd_move, uffd_protect, uffd_read, uffd_register, uffd_wake
from pfviz.mm.userfaultfd import (
    FEATURES,
    MINOR,
    MODES,
    WP,
    UffdCall,
    flags_of,
    new_userfaultfd,
)
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


CALLS: Final = {
    "register": uffd_register.userfaultfd_register,
    "unregister": uffd_register.userfaultfd_unregister,
    "close": uffd_register.userfaultfd_release,
    "copy": uffd_fill.mfill_atomic,
    "zeropage": uffd_fill.mfill_atomic,
    "continue": uffd_fill.mfill_atomic,
    "move": uffd_move.move_pages,
    "protect": uffd_protect.mwriteprotect_range,
    "unprotect": uffd_protect.mwriteprotect_range,
    "wake": uffd_wake.wake_userfault,
}
"""The first step of each ioctl but UFFDIO_API; `resolve` is one of them."""
CHANGES_PAGES: Final = ("copy", "zeropage", "continue", "move", "protect", "unprotect")
ANSWERS: Final = {WP: "unprotect", MINOR: "continue"}
"""What resolves a fault; a missing page is copied."""


def first_step(operation: Uffd) -> Step:
    """Where a call begins in the kernel."""
    return {"poll": do_sys_poll, "read": vfs_read}.get(operation.do, userfaultfd_ioctl)


@step("fs/select.c")
def do_sys_poll(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The monitor wants to sleep until there is something to read."""
    return _open_file(thread, uffd_read.do_poll)


@step("fs/read_write.c")
def vfs_read(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The monitor reads its descriptor: one message for each fault."""
    return _open_file(thread, uffd_read.userfaultfd_ctx_read)


def _open_file(thread: Thread, then: Step) -> Step:
    ctx = thread.mm.userfaultfd
    if ctx is None or ctx.released:
        thread.op_result = EBADF
        return thread.back()
    thread.sys = UffdCall(ctx, "read")
    return then


@step("fs/userfaultfd.c", cost="vma_check")
def userfaultfd_ioctl(engine: Mm, thread: Thread) -> Step:
    """Which call is it, and may it be made at all?"""
    operation = thread.operation
    assert isinstance(operation, Uffd)
    if operation.do == "open":
        return userfaultfd_api
    ctx = thread.mm.userfaultfd
    if ctx is None and operation.do == "register":
        ctx = new_userfaultfd(engine, thread.mm)
    if ctx is None or ctx.released:
        thread.op_result = EBADF
        return thread.back()
    do = _answer(thread) if operation.do == "resolve" else operation.do
    start = 0 if do == "close" else thread.resolve(operation.place)
    if not do:
        return thread.back()  # An event, or nothing: there is nothing to resolve.
    if start is None:
        thread.op_result = EINVAL
        return thread.back()
    start &= -PAGE_SIZE
    thread.sys = UffdCall(
        ctx, do, start, start + operation.pages * PAGE_SIZE, start,
        flags=flags_of(operation.modes), wake=operation.wake,
        protect=do == "protect" or operation.protect,
        source=None if operation.source is None else thread.resolve(operation.source),
    )  # fmt: skip
    ctx.wakes_late |= not operation.wake
    if operation.do == "resolve":
        thread.returns.append(resolved)
    if do in CHANGES_PAGES and ctx.mmap_changing:
        # Looked at without a lock first: no use to begin.
        thread.op_result = EAGAIN
        return thread.back()
    return CALLS[do]


@step("user mode", cost="syscall_entry", function="user")
def resolved(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """If the answer could not be given, wake the sleeper all the same: it will look for itself."""
    call = thread.sys
    assert isinstance(call, UffdCall)
    if not thread.op_result or not call.wake:
        return thread.back()
    call.end = call.start + PAGE_SIZE
    return uffd_wake.wake_userfault


def _answer(thread: Thread) -> str:
    """The call that resolves what was read last; "" when there is nothing to resolve."""
    if thread.message is None or thread.message.what not in MODES:
        return ""
    return ANSWERS.get(thread.message.what, "copy")


@step("fs/userfaultfd.c", cost="vma_alloc")
def userfaultfd_api(engine: Mm, thread: Thread) -> Step:
    """Open a userfaultfd for this process and agree on what it is to tell of (UFFDIO_API)."""
    operation = thread.operation
    assert isinstance(operation, Uffd)
    known = set(FEATURES) - ({"wp_async"} if not engine.world.preset.uffd_wp_async else set())
    if not known.issuperset(operation.features):
        thread.op_result = EINVAL
        return thread.back()
    ctx = thread.mm.userfaultfd
    if ctx is None or ctx.released:
        new_userfaultfd(engine, thread.mm, operation.features, operation.user_mode_only)
    else:  # One that was there from the start: nobody has agreed on its features yet.
        ctx.features = frozenset(operation.features)
        ctx.user_mode_only = operation.user_mode_only
    return thread.back()
