"""From an operation as a scenario writes it to the one that the model runs: names become places."""

from __future__ import annotations

from pfviz.mm import operations as mm_ops
from pfviz.mm.bpf import BpfVmaIter
from pfviz.mm.operations import PAGE_SHIFT, UFFD_SLOT, Operation, OperationList, Place
from pfviz.mm.user_mutex import LockMutex, UnlockMutex
from pfviz.scenario import operations as op
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.places import parse_place
from pfviz.scenario.schema import Scenario, Thread
from pfviz.scenario.times import nanoseconds


class Translator:
    """Translates for one thread: `number` is its place in its group, from 0."""

    def __init__(self, scenario: Scenario, group: Thread, number: int) -> None:
        self.scenario = scenario
        self.group = group
        self.number = number
        self.names = {vma.name for vma in scenario.vma if vma.process == group.process}

    def operation(self, one: op.Op) -> Operation:
        """The model's operation; ScenarioError when it names a place that there is not."""
        match one:
            case op.Read() | op.Write() | op.Execute():
                return self._access(one)
            case op.Mmap():
                return self._mmap(one)
            case op.Munmap(at=at, pages=pages, apart=apart):
                return mm_ops.Munmap(self.place(at, apart), pages)
            case op.Mprotect(at=at, pages=pages, apart=apart):
                prot = mm_ops.prot_of(one.perms)
                return mm_ops.Mprotect(self.place(at, apart), pages, prot)
            case op.Mlock(at=at, pages=pages, apart=apart):
                return mm_ops.Mlock(self.place(at, apart), pages)
            case op.Munlock(at=at, pages=pages, apart=apart):
                return mm_ops.Munlock(self.place(at, apart), pages)
            case op.Mincore(at=at, pages=pages, apart=apart):
                return mm_ops.Mincore(self.place(at, apart), pages)
            case op.LockMutex(mutex=mutex):
                return LockMutex(mutex)
            case op.UnlockMutex(mutex=mutex):
                return UnlockMutex(mutex)
            case op.BpfVmaIter(at=at, apart=apart):
                return BpfVmaIter(self.place(at, apart), one.tries)
            case op.Mremap():
                return self._mremap(one)
            case op.Madvise(at=at, pages=pages, apart=apart):
                return mm_ops.Madvise(self.place(at, apart), pages, one.advice)
            case op.Brk(pages=pages):
                return mm_ops.Brk(pages)
            case op.Fork():
                return mm_ops.Fork(self._child(one), one.child_name, one.child_cpu)
            case op.Exec():
                return mm_ops.Exec(_new_program(one), one.name)
            case op.Exit():
                return mm_ops.Exit()
            case op.ReadProc(file=file, process=process):
                place = self.place(one.at, one.apart) if one.at else None
                return mm_ops.ReadProc(file, process, place, one.pages)
            case op.UffdOpen() | op.UffdRegister() | op.UffdUnregister() | op.UffdCall():
                return self._uffd(one)
            case op.Compute(time=time):
                return mm_ops.Compute(nanoseconds(time))
            case op.Sleep(time=time):
                return mm_ops.Sleep(nanoseconds(time))
        return self._work_of_the_kernel(one)

    def _work_of_the_kernel(self, one: op.Op) -> Operation:
        """What the kernel does to pages of its own accord, or for a driver."""
        match one:
            case op.Reclaim(at=at, pages=pages, process=process):
                return mm_ops.Reclaim(self._place_in(process, one), pages, process)
            case op.MigratePages(at=at, pages=pages, process=process):
                return mm_ops.MigratePages(self._place_in(process, one), pages, process)
            case op.ToDevice(at=at, pages=pages, apart=apart):
                return mm_ops.MigrateToDevice(self.place(at, apart), pages)
            case op.NumaScan(at=at, pages=pages, apart=apart):
                return mm_ops.NumaScan(self.place(at, apart), pages)
            case op.GetUserPages(at=at, pages=pages, apart=apart):
                return mm_ops.GetUserPages(
                    self.place(at, apart), pages, one.write, one.fast, one.pin,
                    nanoseconds(one.hold),
                )  # fmt: skip
            case op.IrqsOff(time=time):
                return mm_ops.IrqsOff(nanoseconds(time))
        raise AssertionError(one)

    def _access(self, one: op.Read | op.Write | op.Execute) -> Operation:
        return mm_ops.Access(
            self.place(one.at, one.apart),
            isinstance(one, op.Write),
            one.pages,
            one.stride,
            isinstance(one, op.Execute),
            not isinstance(one, op.Execute) and one.by_kernel,
        )

    def place(self, at: str, apart: int = 0, names: set[str] | None = None) -> Place:
        """A place by name, moved on for each further thread of the group.

        `names` are those of another process; left out, those of the thread's own.
        """
        known = self.names if names is None else names
        try:
            base, pages = parse_place(at, known)
        except ValueError as error:
            name = str(error)
            reason = f'"{name}" is neither a VMA nor a slot{hint(name, known)}'
            raise ScenarioError(self.scenario.name, 0, reason) from None
        return Place(base, (pages + apart * self.number) << PAGE_SHIFT)

    def _place_in(self, process: str, one: op.Reclaim | op.MigratePages) -> Place:
        """A place in the memory of a process, which need not be the thread's own."""
        if process in ("", self.group.process):
            return self.place(one.at, one.apart)
        names = {vma.name for vma in self.scenario.vma if vma.process == process}
        return self.place(one.at, one.apart, names)

    def _uffd(
        self, one: op.UffdOpen | op.UffdRegister | op.UffdUnregister | op.UffdCall
    ) -> Operation:
        match one:
            case op.UffdOpen():
                return mm_ops.Uffd("open", features=one.features, user_mode_only=one.user_mode_only)
            case op.UffdRegister(at=at, pages=pages, apart=apart):
                return mm_ops.Uffd("register", self.place(at, apart), pages, modes=one.modes)
            case op.UffdUnregister(at=at, pages=pages, apart=apart):
                return mm_ops.Uffd("unregister", self.place(at, apart), pages)
        do = str(one.__struct_config__.tag).removeprefix("uffd_")
        if not isinstance(one, op.UffdPages):
            self.names.add(UFFD_SLOT)
            return mm_ops.Uffd(do)
        source = one.source if isinstance(one, op.UffdCopy | op.UffdMove) else ""
        return mm_ops.Uffd(
            do,
            self.place(one.at, one.apart),
            one.pages,
            source=self.place(source) if source else None,
            protect=isinstance(one, op.UffdCopy) and one.protect,
            wake=one.wake,
        )

    def _mmap(self, one: op.Mmap) -> Operation:
        flags = mm_ops.MAP_SHARED if one.shared else mm_ops.MAP_PRIVATE
        flags |= 0 if one.file else mm_ops.MAP_ANONYMOUS
        flags |= mm_ops.MAP_FIXED if one.fixed else 0
        flags |= mm_ops.MAP_LOCKED if one.locked else 0
        flags |= mm_ops.MAP_POPULATE if one.populate else 0
        operation = mm_ops.Mmap(
            one.pages,
            mm_ops.prot_of(one.perms),
            flags,
            one.file or None,
            one.slot,
            self.place(one.at, one.apart) if one.at else None,
            one.offset,
        )
        self.names.add(one.slot)
        return operation

    def _mremap(self, one: op.Mremap) -> Operation:
        operation = mm_ops.Mremap(
            self.place(one.at, one.apart),
            one.pages,
            one.new_pages,
            one.maymove,
            self.place(one.to, one.apart) if one.to else None,
            one.dontunmap,
            one.slot,
        )
        self.names.add(one.slot)
        return operation

    def _child(self, one: op.Fork) -> OperationList:
        work: list[Operation] = []
        if one.at and one.pages:
            work.append(mm_ops.Access(self.place(one.at, one.apart), one.child_writes, one.pages))
        if one.child_time != "0ns":
            work.append(mm_ops.Compute(nanoseconds(one.child_time)))
        return OperationList((*work, mm_ops.Exit()))


def _new_program(one: op.Exec) -> OperationList:
    """What runs in the new process after an exec."""
    work: list[Operation] = []
    if one.pages:
        work.append(mm_ops.Mmap(one.pages, slot="data"))
        work.append(mm_ops.Access(Place("data"), write=True, pages=one.pages))
    if one.time != "0ns":
        work.append(mm_ops.Compute(nanoseconds(one.time)))
    return OperationList((*work, mm_ops.Exit()))
