"""A userfaultfd: the faults and events that wait for a monitor in user space, and their queues.

State and plain questions; who may touch a queue under which lock is the business of `paths`
(userfaultfd, uffd_monitor, uffd_fill, uffd_register). Source: fs/userfaultfd.c of Linux 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.vma import VM_UFFD_MINOR, VM_UFFD_MISSING, VM_UFFD_WP
from pfviz.sim.engine import Engine
from pfviz.sync.rwsem import RwSemaphore
from pfviz.sync.seqcount import SeqCount
from pfviz.sync.spinlock import SpinLock

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.page_table import PteTable
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma

MISSING: Final = "missing"
WP: Final = "wp"
MINOR: Final = "minor"
MODES: Final[dict[str, int]] = {MISSING: VM_UFFD_MISSING, WP: VM_UFFD_WP, MINOR: VM_UFFD_MINOR}
"""What a range can be registered for: a page that is missing, a write to a page that was protected
by the monitor, or a page that is in the page cache but not mapped here."""

FEATURES: Final = (
    "sigbus", "wp_async", "wp_unpopulated", "event_fork", "event_unmap", "event_remove",
    "event_remap",
)  # fmt: skip
"""What UFFDIO_API can be asked for."""

WAITS: Final = "waits for the userfaultfd monitor"
POLLS: Final = "polls for faults"
"""Why a thread sleeps, as SLEEP events and the screen say it."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A thread that prepares to sleep in one of the queues, and whether it may still do so."""

    thread: Thread
    is_blocking: bool = False
    """Its task state says asleep (set_current_state): a wake-up from now on is not lost."""
    in_schedule: bool = False
    """It has left its CPU."""

    def wake(self, engine: Engine[Any]) -> bool:
        """wake_up_state: let it run (or not fall asleep at all); False if it was awake."""
        if not self.is_blocking:
            return False
        self.is_blocking = False
        if self.in_schedule:
            self.in_schedule = False
            engine.cost("wake_up_process")
            engine.wake(self.thread, engine.machine.costs["wake"] + engine.extra_ns)
        return True


@dataclass(slots=True, eq=False)
class Userfault(Waiter):
    """One fault that waits for the monitor (struct userfaultfd_wait_queue)."""

    address: int = 0
    """Of the page."""
    reason: str = MISSING
    must_wait: bool = True
    """What the recheck under the fault lock said."""
    since_ns: int = 0


@dataclass(slots=True, eq=False)
class UffdEvent(Waiter):
    """A change of the address space whose author waits until the monitor has read of it."""

    what: str = ""
    """"fork", "unmap", "remove" or "remap"."""
    start: int = 0
    end: int = 0
    is_read: bool = False
    ctx: UserfaultfdCtx = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Message:
    """What a monitor reads (struct uffd_msg)."""

    what: str
    """MISSING, WP or MINOR for a fault, else the name of an event."""
    address: int
    end: int = 0


class WaitHead:
    """A wait queue head: a list and the spinlock over it (wait_queue_head_t)."""

    __slots__ = ("lock", "waiters")

    def __init__(self, engine: Engine[Any], name: str) -> None:
        self.lock = SpinLock(engine, "spinlock", name)
        self.waiters: list[Any] = []


@dataclass(slots=True, eq=False)
class UserfaultfdCtx:
    """struct userfaultfd_ctx: everything behind one file descriptor."""

    mm: AddressSpace
    fault_pending_wqh: WaitHead
    """Faults that nobody has read yet."""
    fault_wqh: WaitHead
    """Faults that the monitor has read and not resolved yet."""
    fd_wqh: WaitHead
    """Who polls or reads the descriptor."""
    event_wqh: WaitHead
    refile_seq: SeqCount
    """Odd while a fault moves from the first queue to the second: it is in neither then."""
    map_changing_lock: RwSemaphore
    """6.9+: keeps mmap_changing still while pages are put in under a VMA lock."""
    features: frozenset[str] = frozenset()
    user_mode_only: bool = False
    mmap_changing: int = 0
    """How many changes are on their way of which the monitor has not read yet."""
    released: bool = False
    """The descriptor is closed."""
    refcount: int = 1
    wakes_late: bool = False
    """Its monitor puts pages in without waking (..._MODE_DONTWAKE), and wakes by UFFDIO_WAKE."""
    monitors: list[Thread] = field(default_factory=list)
    """Threads that have polled or read it: who is waited for."""


@dataclass(slots=True, eq=False)
class UffdCall:
    """A call of a monitor on its way: what it has to remember (`thread.sys`)."""

    ctx: UserfaultfdCtx
    do: str
    start: int = 0
    end: int = 0
    address: int = 0
    """The page in work."""
    vma: Vma | None = None
    under_vma_lock: bool = False
    is_changing_locked: bool = False
    """map_changing_lock is held for reading."""
    fault: Any = None
    """Address, VMA and new page, as the steps of a fault want them; no fault happened."""
    waiter: Waiter | None = None
    sequence: int = 0
    """refile_seq as it was before the queues were looked at."""
    flags: int = 0
    wake: bool = True
    protect: bool = False
    source: int | None = None
    src_vma: Vma | None = None
    """Where a page is moved from, if that is another VMA."""
    source_pte: int = 0
    tables: list[PteTable] = field(default_factory=list)
    """Locked for a move, in order."""
    rwsem: RwSemaphore = None  # type: ignore[assignment]
    copied: bool = False
    """The page is filled already, by a copy that had to be made without locks."""


def new_userfaultfd(
    engine: Engine[Any], mm: AddressSpace, features: tuple[str, ...] = (),
    user_mode_only: bool = False,
) -> UserfaultfdCtx:  # fmt: skip
    """A userfaultfd of an address space (userfaultfd(2) and UFFDIO_API)."""
    name = mm.name
    ctx = UserfaultfdCtx(
        mm,
        WaitHead(engine, f"fault_pending_wqh {name}"),
        WaitHead(engine, f"fault_wqh {name}"),
        WaitHead(engine, f"fd_wqh {name}"),
        WaitHead(engine, f"event_wqh {name}"),
        SeqCount(engine, f"refile_seq {name}"),
        RwSemaphore(engine, "rwsem", f"map_changing_lock {name}", -1),
        frozenset(features),
        user_mode_only,
    )
    mm.userfaultfd = ctx
    return ctx


def flags_of(modes: tuple[str, ...]) -> int:
    """VM_UFFD_* bits of registration modes; ValueError for an unknown one."""
    flags = 0
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f"no userfaultfd mode {mode!r} (known: {', '.join(MODES)})")
        flags |= MODES[mode]
    return flags


def faults_waiting(ctx: UserfaultfdCtx) -> list[Userfault]:
    """All faults in either queue, those read first."""
    return [*ctx.fault_wqh.waiters, *ctx.fault_pending_wqh.waiters]
