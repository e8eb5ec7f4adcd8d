"""The shelves of the gallery: which scenarios stand together, so that a stranger finds a way in.

Data and sorting only; what is on no shelf that is named here stands on one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pfviz.scenario.names import bundled

from .sources import Entry

MATRIX: Final = "matrix"
MATRIX_ENTRY: Final = Entry(
    MATRIX,
    "The matrix: every fault, every kernel",
    "Which page faults still need mmap_lock, in which kernel, and which commit changed that. Each "
    "of some seven hundred cells is found by running the fault in that kernel. Choose a cell and "
    "it plays; move along the kernels and see what each of them changed.",
    MATRIX,
)
"""What is no scenario but belongs to the first things to see."""

RECENT: Final = "Recent"
BEGIN: Final = "Begin here"
TALKS: Final = "Talks"
OTHERS: Final = "More"
OWN: Final = "Your own"
RECORDED: Final = "Recorded on real kernels"
SHELVES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (BEGIN, ("hello-fault", "fault-storm", "one-vma-storm", "smaps-monitor", MATRIX)),
    (TALKS, ("talk-3min", "talk")),
    ("mmap_lock and VMA locks", (
        "two-mallocs", "fault-vs-munmap", "writer-convoy", "fork-vs-faults", "stack-growth",
        "first-touch",
    )),
    ("Waiting for disk and swap", ("file-io-wait", "io-race", "swap-in", "swap-race")),
    ("userfaultfd", ("userfaultfd", "userfaultfd-hold")),
    ("Watching a process", ("maps-vs-smaps", "proc-readers", "page-table-free")),
    ("What users reported", (
        "tcmalloc-release", "madvise-convoy", "gc-scavenger", "per-vma-on-off", "will-it-scale-brk",
        "will-it-scale-files", "lock-inversion-bpf",
    )),
    ("Device drivers", ("driver-faults", "driver-fork", "driver-mistakes")),
    ("The VMA tree", ("tree-tour", "rcu-lookup")),
    ("Huge pages", ("huge-pages",)),
    ("Without mmap_lock", ("lockless-abort", "beyond-mmap-lock")),
)  # fmt: skip
"""The shelves in order, and what stands on each in the order in which it teaches best."""


def arranged(entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    """(shelf, its entries) for all shelves that have some; captures asked for come first."""
    known = {name: shelf for shelf, names in SHELVES for name in names}
    order = {name: number for _, names in SHELVES for number, name in enumerate(names)}
    ours = {str(path) for path in bundled()} | {MATRIX}
    on_shelf: dict[str, list[Entry]] = {RECENT: [], OWN: []}
    on_shelf |= {shelf: [] for shelf in (*(shelf for shelf, _ in SHELVES), OTHERS, RECORDED)}
    for entry in entries:
        if entry.recent is not None:
            shelf = RECENT
        elif entry.is_talk:
            shelf = TALKS
        elif entry.is_capture:
            shelf = OWN if Path(entry.path).name == entry.name else RECORDED
        elif entry.path not in ours:
            shelf = OWN
        else:
            shelf = known.get(entry.name, OTHERS)
        on_shelf[shelf].append(entry)
    for shelf, stand in on_shelf.items():
        if shelf not in (RECENT, OWN, RECORDED):
            stand.sort(key=lambda entry: (order.get(entry.name, 0), entry.name))
    return [(shelf, stand) for shelf, stand in on_shelf.items() if stand]


def in_order(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries as the shelves have them, one after the other."""
    return tuple(entry for _, stand in arranged(entries) for entry in stand)
