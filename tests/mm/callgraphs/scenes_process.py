"""Scenes of whole processes: fork and exit, with mappings like those of the recorded process.

What a mapping was (a file's, written to, of a device) and which page tables it had is read off the
recording of the same kernel; what is compared is what happens to them, and in which order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pfviz.mm import operations as ops
from pfviz.mm.frames import ZERO_PFN
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE, PRESENT, SPECIAL, TABLE_SPAN, pte_of
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import new_userfaultfd
from pfviz.mm.vma import VM_PFNMAP
from pfviz.sim import event
from tests.mm.callgraphs.recorder import Row, rows_of
from tests.mm.callgraphs.recordings import Call, recording
from tests.worlds import Scene, world


def _like_recorded(made: Scene) -> None:
    """Mappings like those of the process that was recorded in fork, with page tables like its own.

    A mapping begins in the page table of the one below if fork found that the child had it already.
    """
    calls = recording(made.engine.world.preset.name).calls("fork")
    first = [number for number, call in enumerate(calls) if call.name == "vm_area_dup"]
    data = new_file(made.engine, "data", 64, 64)
    end = TABLE_SPAN * 1000
    for number, (begin, after) in enumerate(pairwise([*first, len(calls)])):
        tokens = [call.token for call in calls[begin:after]]
        new = tokens.count("__pte_alloc")
        locked = tokens.index("_raw_spin_lock(ptl)") if "_raw_spin_lock(ptl)" in tokens else 0
        shares = locked > 0 and (not new or locked < tokens.index("__pte_alloc"))
        start = end if shares or not new else -(-end // TABLE_SPAN) * TABLE_SPAN
        end = start + 4 * PAGE_SIZE
        if new + shares == 2:
            end = (start // TABLE_SPAN + 1) * TABLE_SPAN + 4 * PAGE_SIZE
        kind = {"vm_file": data, "kind": "file"} if "down_write(i_mmap)" in tokens else {}
        made.vma(f"m{number}", (end - start) // PAGE_SIZE, "rw", start=start, **kind)
        if "anon_vma_clone" in tokens:
            made.touched(f"m{number}")
        elif locked:
            _map_device(made, f"m{number}")
        if "userfaultfd_reset_ctx" in tokens:
            made.vmas[f"m{number}"].userfaultfd = new_userfaultfd(made.engine, made.mm)


def _map_device(made: Scene, name: str) -> None:
    """Let a mapping show the memory of a device, as remap_pfn_range does."""
    vma = made.vmas[name]
    vma.vm_flags |= VM_PFNMAP
    table = made.mm.page_tables.table_for(made.engine, vma.vm_start)
    table.ptes[table.index(vma.vm_start)] = pte_of(0xB8, PRESENT | SPECIAL)
    table.occupied += 1


def fork_process(made: Scene) -> Thread:
    """A process with the mappings of the recorded one forks."""
    _like_recorded(made)
    return made.thread("t", ops.Fork(ops.OperationList((ops.Sleep(1),)), child_cpu=1))


def exit_process(made: Scene) -> Thread:
    """A process exits that has mappings as close, with as many page tables, as the recorded one.

    What was given up together lies close together; between groups is room for a page table more.
    """
    kernel = recording(made.engine.world.preset.name)
    tables, groups = _tables_of_exit(kernel.calls("exit_mmap"))
    fork = kernel.calls("fork")
    first = [number for number, call in enumerate(fork) if call.name == "vm_area_dup"]
    end = TABLE_SPAN * 1000
    for number, (begin, after) in enumerate(pairwise([*first, len(fork)])):
        tokens = [call.token for call in fork[begin:after]]
        is_new = not number or groups[number] != groups[number - 1]
        start = (end // TABLE_SPAN + 3) * TABLE_SPAN if is_new else end
        end = start + 4 * PAGE_SIZE
        if tables[number] == 2:
            end = (start // TABLE_SPAN + 1) * TABLE_SPAN + 4 * PAGE_SIZE
        kind: dict[str, Any] = {}
        if "down_write(i_mmap)" in tokens:
            name = f"file{groups[number]}"
            file = made.engine.world.files.get(name) or made.file(name, 64, 64)
            kind = {"vm_file": file, "kind": "file"}
        made.vma(f"m{number}", (end - start) // PAGE_SIZE, "rw", start=start, **kind)
        if "anon_vma_clone" in tokens:
            made.touched(f"m{number}", 1)
        made.mm.page_tables.table_for(made.engine, start)
        made.mm.page_tables.table_for(made.engine, end - PAGE_SIZE)
    return made.thread("t", ops.Exit())


def _tables_of_exit(calls: list[Call]) -> tuple[list[int], list[int]]:
    """For each mapping that a recorded process gave up: page tables walked, group it belongs to."""
    tables: list[int] = []
    groups: list[int] = []
    freed = 0
    for call in calls:
        if call.name == "unmap_single_vma":
            tables.append(0)
        elif call.token == "_raw_spin_lock(ptl)" and tables:
            tables[-1] += 1
        elif call.name == "unlink_anon_vmas":
            groups.append(freed)
        elif call.name == "free_pgd_range":
            freed += 1
    return tables, groups


def execve(kernel: str) -> tuple[Scene, Thread, list[Row]]:
    """A process becomes another program; what is compared begins when it gives its memory up.

    The recording is not deep enough to show what unmapping and unlinking lock: the old mappings are
    as many and as close as those that were recorded, but of zero pages, and their page-table locks
    are left out here, too.
    """
    made = world(kernel, cpus=4)
    end = TABLE_SPAN * 1000
    groups = _groups_of_exec(recording(kernel).calls("execve_mm"))
    for number, group in enumerate(groups):
        is_new = not number or group != groups[number - 1]
        start = (end // TABLE_SPAN + 3) * TABLE_SPAN if is_new else end
        end = start + 4 * PAGE_SIZE
        made.vma(f"m{number}", 4, "rw" if number % 2 else "r", start=start)
        table = made.mm.page_tables.table_for(made.engine, start)
        table.ptes[table.index(start)] = pte_of(ZERO_PFN, PRESENT | SPECIAL)
        table.occupied += 1
    thread = made.thread("t", ops.Exec(ops.OperationList((ops.Compute(1),))))
    made.run()
    rows = rows_of(made, thread)
    steps = [made.engine.log.steps[row[3]].name if row[1] == event.STEP else "" for row in rows]
    first, unmap, unmapped = (
        next(number for number, step in enumerate(steps) if step.endswith(name))
        for name in (".begin_new_exec", ".unmap_all", ".write_lock_all")
    )
    last = next(number for number, row in enumerate(rows) if row[1] == event.OP_END)
    released = max(n for n in range(unmapped) if steps[n])
    shown = [
        row for number, row in enumerate(rows)
        if steps[number] or not unmap < number <= released
    ]  # fmt: skip
    return made, thread, [row for row in shown if rows.index(row) in range(first + 1, last)]


def exec_window(calls: list[Call]) -> list[Call]:
    """From the exchange of address spaces to the stack that is ready; program headers come next.

    Below vma_expand the recordings are not deep enough to show the lock of the anon_vma.
    """
    names = [call.name for call in calls]
    first = names.index("mmap_lock_start_locking")
    grown = names.index("expand_downwards")
    found: list[Call] = []
    for call in calls[first : names.index("mmap_lock_start_locking", grown)]:
        found.append(call)
        take = {"vma_prepare": "down_write", "vma_complete": "up_write"}.get(call.name)
        if take is not None and "vma_expand" in call.inside:
            found.append(Call(take, (*call.inside, call.name), f"{take}(anon_vma)", "anon_vma"))
    return found


def _groups_of_exec(calls: list[Call]) -> list[int]:
    """For each mapping of the old program: the group of close ones that it belongs to."""
    groups: list[int] = []
    freed = 0
    for call in calls[: [call.name for call in calls].index("setup_arg_pages")]:
        if call.name == "unlink_anon_vmas":
            groups.append(freed)
        elif call.name == "free_pgd_range":
            freed += 1
    return groups
