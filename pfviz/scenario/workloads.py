"""Named workloads: what a thread does over and over, written as lists of operations.

Each is a table with its own keys, told apart by `name`; the short form is the name alone. A
workload is expanded to plain operations when the world is built, so it can hold no surprise.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from pfviz.scenario import operations as op
from pfviz.scenario.operations import Op, Pages, Table, Time
from pfviz.sim.rng import Rng

Rounds = Annotated[int, Meta(ge=0, description="how often; 0 is for as long as others still work")]


class Workload(Table, frozen=True, kw_only=True, tag_field="name"):
    """What every workload may say."""

    rounds: Rounds = 1
    pause: Time = "0ns"


class PageFault1(Workload, frozen=True, kw_only=True, tag="page_fault1"):
    """Touch pages of private memory, give them back, again (after will-it-scale's page_fault1).

    With `at` the memory is that VMA and goes back by madvise; without, each round maps its own.
    """

    pages: Pages = 32
    write: bool = True
    at: str = ""


class PageFaultShared(Workload, frozen=True, kw_only=True, tag="page_fault_shared"):
    """Each thread touches its own pages, all in one VMA (`at`), and gives them back."""

    at: str
    pages: Pages = 32
    apart: Annotated[
        int, Meta(ge=0, description="pages from one thread's first to the next one's; 0: pages")
    ] = 0
    write: bool = True
    give_back: bool = True


class FirstTouch(Workload, frozen=True, kw_only=True, tag="first_touch"):
    """Fill a VMA: each round touches the next pages, then thinks about them."""

    at: str
    pages: Annotated[int, Meta(ge=1, description="pages of each round")] = 16
    rounds: Annotated[int, Meta(ge=1, le=10_000)] = 16
    apart: Annotated[int, Meta(ge=0)] = 0
    think: Time = "0ns"
    write: bool = True


class MallocChurn(Workload, frozen=True, kw_only=True, tag="malloc_churn"):
    """Map a region of a size between the two bounds, touch part of it, unmap it."""

    pages_min: Pages = 1
    pages_max: Pages = 16
    touch: Annotated[int, Meta(ge=0, le=100, description="percentage of pages touched")] = 100


class MadviseChurn(Workload, frozen=True, kw_only=True, tag="madvise_churn"):
    """Touch pages of a VMA and give advice on them."""

    at: str
    pages: Pages = 16
    advice: Literal["dontneed", "free", "normal", "random", "sequential"] = "dontneed"
    touch: bool = True
    apart: Annotated[int, Meta(ge=0)] = 0


class MprotectChurn(Workload, frozen=True, kw_only=True, tag="mprotect_churn"):
    """Make pages read-only and writable again."""

    at: str
    pages: Pages = 1
    apart: Annotated[int, Meta(ge=0)] = 0


class ForkLoop(Workload, frozen=True, kw_only=True, tag="fork_loop"):
    """Fork; the child writes `pages` pages from `at` on and exits."""

    at: str = ""
    pages: Annotated[int, Meta(ge=0)] = 0


class FileReader(Workload, frozen=True, kw_only=True, tag="file_reader"):
    """Read pages of a mapped file in order or at random."""

    at: str
    pages: Pages = 16
    order: Literal["forward", "random"] = "forward"


class MapsReader(Workload, frozen=True, kw_only=True, tag="maps_reader"):
    """Read /proc/PID/maps of another process, again and again."""

    process: str = "app"


class SmapsReader(Workload, frozen=True, kw_only=True, tag="smaps_reader"):
    """Read /proc/PID/smaps of another process, again and again."""

    process: str = "app"


class SmapsRollupReader(Workload, frozen=True, kw_only=True, tag="smaps_rollup_reader"):
    """Read /proc/PID/smaps_rollup of another process, again and again."""

    process: str = "app"


class UffdHandler(Workload, frozen=True, kw_only=True, tag="uffd_handler"):
    """Serve the userfaultfd of the process: poll, read a fault, see to it, answer.

    With `buffer` it prepares the page in memory of its own first, and gives that back afterwards:
    a fault of the handler itself.
    """

    rounds: Rounds = 0
    service: Annotated[Time, Meta(description="how long it sees to a fault")] = "4us"
    answer: Annotated[
        Literal["resolve", "zeropage"], Meta(description="what to put in for a missing page")
    ] = "resolve"
    buffer: Annotated[str, Meta(description="a VMA that it writes a page of for each fault")] = ""


class Busy(Workload, frozen=True, kw_only=True, tag="compute"):
    """Use the CPU in user mode; touches no memory."""

    time: Time = "10us"


AnyWorkload = (
    PageFault1
    | PageFaultShared
    | FirstTouch
    | MallocChurn
    | MadviseChurn
    | MprotectChurn
    | ForkLoop
    | FileReader
    | MapsReader
    | SmapsReader
    | SmapsRollupReader
    | UffdHandler
    | Busy
)

CLASSES: Final[tuple[type[Workload], ...]] = AnyWorkload.__args__
NAMES: Final = tuple(str(one.__struct_config__.tag) for one in CLASSES)
NEEDS_PLACE: Final = tuple(
    str(one.__struct_config__.tag)
    for one in CLASSES
    if any(field.name == "at" and field.required for field in msgspec.structs.fields(one))
)
"""Workloads that must be told where: their short form is not enough."""


def named(workload: str | Workload) -> Workload:
    """The workload behind its short form, with every key at its default."""
    if isinstance(workload, Workload):
        return workload
    return CLASSES[NAMES.index(workload)]()


def repeats(workload: Workload) -> int:
    """How often the operations of `expand` are gone through; 0 is without end."""
    is_whole = isinstance(workload, FirstTouch) or (
        isinstance(workload, MallocChurn) and workload.rounds > 0
    )
    return 1 if is_whole else workload.rounds


def expand(workload: Workload, dice: Rng) -> tuple[Op, ...]:
    """The operations of one round (of all rounds, where each has its own dice)."""
    if isinstance(workload, MallocChurn):
        count = workload.rounds or 64
        return tuple(one for _ in range(count) for one in _malloc_round(workload, dice))
    if isinstance(workload, FirstTouch):
        return tuple(
            one for number in range(workload.rounds) for one in _next_touch(workload, number)
        )
    ops = _round(workload, dice)
    return (*ops, op.Sleep(time=workload.pause)) if workload.pause != "0ns" else ops


def _round(workload: Workload, dice: Rng) -> tuple[Op, ...]:
    match workload:
        case PageFault1(pages=pages, at="") as churn:
            touch = _touch(churn.write, "region", pages)
            return (
                op.Mmap(pages=pages, slot="region"),
                touch,
                op.Munmap(at="region", pages=pages),
            )
        case PageFault1(pages=pages, at=at) as churn:
            return (_touch(churn.write, at, pages), op.Madvise(at=at, pages=pages))
        case PageFaultShared(pages=pages, at=at) as shared:
            apart = shared.apart or pages
            touch = _touch(shared.write, at, pages, apart)
            back = op.Madvise(at=at, pages=pages, apart=apart)
            return (touch, back) if shared.give_back else (touch,)
        case MadviseChurn(pages=pages, at=at, apart=apart) as churn:
            advise = op.Madvise(at=at, pages=pages, advice=churn.advice, apart=apart)
            return (_touch(True, at, pages, apart), advise) if churn.touch else (advise,)
        case MprotectChurn(pages=pages, at=at, apart=apart):
            return (
                op.Mprotect(at=at, pages=pages, perms="r--", apart=apart),
                op.Mprotect(at=at, pages=pages, perms="rw-", apart=apart),
            )
        case ForkLoop(at=at, pages=pages):
            return (op.Fork(at=at, pages=pages),)
        case FileReader(at=at, pages=pages) as reader:
            if reader.order == "forward":
                return (op.Read(at=at, pages=pages),)
            return tuple(op.Read(at=f"{at}+{dice.below(pages)}") for _ in range(pages))
        case MapsReader(process=process):
            return (op.ReadProc(file="maps", process=process),)
        case SmapsReader(process=process):
            return (op.ReadProc(file="smaps", process=process),)
        case SmapsRollupReader(process=process):
            return (op.ReadProc(file="smaps_rollup", process=process),)
        case UffdHandler():
            return _serve(workload)
        case Busy(time=time):
            return (op.Compute(time=time),)
    raise AssertionError(workload)


def _serve(workload: UffdHandler) -> tuple[Op, ...]:
    answer = op.UffdZeropage() if workload.answer == "zeropage" else op.UffdResolve()
    ops: list[Op] = [op.UffdPoll(), op.UffdRead(), op.Compute(time=workload.service)]
    if workload.buffer:
        ops.append(op.Write(at=workload.buffer))
    ops.append(answer)
    if workload.buffer:
        ops.append(op.Madvise(at=workload.buffer, pages=1))
    return tuple(ops)


def _next_touch(workload: FirstTouch, number: int) -> tuple[Op, ...]:
    at = f"{workload.at}+{number * workload.pages}"
    ops: list[Op] = [_touch(workload.write, at, workload.pages, workload.apart)]
    if workload.think != "0ns":
        ops.append(op.Compute(time=workload.think))
    if workload.pause != "0ns":
        ops.append(op.Sleep(time=workload.pause))
    return tuple(ops)


def _malloc_round(workload: MallocChurn, dice: Rng) -> tuple[Op, ...]:
    span = max(1, workload.pages_max - workload.pages_min + 1)
    pages = workload.pages_min + dice.below(span)
    touched = pages * workload.touch // 100
    ops: list[Op] = [op.Mmap(pages=pages, slot="block")]
    if touched:
        ops.append(op.Write(at="block", pages=touched))
    ops.append(op.Munmap(at="block", pages=pages))
    if workload.pause != "0ns":
        ops.append(op.Sleep(time=workload.pause))
    return tuple(ops)


def _touch(write: bool, at: str, pages: int, apart: int = 0) -> Op:
    if write:
        return op.Write(at=at, pages=pages, apart=apart)
    return op.Read(at=at, pages=pages, apart=apart)
