"""Whether the names in a scenario fit together: kernels, machines, files, places, moments.

What types can say is said by `schema`; this is the rest, one problem at a time, with its path.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from pfviz.mm.operations import UFFD_SLOT
from pfviz.mm.presets import PRESETS, mode_of
from pfviz.scenario import expectations, moments
from pfviz.scenario import operations as op
from pfviz.scenario.errors import hint, version_hint
from pfviz.scenario.machines import machine_kind
from pfviz.scenario.places import parse_place
from pfviz.scenario.positions import Path
from pfviz.scenario.schema import Cue, Question, Scenario, Thread, Vma
from pfviz.scenario.times import nanoseconds
from pfviz.scenario.workloads import NAMES, NEEDS_PLACE, Workload, named

PAGE_BYTES = 4096
HUGE_PAGES: Final = 512
"""Pages of a huge page of 2 MiB."""
ADDRESS_END = 1 << 47


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit, and where in the file."""

    path: Path
    reason: str


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that does not fit, in the order of the file."""
    yield from _world(scenario)
    files = {file.name: None for file in scenario.file}
    for index, vma in enumerate(scenario.vma):
        yield from _vma(files, ("vma", index), vma)
        yield from _elsewhere(scenario, ("vma", index), vma)
        yield from _uffd(("vma", index), vma)
    yield from _overlaps(scenario)
    for index, thread in enumerate(scenario.thread):
        yield from _thread(scenario, ("thread", index), thread)
    for index, cue in enumerate(scenario.cue):
        yield from _moment(("cue", index), cue)
    for index, question in enumerate(scenario.question):
        yield from _moment(("question", index), question)
        if question.right > len(question.answers):
            reason = f"right = {question.right}, but there are {len(question.answers)} answers"
            yield Problem(("question", index, "right"), reason)
    for index, expect in enumerate(scenario.expect):
        error = expectations.error_in(expect.that)
        if error:
            yield Problem(("expect", index, "that"), error)
        for number, kernel in enumerate(expect.kernels):
            yield from _kernel(("expect", index, "kernels", number), kernel)


def _world(scenario: Scenario) -> Iterator[Problem]:
    known = True
    for problem in _kernel(("kernel",), scenario.kernel):
        known = False
        yield problem
    if known:
        try:
            mode_of(scenario.mode, PRESETS[scenario.kernel])
        except ValueError as error:
            yield Problem(("mode",), str(error))
    try:
        machine_kind(scenario.machine)
    except ValueError as error:
        yield Problem(("machine",), str(error))
    if scenario.until is not None and not nanoseconds(scenario.until):
        yield Problem(("until",), "until is 0: nothing would happen")
    yield from _unique("file", [file.name for file in scenario.file])
    yield from _unique("swap", [area.name for area in scenario.swap])
    yield from _unique("thread", [thread.name for thread in scenario.thread])
    names = [f"{vma.name}" for vma in scenario.vma]
    yield from _unique("vma", names)
    if all(thread.background for thread in scenario.thread):
        reason = "every thread is in the background: nobody would keep the run going"
        yield Problem(("thread",), reason)
    if scenario.until is None:
        for index, thread in enumerate(scenario.thread):
            if not thread.background and _is_endless(thread):
                reason = (
                    f'thread "{thread.name}" never ends: give it background = true, or give '
                    "the scenario an until"
                )
                yield Problem(("thread", index), reason)


def _kernel(path: Path, name: str) -> Iterator[Problem]:
    if name not in PRESETS:
        yield Problem(path, f'kernel "{name}" is not known here{version_hint(name, PRESETS)}')


def _unique(table: str, names: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()  # Not a search of the list: an address space has 65,000 VMAs.
    for index, name in enumerate(names):
        if name in seen:
            reason = f'there are two [[{table}]] with the name "{name}"'
            yield Problem((table, index, "name"), reason)
        seen.add(name)


def _is_endless(thread: Thread) -> bool:
    if isinstance(thread.workload, Workload):
        return thread.workload.rounds == 0
    if thread.workload in NAMES and thread.workload not in NEEDS_PLACE:
        return named(thread.workload).rounds == 0
    return not thread.workload and thread.repeat == 0


def _vma(files: Collection[str], path: Path, vma: Vma) -> Iterator[Problem]:
    if vma.kind == "file" and not vma.file:
        yield Problem(path, f'VMA "{vma.name}" is of kind "file" but names no file')
    if vma.file and vma.file not in files:
        reason = f'file "{vma.file}" has no [[file]] here{hint(vma.file, files)}'
        yield Problem((*path, "file"), reason)
    if vma.file and vma.kind not in ("file", "anon"):
        yield Problem((*path, "kind"), f'a VMA with a file is of kind "file", not "{vma.kind}"')
    yield from _huge(path, vma)
    if isinstance(vma.resident, int) and vma.resident > vma.pages:
        reason = f"resident = {vma.resident}, but the VMA has {vma.pages} pages"
        yield Problem((*path, "resident"), reason)
    if vma.start is not None:
        if vma.start % PAGE_BYTES:
            yield Problem((*path, "start"), f"{vma.start:#x} is not the start of a page")
        if vma.start <= 0 or vma.start + vma.pages * PAGE_BYTES > ADDRESS_END:
            reason = f"{vma.start:#x} + {vma.pages} pages is outside of user space"
            yield Problem((*path, "start"), reason)
        if vma.per_thread or vma.count > 1:
            reason = "several VMAs cannot have one address: leave start out"
            yield Problem((*path, "start"), reason)


def _huge(path: Path, vma: Vma) -> Iterator[Problem]:
    """Mappings of huge pages are made of whole ones."""
    if vma.kind == "hugetlb" and vma.pages % HUGE_PAGES:
        reason = f"a hugetlb VMA has a multiple of {HUGE_PAGES} pages, not {vma.pages}"
        yield Problem((*path, "pages"), reason)
    if vma.huge and (vma.kind not in ("anon", "heap") or vma.file or vma.perms.endswith("s")):
        yield Problem((*path, "huge"), "huge is for private memory without a file")
    is_made_of_huge = vma.huge or vma.kind == "hugetlb"
    if is_made_of_huge and vma.start is not None and vma.start % (HUGE_PAGES * PAGE_BYTES):
        yield Problem((*path, "start"), f"{vma.start:#x} is not a multiple of 2 MiB")
    if vma.kind == "hugetlb":
        for name in ("swapped", "on_device", "numa_hinted", "uffd", "cached"):
            if getattr(vma, name):
                yield Problem((*path, name), f"a hugetlb VMA cannot have {name}")


def _elsewhere(scenario: Scenario, path: Path, vma: Vma) -> Iterator[Problem]:
    """Pages that are in swap, in a device, or hinted when the run begins."""
    said = [name for name in ("swapped", "on_device", "numa_hinted") if getattr(vma, name)]
    if not said:
        return
    if vma.file or vma.perms.endswith("s"):
        yield Problem((*path, said[0]), f"{said[0]} is for private memory without a file")
    areas = [area.name for area in scenario.swap]
    if vma.swapped and not areas:
        reason = f'VMA "{vma.name}" has pages in swap, but there is no [[swap]]'
        yield Problem((*path, "swapped"), reason)
    elif vma.swap and vma.swap not in areas:
        reason = f'swap "{vma.swap}" has no [[swap]] here{hint(vma.swap, areas)}'
        yield Problem((*path, "swap"), reason)
    resident = vma.pages if vma.resident == "all" else vma.resident
    swapped = 0 if vma.swapped == "all" else vma.swapped
    if resident + swapped + vma.on_device > vma.pages:
        reason = "resident, swapped and on_device pages together are more than the VMA has"
        yield Problem((*path, said[0]), reason)
    if vma.numa_hinted > resident:
        reason = f"numa_hinted = {vma.numa_hinted}, but {resident} pages are resident"
        yield Problem((*path, "numa_hinted"), reason)
    if vma.swapped != "all" and vma.swap_cached > vma.swapped:
        reason = f"swap_cached = {vma.swap_cached}, but {vma.swapped} pages are swapped"
        yield Problem((*path, "swap_cached"), reason)


def _uffd(path: Path, vma: Vma) -> Iterator[Problem]:
    """What a userfaultfd can serve."""
    is_shared = vma.perms.endswith("s") and not vma.file
    if vma.uffd and (vma.file or vma.kind in ("other", "file")):
        reason = "a userfaultfd serves anonymous and shared memory, no files"
        yield Problem((*path, "uffd"), reason)
    elif "minor" in vma.uffd and not is_shared:
        reason = 'minor faults are for shared memory: perms = "rw-s"'
        yield Problem((*path, "uffd"), reason)
    if vma.uffd_protected and "wp" not in vma.uffd:
        yield Problem((*path, "uffd_protected"), 'uffd_protected needs uffd = ["wp"]')
    if vma.cached and not is_shared:
        reason = "cached is for shared memory; a [[file]] says itself what is cached"
        yield Problem((*path, "cached"), reason)
    if vma.cached > vma.pages:
        reason = f"cached = {vma.cached}, but the VMA has {vma.pages} pages"
        yield Problem((*path, "cached"), reason)


def _overlaps(scenario: Scenario) -> Iterator[Problem]:
    placed = sorted(
        (vma.process, vma.start, vma.start + vma.pages * PAGE_BYTES, index)
        for index, vma in enumerate(scenario.vma)
        if vma.start is not None
    )
    for (process, _, end, one), (other_process, start, _, other) in itertools.pairwise(placed):
        if process == other_process and start < end:
            names = scenario.vma[one].name, scenario.vma[other].name
            reason = f'VMA "{names[1]}" begins inside of "{names[0]}"'
            yield Problem(("vma", other, "start"), reason)


def _thread(scenario: Scenario, path: Path, thread: Thread) -> Iterator[Problem]:
    processes = {one.process for one in scenario.thread} | {one.process for one in scenario.vma}
    if thread.op and thread.workload:
        yield Problem(path, f'thread "{thread.name}" has both a workload and [[thread.op]]')
    if not thread.op and not thread.workload:
        yield Problem(path, f'thread "{thread.name}" has nothing to do: no op and no workload')
    cpus = 0
    try:
        kind = machine_kind(scenario.machine)
        cpus = kind.sockets * kind.cores_per_socket
    except ValueError:
        return  # Told already.
    if thread.cpu is not None and thread.cpu >= cpus:
        reason = f'cpu = {thread.cpu}, but machine "{scenario.machine}" has CPUs 0 to {cpus - 1}'
        yield Problem((*path, "cpu"), reason)
    if isinstance(thread.workload, str) and thread.workload:
        name = thread.workload
        if name not in NAMES:
            yield Problem(
                (*path, "workload"), f'workload "{name}" is not known here{hint(name, NAMES)}'
            )
        elif name in NEEDS_PLACE:
            reason = f'workload "{name}" must be told where: [thread.workload] with name and at'
            yield Problem((*path, "workload"), reason)
    vmas = {vma.name for vma in scenario.vma if vma.process == thread.process}
    if isinstance(thread.workload, Workload):
        for key in ("at", "buffer"):
            at = getattr(thread.workload, key, "")
            yield from _place((*path, "workload", key), at, vmas, scenario)
        process = getattr(thread.workload, "process", "")
        yield from _process((*path, "workload", "process"), process, processes)
    slots: set[str] = set(vmas)
    for index, one in enumerate(thread.op):
        where = (*path, "op", index)
        names = slots
        if isinstance(one, op.Reclaim | op.MigratePages) and one.process:
            names = {vma.name for vma in scenario.vma if vma.process == one.process}
            yield from _process((*where, "process"), one.process, processes)
        for key in ("at", "source", "to"):
            yield from _place((*where, key), getattr(one, key, ""), names, scenario)
        if isinstance(one, op.UffdRead):
            slots.add(UFFD_SLOT)
        elif isinstance(one, op.Mremap):
            slots.add(one.slot)
        elif isinstance(one, op.Mmap):
            slots.add(one.slot)
            files = [file.name for file in scenario.file]
            if one.file and one.file not in files:
                reason = f'file "{one.file}" has no [[file]] here{hint(one.file, files)}'
                yield Problem((*where, "file"), reason)
        elif isinstance(one, op.ReadProc):
            yield from _process((*where, "process"), one.process, processes)


def _place(path: Path, at: str, names: set[str], scenario: Scenario) -> Iterator[Problem]:
    # VMAs that come from a maps file are not known yet: build will look at them.
    if not at or scenario.maps:
        return
    try:
        parse_place(at, names)
    except ValueError as error:
        base = str(error)
        yield Problem(path, f'"{base}" is neither a VMA nor a slot{hint(base, names)}')


def _process(path: Path, name: str, processes: set[str]) -> Iterator[Problem]:
    if name and name not in processes:
        reason = f'process "{name}" has neither thread nor VMA{hint(name, processes)}'
        yield Problem(path, reason)


def _moment(path: Path, moment: Cue | Question) -> Iterator[Problem]:
    if bool(moment.when) == (moment.at is not None):
        yield Problem(path, "say when: either `at` (a time) or `when` (an event), not both")
    elif moment.when:
        error = moments.error_in(moment.when)
        if error:
            yield Problem((*path, "when"), error)
    for number, kernel in enumerate(moment.kernels):
        yield from _kernel((*path, "kernels", number), kernel)
    # With no kernel told there is always one that can: 6.12 has every mode.
    kernels = [name for name in moment.kernels if name in PRESETS]
    for number, mode in enumerate(moment.modes):
        if kernels and not any(mode in PRESETS[name].modes for name in kernels):
            reason = f'no kernel of {", ".join(kernels)} can run in mode "{mode}"'
            yield Problem((*path, "modes", number), reason)
