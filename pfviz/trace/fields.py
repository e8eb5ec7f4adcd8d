"""What the arguments of the kernel's events say, as 6.1 to 6.18 and four front ends spell them.

Each reader returns plain values, or None when the text is cut off or not what that event prints.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_MMAP_LOCK = re.compile(
    r"mm=(\w+)(?: memcg_(?:id|path)=(.*?))? write=(true|false|1|0)(?: success=(true|false|1|0))?"
)
_PAGE_FAULT = re.compile(r"address=(\S+) ip=(\S+) error_code=(0x[0-9a-fA-F]+|\d+)")
_CONTENTION = re.compile(r"(?:lock_addr=)?(\w+) \(?(flags|ret)=([^)]*)\)?")
_TLB_FLUSH = re.compile(r"pages[:=](-?\d+) reason[:=](.*?) \(\d+\)")
_TLB_FLUSH_RAW = re.compile(r"reason=(\d+) pages=(-?\d+)")
_SWITCH = re.compile(
    r"prev_comm=(.*?) prev_pid=(\d+) prev_prio=(-?\d+) prev_state=(\S+) (?:==> )?"
    r"next_comm=(.*) next_pid=(\d+) next_prio=(-?\d+)"
)
_SWITCH_PLUGIN = re.compile(r"(.*?):(\d+) \[(-?\d+)\] (\S+) ==> (.*):(\d+) \[(-?\d+)\]")
_MAPLE = re.compile(
    r"(\w+)\s+Node:? ?((?:0x)?[0-9a-f]+) \((\d+) (\d+)\) range: ?(\d+)-(\d+)"
    r"(?: piv \((\d+)\) val ((?:0x)?[0-9a-f]+))?"
)
_CALL_ARGUMENT = re.compile(r"(\w+)(?:: |=)(?:0x)?([0-9a-fA-F]+)")
_RETURNED = re.compile(r"(?:__syscall_nr=\d+[, ]+)?(?:ret=)?(0x[0-9a-fA-F]+|-?\d+)")
_WAKEUP = re.compile(r"comm=.* pid=(\d+) prio=-?\d+(?: success=\d)?(?: target_cpu=(\d+))?")
_WAKEUP_PLUGIN = re.compile(r".*:(\d+) \[-?\d+\](?: success=\d)?(?: CPU:(\d+))?")
_FILEMAP = re.compile(
    r"dev[= ](\d+):(\d+) ino[= ]([0-9a-f]+) (?:p\w+=\S+ )*ofs=(\d+)(?:-(\d+))?(?: order=(\d+))?"
)
_BLOCK = re.compile(r"\d+,\d+ (\w+) \d+ \(.*?\) \d+ \+ (\d+) .*")
_NEWTASK = re.compile(r"pid=(\d+) comm=.* clone_flags=(?:0x)?([0-9a-f]+)")

# enum tlb_flush_reason, as trace-cmd report spells it (6.18 itself prints capitals).
_TLB_REASONS = (
    "flush on task switch",
    "remote shootdown",
    "local shootdown",
    "local mm shootdown",
    "remote ipi send",
    "remote wrong CPU",
)
# include/trace/events/lock.h, LCB_F_*
_LOCK_FLAGS = ("SPIN", "READ", "WRITE", "RT", "PERCPU", "MUTEX")
_TRUE = ("true", "1")


class MmapLock(NamedTuple):
    """Arguments of an mmap_lock event; `success` only where a lock call returned."""

    mm: str
    memcg: str
    write: bool
    success: bool


class PageFault(NamedTuple):
    """Arguments of a page_fault event; `address` None where the kernel printed a symbol."""

    address: int | None
    ip: str
    error_code: int


class Switch(NamedTuple):
    """Arguments of sched_switch: who leaves the CPU in what state, who gets it."""

    prev_comm: str
    prev_tid: int
    prev_state: str
    next_comm: str
    next_tid: int


class Maple(NamedTuple):
    """Arguments of a maple tree event; `first` to `last` inclusive, `value` only in a write."""

    function: str
    node: str
    minimum: int
    maximum: int
    first: int
    last: int
    value: str


@lru_cache(maxsize=4096)
def read_mmap_lock(args: str) -> MmapLock | None:
    """Read an mmap_lock event; 6.1 and 6.12 print `memcg_path`, later kernels `memcg_id`."""
    match = _MMAP_LOCK.fullmatch(args)
    if match is None:
        return None
    mm, memcg, write, success = match.groups()
    return MmapLock(mm, "?" if memcg is None else memcg, write in _TRUE, success in _TRUE)


def read_page_fault(args: str) -> PageFault | None:
    """Read a page_fault_user or page_fault_kernel event; the address is not page aligned."""
    match = _PAGE_FAULT.fullmatch(args)
    if match is None:
        return None
    address, ip, error_code = match.groups()
    try:
        where = int(address, 16)
    except ValueError:
        where = None
    return PageFault(where, ip, int(error_code, 0))


@lru_cache(maxsize=4096)
def read_contention(args: str) -> tuple[str, str] | None:
    """Read contention_begin as (lock, flags) and contention_end as (lock, return value)."""
    match = _CONTENTION.fullmatch(args)
    if match is None:
        return None
    lock, kind, value = match.groups()
    if kind == "flags" and (bits := _number(value)) is not None:
        value = "|".join(name for bit, name in enumerate(_LOCK_FLAGS) if bits >> bit & 1)
    return lock, value


@lru_cache(maxsize=4096)
def read_tlb_flush(args: str) -> tuple[int, str] | None:
    """Read tlb_flush as (pages, reason); pages -1 is the whole address space."""
    match = _TLB_FLUSH.fullmatch(args)
    if match is not None:
        return int(match[1]), match[2]
    match = _TLB_FLUSH_RAW.fullmatch(args)
    if match is not None and int(match[1]) < len(_TLB_REASONS):
        return int(match[2]), _TLB_REASONS[int(match[1])]
    return None


def read_switch(args: str) -> Switch | None:
    """Read sched_switch as the kernel prints it or as trace-cmd's plugin does."""
    match = _SWITCH.fullmatch(args) or _SWITCH_PLUGIN.fullmatch(args)
    if match is None:
        return None
    return Switch(match[1], int(match[2]), match[4], match[5], int(match[6]))


def read_maple(args: str) -> Maple | None:
    """Read ma_op, ma_read or ma_write; addresses are decimal there, the kernel prints %lu."""
    match = _MAPLE.fullmatch(args)
    if match is None:
        return None
    function, node, low, high, first, last, _, value = match.groups()
    return Maple(function, node, int(low), int(high), int(first), int(last), value or "")


def read_call(args: str) -> dict[str, int]:
    """Read a system call's arguments by name.

    6.18 writes `0x` from ten on, 6.1 and 6.12 write hexadecimal without it; 0 to 9 are the same
    in both, so every value is read as hexadecimal.
    """
    found = {name: int(value, 16) for name, value in _CALL_ARGUMENT.findall(args)}
    found.pop("__syscall_nr", None)
    return found


def read_returned(args: str) -> int | None:
    """Read a system call's return value; errors are printed as 64-bit complements."""
    match = _RETURNED.fullmatch(args.strip())
    if match is None:
        return None
    value = int(match[1], 0)
    return value - (1 << 64) if value >= 1 << 63 else value


def read_wakeup(args: str) -> tuple[int, int] | None:
    """Read sched_waking or sched_wakeup as (woken task, target CPU or -1)."""
    match = _WAKEUP.fullmatch(args) or _WAKEUP_PLUGIN.fullmatch(args)
    return None if match is None else (int(match[1]), int(match[2] or -1))


def read_filemap(args: str) -> tuple[int, int, int, int, int] | None:
    """Read an mm_filemap event as (major, minor, inode, first page, pages).

    Offsets are decimal bytes, the end of a range is inclusive, the inode is hexadecimal.
    """
    match = _FILEMAP.fullmatch(args)
    if match is None:
        return None
    major, minor, inode, first, last, order = match.groups()
    pages = 1 << int(order or 0)
    if last is not None:
        pages = (int(last) - int(first)) // 4096 + 1
    return int(major), int(minor), int(inode, 16), int(first) // 4096, pages


def read_block_request(args: str) -> tuple[bool, int] | None:
    """Read block_rq_issue as (whether it reads, sectors of 512 bytes)."""
    match = _BLOCK.fullmatch(args)
    return None if match is None else (match[1].startswith("R"), int(match[2]))


def read_newtask(args: str) -> tuple[int, int] | None:
    """Read task_newtask as (new task, clone flags); the flags are hexadecimal without `0x`."""
    match = _NEWTASK.match(args)
    return None if match is None else (int(match[1]), int(match[2], 16))


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None
