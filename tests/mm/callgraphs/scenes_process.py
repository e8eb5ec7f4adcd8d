"""Scenes of whole processes: fork and exit, with mappings like those of the recorded process.

What a mapping was (a file's, written to, of a device) and which page tables it had is read off the
recording of the same kernel; what is compared is what happens to them, and in which order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pfviz.mm import operations as ops
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE, PRESENT, SPECIAL, TABLE_SPAN, pte_of
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import new_userfaultfd
from pfviz.mm.vma import VM_PFNMAP
from tests.mm.callgraphs.recordings import Call, recording
from tests.worlds import Scene


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
