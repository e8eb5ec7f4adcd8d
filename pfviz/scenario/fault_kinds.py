"""The kinds of page faults in the matrix, each a scenario whose thread `app` takes just that fault.

The scenarios are the files of `kinds/`, one for each kind; what every one of them says at the same
moments is in `kinds/_cues.toml`. Which lock serves a kind under a kernel is not known here: that is
found out by running it (`matrix`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from pfviz.scenario import load
from pfviz.scenario.documents import read_text
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.names import kinds_folder
from pfviz.scenario.schema import Cue, Scenario

APP: Final = "app"
"""The thread whose first fault is the one that a kind is about."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the matrix."""

    id: str
    title: str
    """What the row is called: the access and what it meets."""
    group: str
    row: str
    """The same in the words of kernel developers."""
    missing: str = ""
    """What the model has not learnt yet and the row needs; "" when it can be played."""


ANON: Final = "Anonymous memory"
FILES: Final = "Files"
ENTRIES: Final = "Entries without a page"
HUGE: Final = "Huge pages"
DRIVERS: Final = "Drivers"
PATHS: Final = "Other ways in"

KINDS: Final = (
    Kind("anon_read_zero", "read: the zero page", ANON,
         "anon read, zero page, VMA has anon_vma"),
    Kind("anon_read_no_anon_vma", "read, no anon_vma yet", ANON,
         "anon read, zero page, anon_vma NULL"),
    Kind("anon_write", "write", ANON,
         "anon write, anon_vma set"),
    Kind("anon_write_first", "first write, no anon_vma yet", ANON,
         "anon write, anon_vma NULL (first write)"),
    Kind("cow_after_fork", "write after fork: copied", ANON,
         "anon CoW after fork"),
    Kind("anon_reuse", "write after fork: page reused", ANON,
         "anon exclusive reuse after fork"),
    Kind("zero_page_cow", "write after read, no anon_vma", ANON,
         "zero-page CoW, anon_vma NULL"),
    Kind("file_read_hit", "read, page in the cache", FILES,
         "file read, page-cache hit via map_pages"),
    Kind("file_read_alone", "read, no fault-around", FILES,
         "file read hit but fault-around off / uffd-disabled"),
    Kind("file_read_miss", "read that needs the disk", FILES,
         "file read miss, I/O needed"),
    Kind("file_cow", "private write", FILES,
         "private file write, PTE none (do_cow_fault), anon_vma set"),
    Kind("file_cow_first", "private write, no anon_vma", FILES,
         "private file write, PTE none, anon_vma NULL"),
    Kind("file_cow_mapped", "private write, page mapped", FILES,
         "private file write to present RO PTE, anon_vma set"),
    Kind("file_cow_mapped_first", "page mapped, no anon_vma", FILES,
         "private file write to present RO PTE, anon_vma NULL"),
    Kind("shared_write", "shared write (page_mkwrite)", FILES,
         "shared file write, PTE none (page_mkwrite)"),
    Kind("shared_write_miss", "shared write, disk needed", FILES,
         "shared file write, PTE none (page_mkwrite), page absent"),
    Kind("shared_write_mapped", "shared write, page mapped", FILES,
         "shared write to present RO PTE with page_mkwrite"),
    Kind("shared_write_plain", "shared write, no page_mkwrite", FILES,
         "shared write to present RO PTE, no page_mkwrite"),
    Kind("shmem_read", "shared memory: read", FILES,
         "shmem / tmpfs / anon shared: read"),
    Kind("shmem_write", "shared memory: write", FILES,
         "shmem / tmpfs / anon shared: write"),
    Kind("dax", "DAX: huge_fault", FILES,
         "DAX / file huge_fault"),
    Kind("swap_cached", "swap-in, in the swap cache", ENTRIES,
         "swap-in, folio in swap cache and unlocked"),
    Kind("swap_async", "swap-in from a disk", ENTRIES,
         "swap-in, async backing I/O"),
    Kind("swap_sync", "swap-in from zram", ENTRIES,
         "swap-in, synchronous device (zram, SWP_SYNCHRONOUS_IO)"),
    Kind("migration", "migration entry", ENTRIES,
         "migration entry"),
    Kind("device_private", "device-private entry", ENTRIES,
         "device-private entry (migrate_to_ram)"),
    Kind("uffd_missing", "userfaultfd: missing", ENTRIES,
         "userfaultfd missing"),
    Kind("uffd_wp", "userfaultfd: write-protected", ENTRIES,
         "userfaultfd wp"),
    Kind("uffd_minor", "userfaultfd: minor", ENTRIES,
         "userfaultfd minor"),
    Kind("numa_hint", "NUMA hint", ENTRIES,
         "NUMA hint fault"),
    Kind("anon_thp", "anonymous huge page", HUGE,
         "anon THP fault"),
    Kind("anon_thp_first", "huge page, no anon_vma yet", HUGE,
         "anon THP fault, anon_vma NULL"),
    Kind("hugetlb", "hugetlb", HUGE,
         "hugetlb"),
    Kind("hugetlb_first", "hugetlb, no anon_vma yet", HUGE,
         "hugetlb, anon_vma NULL"),
    Kind("driver", "device without map_pages", DRIVERS,
         "driver VMA, ->fault without map_pages (PFNMAP, MIXEDMAP, GPU)"),
    Kind("special_mapping", "vvar and vdso", DRIVERS,
         "vdso special mapping, ->fault without map_pages"),
    Kind("pfn_mkwrite", "pfn_mkwrite, no map_pages", DRIVERS,
         "PFNMAP write-notify with pfn_mkwrite, no map_pages"),
    Kind("pfn_mkwrite_mapped", "pfn_mkwrite and map_pages", DRIVERS,
         "PFNMAP write-notify with pfn_mkwrite, map_pages set"),
    Kind("present", "entry already repaired", PATHS,
         "present-PTE fix-up (young/dirty/spurious)"),
    Kind("stack_growth", "below the stack", PATHS,
         "stack growth (address below VMA)"),
    Kind("kernel_mode", "by the kernel itself", PATHS,
         "kernel-mode fault on user address (copy_to_user etc.)"),
    Kind("segv_access", "permission missing", PATHS,
         "permission error (SEGV)"),
    Kind("locked_write", "write in locked memory", PATHS,
         "MAP_LOCKED / VM_LOCKED VMA"),
    Kind("populate", "MAP_POPULATE", PATHS,
         "populate (MAP_POPULATE)"),
    Kind("mlock", "mlock", PATHS,
         "mlock"),
    Kind("gup", "pages for a device (GUP)", PATHS,
         "GUP slow path, ptrace access"),
)  # fmt: skip
"""The rows, in the order in which they are shown."""

BY_ID: Final = {kind.id: kind for kind in KINDS}
GROUPS: Final = tuple(dict.fromkeys(kind.group for kind in KINDS))


def kind_named(name: str) -> Kind:
    """The kind of an id; ScenarioError naming the nearest when there is none."""
    if name not in BY_ID:
        raise ScenarioError("matrix", 0, f'kind "{name}" is not known here{hint(name, BY_ID)}')
    return BY_ID[name]


def path_of(kind: Kind) -> Path:
    """The file of a kind's scenario."""
    return kinds_folder() / f"{kind.id}.toml"


@lru_cache(maxsize=256)
def scenario_of(name: str) -> Scenario:
    """The scenario of a kind, ready to play under any kernel, with the cues that all have.

    ScenarioError when there is no such kind, or when the model cannot play it yet.
    """
    kind = kind_named(name)
    if kind.missing:
        raise ScenarioError(name, 0, f"cannot be played yet: {kind.missing} is not modelled")
    path = path_of(kind)
    scenario = load.parse(read_text(path), str(path))
    said = {cue.when for cue in scenario.cue}
    cues = tuple(cue for cue in common_cues() if cue.when not in said)
    return msgspec.structs.replace(scenario, name=kind.id, cue=(*scenario.cue, *cues))


@lru_cache(maxsize=1)
def common_cues() -> tuple[Cue, ...]:
    """What is said in every kind: locks taken and given back, the way back, the end."""
    text = (kinds_folder() / "_cues.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["cue"], tuple[Cue, ...])
