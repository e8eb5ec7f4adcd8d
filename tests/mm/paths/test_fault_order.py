"""Every kind of fault, in every mode and kernel, takes the steps that real kernels take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.sim import event
from tests.mm.fault_scenes import SCENES, check_pages, fault_rows, functions_of, kinds, scene
from tests.worlds import Scene

ROOT = Path(__file__).parents[2]
RECORDED: dict[str, Any] = json.loads((ROOT / "data" / "faults" / "call_order.json").read_text())
GOLDEN = ROOT / "golden" / "fault_steps.txt"

MODES = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]

# The recorded kind of each scene, where its name differs.
RECORDED_AS = {
    "anon_write": "anon_write_second",
    "zero_page_cow": "anon_write_after_zero",
    "file_cow": "file_private_write_missing",
    "shared_write": "file_shared_write_missing",
    "kernel_mode": "kernel_mode_fault",
}

LANDMARKS = {
    "get_page_from_freelist": "alloc",
    "mem_cgroup_charge": "charge",
    "folio_add_new_anon_rmap": "new anon rmap",
    "folio_add_lru_vma": "lru",
    "page_cache_ra_unbounded": "readahead",
    "do_page_mkwrite": "page_mkwrite",
}
LANDMARKS |= {
    name: name
    for name in (
        "lock_vma_under_rcu", "lock_mm_and_find_vma", "find_vma", "handle_mm_fault", "do_wp_page",
        "__anon_vma_prepare", "filemap_map_pages", "filemap_fault", "fault_dirty_shared_page",
        "expand_downwards", "bad_area_access_error", "bad_area_nosemaphore",
    )
}  # fmt: skip


def landmarks(made: Scene, thread: Thread) -> list[str]:
    """The thread's last fault in the words of tests/data/faults/call_order.json."""
    log = made.engine.log
    locks = {row[3]: log.texts[row[4]] for row in log if row[1] == event.LOCK_NEW}
    found: list[str] = []
    pending: list[str] = []
    entered: set[str] = set()
    for row in fault_rows(made, thread):
        kind = locks.get(row[3], "")
        if row[1] == event.STEP:
            name = LANDMARKS.get(log.steps[row[3]].function, "")
            if name == "handle_mm_fault":
                entered.clear()
            if name and name not in entered:  # Several steps may stand in one function.
                found.append(name)
                entered.update({name} - {"find_vma"})
            found += pending
            pending = []
        elif row[1] == event.TLB_FLUSH:
            pending.append("flush")
        elif kind not in ("mmap_lock", "vma_lock"):
            continue
        elif row[1] == event.LOCK_ACQUIRED:
            pending.append(f"+{'RW'[row[4]]} {kind}")
        elif row[1] == event.LOCK_RELEASED:
            pending.append(f"-{'RW'[row[4]]} {kind}")
        elif row[1] == event.LOCK_DOWNGRADED:
            pending.append(f"W>R {kind}")
    return found


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
@pytest.mark.parametrize("kind", [kind for kind in SCENES if kind not in ("anon_reuse", "driver")])
def test_the_order_of_calls_is_that_of_the_recorded_kernel(kind: str, kernel: str) -> None:
    made, thread = scene(kind, kernel)
    made.run()
    expected = RECORDED[kernel][RECORDED_AS.get(kind, kind)]
    got = landmarks(made, thread)
    # vma_start_write of a stack VMA is written down apart in the recording.
    got = [name for name in got if name not in ("+W vma_lock", "-W vma_lock")]
    if kernel == "6.18":
        got = [name for name in got if not name.endswith("vma_lock")]
    assert got == expected


def test_every_step_sequence_is_the_one_written_down() -> None:
    """Set PFVIZ_GOLDEN=write to write tests/golden/fault_steps.txt anew, then read the diff.

    A kernel's line is only there if it differs from that of the kernel before.
    """
    lines = []
    before: dict[tuple[str, str], str] = {}
    for kernel, mode in MODES:
        for kind in SCENES:
            made, thread = scene(kind, kernel, mode)
            made.run()
            steps = " > ".join(functions_of(made, thread))
            if before.get((mode, kind)) != steps:
                lines.append(f"{kernel} {mode} {kind}: {steps}")
            before[mode, kind] = steps
    text = "\n".join(lines) + "\n"
    if os.environ.get("PFVIZ_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_every_kind_ends_as_what_it_is_and_leaves_the_pages_in_order(
    kernel: str, mode: str
) -> None:
    for kind in SCENES:
        made, _ = scene(kind, kernel, mode)
        made.run()
        expected = {"kernel_mode": "anon_write", "file_read_miss_random": "file_read_miss"}
        assert kinds(made)[-1] == expected.get(kind, kind), (kernel, mode, kind)
        check_pages(made)
        assert not made.engine.world.rcu.sections
