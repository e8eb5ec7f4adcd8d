"""A scenario from the VMAs of a real process: its true address space, and faults to choose.

Takes plain records (as `pfviz.trace.maps` reads them) and does not know where they come from. What
the process really did is not in /proc/PID/maps: the mix of faults is made up, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol

from pfviz.scenario import operations as op
from pfviz.scenario.errors import hint
from pfviz.scenario.operations import Op
from pfviz.scenario.schema import Cue, Expect, File, Scenario, Thread, Vma
from pfviz.scenario.workloads import MallocChurn, SmapsReader
from pfviz.sim.rng import Rng

PAGE_BYTES: Final = 4096
MIX: Final = {"anon-write": 50, "anon-read": 10, "file-read": 35, "stack-write": 5}
"""Shares of the kinds of access in the mix, when nobody chooses others."""

Kind = Literal["anon", "heap", "stack", "file", "other"]


class Record(Protocol):
    """A line of /proc/PID/maps."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def perms(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def is_in_mm(self) -> bool: ...
    @property
    def is_file(self) -> bool: ...


def tables(records: Iterable[Record]) -> tuple[tuple[File, ...], tuple[Vma, ...]]:
    """The files and VMAs behind the records, each VMA with a name of its own."""
    sizes: dict[str, int] = {}
    vmas: list[Vma] = []
    names: dict[str, int] = {}
    for record in records:
        if not record.is_in_mm:
            continue
        pages = (record.end - record.start) // PAGE_BYTES
        offset = record.offset // PAGE_BYTES
        kind = _kind(record)
        file = record.name if kind == "file" else ""
        if file:
            sizes[file] = max(sizes.get(file, 0), offset + pages)
        vmas.append(
            Vma(
                name=_name(record, kind, names),
                pages=pages,
                start=record.start,
                perms=record.perms,
                kind=kind,
                file=file,
                offset=offset if file else 0,
                anon_vma=kind in ("heap", "stack"),
            )
        )
    files = (File(name=name, pages=pages, driver=_is_device(name)) for name, pages in sizes.items())
    return tuple(files), tuple(vmas)


def _is_device(name: str) -> bool:
    """Whether a driver serves the faults of a mapped file, by its path."""
    in_memory = name.startswith(("/dev/shm/", "/dev/zero"))
    return name.startswith("/dev/") and not in_memory


def _kind(record: Record) -> Kind:
    if record.name.startswith("[stack"):
        return "stack"
    if record.name == "[heap]":
        return "heap"
    if record.is_file and record.name:
        return "file"
    return "other" if record.name.startswith("[v") else "anon"


def _name(record: Record, kind: Kind, names: dict[str, int]) -> str:
    base = record.name.rpartition("/")[2].strip("[]") or "anon"
    if kind == "file":
        base = f"{base} {record.perms[:3]}"
    names[base] = names.get(base, 0) + 1
    return base if names[base] == 1 else f"{base} #{names[base]}"


def parse_mix(text: str) -> dict[str, int]:
    """Shares by kind of access from "anon-write=60,file-read=40"; ValueError with a hint."""
    mix: dict[str, int] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        if name not in MIX:
            raise ValueError(f'access "{name}" is not known here{hint(name, MIX)}')
        if not equals or not share.isdigit():
            raise ValueError(f'"{part.strip()}" should be {name}=SHARE, a whole number')
        mix[name] = int(share)
    if not any(mix.values()):
        raise ValueError("a mix of nothing: give at least one kind of access a share")
    return mix


def scenario_from_maps(
    records: Sequence[Record],
    title: str,
    name: str,
    *,
    mix: Mapping[str, int] = MIX,
    threads: int = 4,
    accesses: int = 24,
    writer: bool = True,
    monitor: bool = False,
    kernel: str = "6.12",
    seed: int = 1,
) -> Scenario:
    """A scenario with these VMAs, `threads` threads that fault in them and, if wanted, others.

    Each thread makes `accesses` accesses; `writer` adds a thread that maps and unmaps, `monitor`
    one of low priority that reads smaps. ValueError when no VMA allows any access of the mix.
    """
    files, vmas = tables(records)
    work = _accesses(vmas, mix, accesses, Rng(seed))
    groups = [Thread(name="worker", count=threads, scales=True, stagger="200ns", op=work)]
    cues = [Cue(at="0ns", caption="the address space as it was copied")]
    if writer:
        groups.append(
            Thread(name="writer", background=True, workload=MallocChurn(rounds=0, pages_max=8))
        )
        cues.append(
            Cue(when="lock_acquired lock=mmap_lock mode=write", caption="the writer has mmap_lock")
        )
    if monitor:
        reader = SmapsReader(rounds=0, pause="200us")
        groups.append(
            Thread(name="monitor", process="monitor", background=True, prio=139, workload=reader)
        )
    return Scenario(
        schema_version=1,
        title=title,
        name=name,
        story="The address space is real; what the threads do in it is a made-up mix of faults.",
        sources=("/proc/PID/maps",),
        kernel=kernel,
        seed=seed,
        file=files,
        vma=vmas,
        thread=tuple(groups),
        cue=tuple(cues),
        expect=(Expect(that="faults.count > 0"), Expect(that="len(broken_rules) == 0")),
    )


def _accesses(vmas: Sequence[Vma], mix: Mapping[str, int], count: int, dice: Rng) -> tuple[Op, ...]:
    choices = {kind: tuple(vma for vma in vmas if _allows(kind, vma)) for kind in MIX}
    shares = {kind: share for kind, share in mix.items() if share and choices[kind]}
    total = sum(shares.values())
    if not total:
        raise ValueError(f"no VMA allows any of: {', '.join(mix)}")
    work: list[Op] = []
    for _ in range(count):
        roll = dice.below(total)
        for kind, share in shares.items():
            if roll < share:
                work.append(_access(kind, choices[kind], dice))
                break
            roll -= share
    return tuple(work)


def _allows(kind: str, vma: Vma) -> bool:
    """Whether an access of this kind can be made in the VMA and faults as its name says."""
    match kind:
        case "anon-write":
            return vma.kind in ("anon", "heap") and vma.perms[:2] == "rw"
        case "anon-read":
            return vma.kind in ("anon", "heap") and vma.perms[0] == "r"
        case "file-read":
            return vma.kind == "file" and vma.perms[0] == "r"
        case "stack-write":
            return vma.kind == "stack" and vma.perms[:2] == "rw"
    raise AssertionError(kind)


def _access(kind: str, vmas: Sequence[Vma], dice: Rng) -> Op:
    vma = vmas[dice.below(len(vmas))]
    pages = 1 + dice.below(min(vma.pages, 8))
    first = dice.below(vma.pages - pages + 1)
    at = f"{vma.name}+{first}" if first else vma.name
    if kind.endswith("write"):
        return op.Write(at=at, pages=pages)
    return op.Read(at=at, pages=pages)
