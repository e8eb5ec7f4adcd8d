"""From a scenario to an engine whose world is set up and whose threads wait for their first step.

Set-up costs no simulated time: what exists at the beginning has always existed.
"""

from __future__ import annotations

from typing import Any, Final

from pfviz.mm import operations as mm_ops
from pfviz.mm.address_space import (
    MMAP_BASE,
    MMAP_MIN,
    STACK_TOP,
    AddressSpace,
    new_mm,
    place_vma,
)
from pfviz.mm.costs import costs_with
from pfviz.mm.huge_pmd import populate_huge_anon
from pfviz.mm.hugetlb import pool_of
from pfviz.mm.hugetlb_setup import place_hugetlb, populate_hugetlb
from pfviz.mm.operations import PAGE_SHIFT, OperationList, Program
from pfviz.mm.page_cache import new_file, shmem_zero_setup
from pfviz.mm.page_range import populate_anon, populate_shared
from pfviz.mm.page_table import PTES_PER_TABLE, TABLE_SPAN
from pfviz.mm.paths.driver_mmap import fill_at_once
from pfviz.mm.paths.huge_anon import may_be_huge
from pfviz.mm.paths.run import new_thread
from pfviz.mm.policy import Policy as MmPolicy
from pfviz.mm.presets import Preset
from pfviz.mm.reverse_map import link_vma, new_anon_vma
from pfviz.mm.swap import add_area
from pfviz.mm.swap_setup import begin_hinted, begin_on_device, begin_swapped
from pfviz.mm.uffd_range import begin_registered
from pfviz.mm.vma import VM_EXEC, VM_GROWSDOWN, VM_HUGEPAGE, VM_READ, VM_SHARED, VM_WRITE
from pfviz.mm.vma import Vma as MmVma
from pfviz.mm.world import World, new_engine
from pfviz.scenario import overrides as changes
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.machines import machine_named
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.policies import mm_policy
from pfviz.scenario.programs import Background
from pfviz.scenario.schema import Scenario, Thread, Vma
from pfviz.scenario.times import nanoseconds
from pfviz.scenario.translate import Translator
from pfviz.scenario.workloads import expand, named, repeats
from pfviz.sim.engine import Engine
from pfviz.sim.picker import Overruled, Picker, Seeded
from pfviz.sim.rng import Rng

_DICE_SALT: Final = 0x5CE2


def build(
    scenario: Scenario,
    *,
    kernel: str | None = None,
    mode: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    machine: str | None = None,
    without: tuple[str, ...] = (),
    picker: Picker | None = None,
    logging: bool = True,
) -> Engine[World]:
    """An engine ready to run; None keeps what the scenario says. See `build_with`."""
    overrides = Overrides(kernel, mode, machine, seed, threads, None, without)
    return build_with(scenario, overrides, picker, logging)


def build_with(
    scenario: Scenario,
    overrides: Overrides = NO_CHANGES,
    picker: Picker | None = None,
    logging: bool = True,
    preset: Preset | None = None,
) -> Engine[World]:
    """An engine ready to run, its choices seeded unless a picker is given.

    `preset` is a kernel that has no name, to be run as it behaves (the matrix turns single knobs).
    Raises ScenarioError when a change cannot be made or the VMAs do not fit into memory.
    """
    seed = scenario.seed if overrides.seed is None else overrides.seed
    kernel = preset or changes.kernel_of(scenario, overrides)
    mode = preset.default_mode if preset else changes.mode_for(scenario, overrides)
    machine = machine_named(changes.machine_for(scenario, overrides), costs_with())
    picks = picker or Seeded(Rng(seed))
    if overrides.choices:
        picks = Overruled(picks, dict(overrides.choices))
    policy = policy_of(scenario, overrides)
    engine = new_engine(machine, kernel, mode, policy, picks, logging)
    engine.log.meta.update(scenario=scenario.name, title=scenario.title, seed=str(seed))
    _Builder(scenario, overrides, engine, Rng(seed).fork(_DICE_SALT)).build()
    return engine


def policy_of(scenario: Scenario, overrides: Overrides = NO_CHANGES) -> MmPolicy:
    """The model's switches for a scenario; ScenarioError when a change cannot be made."""
    try:
        return mm_policy(scenario.policy, overrides.policy)
    except ValueError as error:
        raise ScenarioError(scenario.name or "scenario", 0, str(error)) from None


class _Builder:
    def __init__(
        self, scenario: Scenario, overrides: Overrides, engine: Engine[World], dice: Rng
    ) -> None:
        self.scenario = scenario
        self.engine = engine
        self.dice = dice
        self.groups = changes.threads_of(scenario, overrides)
        self.mms: dict[str, AddressSpace] = {}
        self.tops: dict[str, int] = {}
        self.own: dict[tuple[str, int], int] = {}
        """Address of a VMA that each thread has one of, by its name and the thread's number."""
        self.next_cpu = 0

    def build(self) -> None:
        for file in self.scenario.file:
            cached = file.pages if file.cached == "all" else file.cached
            self.engine.world.files[file.name] = new_file(
                self.engine, file.name, file.pages, cached, file.driver, file.page_mkwrite
            )
        for area in self.scenario.swap:
            add_area(self.engine, area.name, area.kind, area.pages)
        for name in self._processes():
            self.mms[name] = new_mm(self.engine, name)
            self.tops[name] = MMAP_BASE
        # Those with an address first: the others go where there is room.
        for vma in sorted(self.scenario.vma, key=lambda one: one.start is None):
            self._place(vma)
        for name, mm in self.mms.items():
            mm.mmap_base = self.tops[name]
        if self.scenario.hugetlb:
            pool_of(self.engine).add(self.engine, self.scenario.hugetlb)
        self._start_threads()

    def _processes(self) -> tuple[str, ...]:
        names = [one.process for one in self.scenario.vma]
        names += [one.process for one in self.groups]
        return tuple(dict.fromkeys(names))

    # VMAs

    def _place(self, vma: Vma) -> None:
        copies = vma.count
        if vma.per_thread:
            copies = sum(one.count for one in self.groups if one.scales) or 1
        numbered = vma.per_thread or vma.count > 1
        mm = self.mms[vma.process]
        for copy in range(copies):
            start = self._address(mm, vma)
            name = f"{vma.name}{copy + 1}" if numbered else vma.name
            try:
                self._place_one(mm, vma, name, start)
            except ValueError as error:
                raise ScenarioError(self.scenario.name, 0, f'VMA "{name}": {error}') from None
            if vma.per_thread:
                self.own[vma.name, copy] = start
            else:
                mm.slots[name] = start
                mm.slots.setdefault(vma.name, start)

    def _address(self, mm: AddressSpace, vma: Vma) -> int:
        """The address that was asked for, or one below all others chosen so far."""
        if vma.start is not None:
            return vma.start
        size = vma.pages << PAGE_SHIFT
        if vma.kind == "heap":
            return mm.start_brk
        if vma.kind == "stack":
            return STACK_TOP - size
        gap = vma.gap << PAGE_SHIFT
        is_aligned = vma.huge or vma.kind == "hugetlb"
        top, room = self.tops[mm.name], size + 2 * gap + (TABLE_SPAN if is_aligned else 0)
        start = mm.tree.gap_below(MMAP_MIN, top, room) if room <= top - MMAP_MIN else None
        if start is None:
            reason = f'there is no room for VMA "{vma.name}" with {vma.pages} pages'
            raise ScenarioError(self.scenario.name, 0, reason)
        if is_aligned:  # Down to the next 2 MiB: there is as much room below as above.
            start = (start + gap & -TABLE_SPAN) - gap
        self.tops[mm.name] = start
        return start + gap

    def _place_one(self, mm: AddressSpace, vma: Vma, name: str, start: int) -> None:
        flags = sum(
            flag
            for letter, flag in zip("rwx", (VM_READ, VM_WRITE, VM_EXEC), strict=True)
            if letter in vma.perms[:3]
        )
        flags |= VM_SHARED if vma.perms[3] == "s" else 0
        if vma.kind == "hugetlb":
            self._place_hugetlb(mm, vma, name, start, flags)
            return
        fields: dict[str, Any] = {"name": name, "kind": "file" if vma.file else vma.kind}
        if vma.file:
            fields.update(vm_file=self.engine.world.files[vma.file], vm_pgoff=vma.offset)
        elif vma.perms[3] == "s":
            present = vma.pages if vma.resident == "all" else vma.resident
            file = shmem_zero_setup(self.engine, vma.pages, max(present, vma.cached))
            fields.update(kind="file", vm_file=file, vm_pgoff=0)
        elif vma.kind == "other":
            # [vvar] and [vdso]: special mappings have a ->fault of their own and no map_pages.
            special = new_file(self.engine, f"[{vma.name}]", vma.pages, vma.pages, "special")
            fields.update(vm_file=special, vm_pgoff=0)
        if vma.kind == "stack":
            flags |= VM_GROWSDOWN
        if vma.huge:
            flags |= VM_HUGEPAGE
        made = place_vma(self.engine, mm, start, vma.pages, flags, **fields)
        if vma.kind == "heap":
            mm.start_brk, mm.brk = min(mm.start_brk, start), made.vm_end
        resident = vma.pages if vma.resident == "all" else vma.resident
        if made.vm_file is not None and made.vm_file.driver is not None:
            if made.vm_file.driver.at_mmap:
                fill_at_once(self.engine, mm.page_tables, made)
        elif made.vm_file is not None and made.vm_file.is_shmem:
            populate_shared(self.engine, mm.page_tables, made, resident)
        elif (resident or vma.anon_vma or vma.swapped or vma.on_device) and made.vm_file is None:
            self._populate(mm, made, resident)
            self._place_elsewhere(mm, made, vma, resident)
        if vma.uffd:
            begin_registered(self.engine, made, vma.uffd, vma.uffd_protected)

    def _place_hugetlb(self, mm: AddressSpace, vma: Vma, name: str, start: int, flags: int) -> None:
        made = place_hugetlb(self.engine, mm, start, vma.pages, flags, name)
        resident = vma.pages if vma.resident == "all" else vma.resident
        if (resident or vma.anon_vma) and not flags & VM_SHARED:
            made.anon_vma = new_anon_vma(self.engine)
            link_vma(made, made.anon_vma)
            made.emit_changed(self.engine, "anon_vma")
        populate_hugetlb(self.engine, made, resident)

    def _populate(self, mm: AddressSpace, vma: MmVma, pages: int) -> None:
        vma.anon_vma = new_anon_vma(self.engine)
        link_vma(vma, vma.anon_vma)
        tables, number = mm.page_tables, vma.anon_vma.id
        writable, start = bool(vma.vm_flags & VM_WRITE), vma.vm_start
        if may_be_huge(self.engine, vma, start):
            count = pages // PTES_PER_TABLE
            populate_huge_anon(self.engine, tables, start, count, number, writable)
            start += count * TABLE_SPAN
            pages %= PTES_PER_TABLE
        if pages:
            populate_anon(self.engine, tables, start, pages, number, writable)
        vma.emit_changed(self.engine, "anon_vma")

    def _place_elsewhere(self, mm: AddressSpace, made: MmVma, vma: Vma, resident: int) -> None:
        """Pages that are not in memory, or may not be touched, when the run begins."""
        tables = mm.page_tables
        swapped = vma.pages - resident - vma.on_device if vma.swapped == "all" else vma.swapped
        if swapped:
            areas = self.engine.world.swap
            area = areas.area_named(vma.swap or self.scenario.swap[0].name)
            begin_swapped(self.engine, tables, made, resident, swapped, area, vma.swap_cached)
        if vma.on_device:
            begin_on_device(self.engine, tables, made, resident + swapped, vma.on_device)
        if vma.numa_hinted:
            begin_hinted(self.engine, tables, made, vma.numa_hinted)

    # Threads

    def _start_threads(self) -> None:
        workers: list[int] = []
        first = len(self.engine.tasks)
        for group in self.groups:
            if not group.background:
                workers.extend(range(first, first + group.count))
            first += group.count
        scaled = 0
        for group in self.groups:
            for number in range(group.count):
                own = scaled if group.scales else number
                program = self._program(group, number)
                if group.background:
                    program = Background(program, tuple(workers))
                self._start(group, number, own, program)
                scaled += group.scales

    def _start(self, group: Thread, number: int, own: int, program: Program) -> None:
        cpus = self.engine.machine.cpus
        if group.cpu is None:
            cpu = cpus[self.next_cpu % len(cpus)]
            self.next_cpu += 1
        else:
            cpu = cpus[group.cpu % len(cpus)]
        thread = new_thread(
            self.engine,
            self.mms[group.process],
            f"{group.name}{number + 1}" if group.count > 1 else group.name,
            cpu,
            program,
            group.prio,
            nanoseconds(group.start) + number * nanoseconds(group.stagger),
        )
        for vma in self.scenario.vma:
            if vma.per_thread and vma.process == group.process:
                thread.slots[vma.name] = self.own.get((vma.name, own), self.own[vma.name, 0])

    def _program(self, group: Thread, number: int) -> Program:
        translator = Translator(self.scenario, group, number)
        if group.op:
            operations = group.op
            rounds = group.repeat
        else:
            workload = named(group.workload)
            operations = expand(workload, self.dice.fork(len(self.engine.tasks)))
            rounds = repeats(workload)
        translated: tuple[mm_ops.Operation, ...] = tuple(
            translator.operation(one) for one in operations
        )
        return OperationList(translated, rounds)
