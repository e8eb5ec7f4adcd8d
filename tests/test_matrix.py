"""`pfviz matrix` equals the fact sheet, cell for cell, and each knob changes just its own cells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfviz.mm import presets
from pfviz.mm.paths.outcome import MAJOR_FLAG
from pfviz.mm.releases import RELEASES, Change
from pfviz.scenario import matrix
from pfviz.scenario.build import build_with
from pfviz.scenario.fault_kinds import APP, BY_ID, KINDS, scenario_of
from pfviz.scenario.matrix import KERNELS, cell, cell_under
from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.sim import event
from pfviz.sim.machine import FOREVER_NS

FACTS = Path(__file__).parent / "data" / "matrix" / "faults.txt"

COLUMNS = {
    "6.0 / 6.1-6.3": ("6.0", "6.1"),
    "6.4-6.5": ("6.4", "6.5"),
    "6.6": ("6.6",),
    "6.7-6.9": ("6.7", "6.8", "6.9"),
    "6.10-6.14": ("6.10", "6.12"),
    "6.15-6.18, 7.2": ("6.15", "6.17", "6.18", "7.2"),
}
"""The kernels of each column: 6.8 and 6.9 use that of 6.7, 6.12 that of 6.10."""

CODE = re.compile(r"X|M|V|T|V>M|V\(io\)>M|M\(write\)|mmap read")

IN_WORDS: dict[str, str] = {
    "V>M (before ->fault)": "V>M",
    "V (page absent: V(io)>M [O])": "V",
    "V, lock held across read": "V",
    "V (waits *holding* VL, then refault)": "V",
    "M (userfaultfd_armed test)": "M",
    "V, lock dropped while queued, then >M": "V>M",
    "V (anon with anon_vma)": "V",
    "V(anon)": "V",
    "V>M at top of hugetlb_fault [K]": "V>M",
    "V>M [K]": "V>M",
    "V (T for anon_vma)": "V",
    "drop VL, recheck under mmap_lock": "V>M",
    "reported under VL": "V",
}
"""Cells that say more than their code."""

BY_KERNEL = {
    "write lock needed since 6.5; before: under mmap read": {"6.0": "X(read)", "6.1": "X(write)"},
    "M (mmap read in 6.4.0; write in 6.4.1+)": {"6.4": "M(read)", "6.5": "M(write)"},
}
"""Cells that tell the kernels of their column apart; the preset 6.1 is a stable one (6.1.37+)."""

BY_KIND = {
    "T/V": {"anon_thp": "V", "anon_thp_first": "T"},
    "V iff map_pages set, else V>M": {"pfn_mkwrite": "V>M", "pfn_mkwrite_mapped": "V"},
    # Read hit and shared write of a file, the two ways in which shared memory is touched.
    "as file": {"shmem_read": "file_read_hit", "shmem_write": "shared_write"},
    "follows its kind": {"locked_write": "cow_after_fork"},
}
"""Cells that tell apart what several kinds stand for, or that name another row's kind."""

FIRST_WRITES = {
    ("anon_thp_first", "V"): "M",  # no anon_vma: refused early until 6.9, as any other write
    ("hugetlb_first", "V (T for anon_vma)"): "T",
    ("hugetlb_first", "V"): "T",
}
"""Kinds of ours that the sheet's row only mentions: the same without an anon_vma."""


def facts() -> list[tuple[str, str, str]]:
    """(kind, kernel, the sheet's own words), "same" replaced by the column before."""
    lines = [line for line in FACTS.read_text().splitlines() if not line.startswith("#")]
    head, *rows = [tuple(part.strip() for part in line.split(" | ")) for line in lines]
    found = []
    for row in rows:
        words = ""
        for column, text in zip(head[1:-1], row[1:-1], strict=True):
            words = words if text == "same" else text
            found += [(kind, name, words) for kind in row[-1].split() for name in COLUMNS[column]]
    return found


def code_in(kind: str, kernel: str, words: str) -> str:
    """The code that the sheet's words stand for."""
    if (kind, words) in FIRST_WRITES:
        return FIRST_WRITES[kind, words]
    if words in BY_KERNEL:
        return BY_KERNEL[words][kernel]
    if words in BY_KIND:
        meant = BY_KIND[words][kind]
        return cell(meant, kernel).code if meant in BY_ID else meant
    code = IN_WORDS.get(words, words.replace("[O 6.18]", "").replace("[O]", "").strip())
    assert CODE.fullmatch(code), words
    return code


def not_yet(kind: str) -> list[pytest.MarkDecorator]:
    missing = BY_ID[kind].missing
    return (
        [pytest.mark.xfail(strict=True, reason=f"not modelled yet: {missing}")] if missing else []
    )


ROWS = [pytest.param(kind, marks=not_yet(kind)) for kind in dict.fromkeys(f[0] for f in facts())]


@pytest.mark.parametrize("kind", ROWS)
def test_every_cell_of_a_kind_is_that_of_the_fact_sheet(kind: str) -> None:
    expected = {name: code_in(kind, name, words) for one, name, words in facts() if one == kind}
    assert set(expected) == set(KERNELS) - {"beyond"}
    assert {name: cell(kind, name).code for name in expected} == expected


def test_every_kind_has_its_row_in_the_fact_sheet() -> None:
    ours = {"shared_write_miss"}  # "page absent: V(io)>M", in the row of shared_write
    assert {kind.id for kind in KINDS} == {fact[0] for fact in facts()} | ours


def test_a_shared_write_to_a_page_on_disk_asks_the_disk_under_the_vma_lock() -> None:
    said = [cell("shared_write_miss", name).code for name in KERNELS if name != "beyond"]
    assert said == ["X", "X", "M", "M", "V>M", *["V(io)>M"] * 9]


@pytest.mark.parametrize("kind", ["file_read_miss", "swap_async"])
@pytest.mark.parametrize(
    ("kernel", "major"),
    [("6.1", True), ("6.7", False), ("6.8", True), ("6.12", True), ("7.2", True)],
)
def test_a_page_read_in_under_a_vma_lock_is_a_minor_fault_until_6_7(
    kind: str, kernel: str, major: bool
) -> None:
    """The round that read it is not accounted, and that of mmap_lock finds it (46e714c729c8)."""
    assert is_major(kind, kernel) == major


def test_6_6_reads_files_in_under_mmap_lock_and_counts_only_swap_as_minor() -> None:
    assert is_major("file_read_miss", "6.6")
    assert not is_major("swap_async", "6.6")


def is_major(kind: str, kernel: str) -> bool:
    engine = build_with(scenario_of(kind), NO_CHANGES, preset=presets.preset(kernel))
    engine.run(FOREVER_NS)
    app = next(task.id for task in engine.tasks if task.name == APP)
    ended = [row for row in engine.log if row[1] == event.FAULT_END and row[2] == app]
    return bool(ended[-1][6] & MAJOR_FLAG)


# Knobs

ANON_VMA_LATE = {
    "anon_read_no_anon_vma": "M", "anon_write_first": "M", "zero_page_cow": "M",
    "anon_thp_first": "M", "file_cow_first": "V>M", "file_cow_mapped_first": "V>M",
    "hugetlb_first": "V>M",
}  # fmt: skip
"""6.10: a missing anon_vma sent these back, anonymous ones before they were locked."""

MAP_PAGES_ONLY = {
    "file_read_alone": "V>M", "file_read_miss": "V>M", "file_cow": "V>M", "shared_write": "V>M",
    "shared_write_miss": "V>M", "shared_write_mapped": "V>M", "shmem_write": "V>M",
    "pfn_mkwrite_mapped": "V>M",
}  # fmt: skip
"""6.6: whatever map_pages cannot serve starts again under mmap_lock."""

NO_FILES = dict.fromkeys(
    (
        "file_read_hit", "file_read_alone", "file_read_miss", "file_cow", "file_cow_first",
        "file_cow_mapped", "file_cow_mapped_first", "shared_write", "shared_write_miss",
        "shared_write_mapped", "shared_write_plain", "shmem_read", "shmem_write", "dax",
        "driver", "special_mapping", "pfn_mkwrite", "pfn_mkwrite_mapped", "hugetlb",
        "hugetlb_first", "uffd_minor",
    ),
    "M",
)  # fmt: skip
"""6.4: no VMA of a file is locked at all."""

NO_ANON_VMA_CHECK = {
    "anon_read_no_anon_vma": "V", "anon_write_first": "V>M", "zero_page_cow": "V>M",
    "anon_thp_first": "V>M",
}  # fmt: skip
"""6.4 without its early test: a read needs no anon_vma, a write cannot be given one."""

SWAP = dict.fromkeys(("swap_cached", "swap_async", "swap_sync", "migration"), "V>M")
USERFAULTFD = dict.fromkeys(("uffd_missing", "uffd_wp", "uffd_minor"), "M")

ALONE: dict[tuple[str, str], dict[str, str]] = {
    ("6.1", "expand_stack"): {"stack_growth": "X(read)"},
    ("6.4", "anon_vma_check"): NO_ANON_VMA_CHECK,
    # mlock write-locked this VMA; without mm_lock_seq it would stay so for ever.
    ("6.4", "mm_lock_seq"): {"locked_write": "M"},
    ("6.4", "expand_stack"): {"stack_growth": "M(write)"},
    ("6.5", "expand_stack"): {"stack_growth": "M(read)"},
    ("6.6", "file_under_vl"): NO_FILES,
    ("6.6", "swap_under_vl"): SWAP,
    ("6.6", "uffd_under_vl"): USERFAULTFD,
    ("6.7", "file_under_vl"): MAP_PAGES_ONLY,
    ("6.10", "anon_vma_check"): ANON_VMA_LATE,
    ("6.10", "hugetlb_under_vl"): {"hugetlb": "V>M", "hugetlb_first": "V>M"},
    ("6.10", "access_error_under_vl"): {"segv_access": "V>M"},
}  # fmt: skip
"""What the sheet has for cells whose kernel lacks just this one of its own changes; else none."""

EVERY_CELL = {("6.4", "vma_lock"), ("beyond", "lockless")}
"""Knobs that change nearly all cells, tested apart."""

CHANGES = [
    pytest.param(release.name, change, id=f"{release.name}-{change.knob}")
    for release in RELEASES
    for change in release.changes
    if change.knob and (release.name, change.knob) not in EVERY_CELL
]


@pytest.mark.parametrize(("kernel", "change"), CHANGES)
def test_a_knob_turned_back_changes_just_the_cells_that_it_is_about(
    kernel: str, change: Change
) -> None:
    without = matrix.without(presets.preset(kernel), change)
    expected = {
        kind: code
        for kind, code in ALONE.get((kernel, change.knob), {}).items()
        if not BY_ID[kind].missing
    }
    changed = {}
    for kind in KINDS:
        code = cell_under(kind.id, without).code
        if code != cell(kind.id, kernel).code:
            changed[kind.id] = code
    assert changed == expected


def test_without_vma_locks_there_is_no_cell_but_x() -> None:
    change = next(one for one in RELEASES[2].changes if one.knob == "vma_lock")
    without = matrix.without(presets.preset("6.4"), change)
    for kind in KINDS:
        if not kind.missing and cell(kind.id, "6.4").code != "mmap read":
            assert cell_under(kind.id, without).code.startswith("X"), kind.id


def test_beyond_without_lockless_faults_is_the_newest_kernel() -> None:
    change = next(one for one in RELEASES[-1].changes if one.knob == "lockless")
    without = matrix.without(presets.preset("beyond"), change)
    for kind in KINDS:
        assert cell_under(kind.id, without).code == cell(kind.id, "7.2").code, kind.id


def test_beyond_is_without_locks_or_falls_back_to_what_the_newest_kernel_does() -> None:
    for kind in KINDS:
        newest, beyond = cell(kind.id, "7.2").code, cell(kind.id, "beyond").code
        assert beyond in ("L", f"L>{newest}", newest), kind.id
    assert cell("anon_write", "beyond").code == cell("file_read_hit", "beyond").code == "L"
    assert cell("kernel_mode", "beyond").code == "M"


# Who sent it back

CHECKS = {
    # (kind, kernel): the function that the sheet names (1.3)
    ("anon_read_no_anon_vma", "6.4"): "lock_vma_under_rcu",
    ("file_read_hit", "6.5"): "lock_vma_under_rcu",
    ("anon_write_first", "6.6"): "lock_vma_under_rcu",
    ("file_read_alone", "6.6"): "do_read_fault",
    ("file_cow", "6.6"): "do_cow_fault",
    ("shared_write", "6.6"): "do_shared_fault",
    ("shared_write_mapped", "6.6"): "wp_page_shared",
    ("file_cow_mapped_first", "6.6"): "do_wp_page",
    ("driver", "6.7"): "vmf_can_call_fault",
    ("driver", "7.2"): "vmf_can_call_fault",
    ("file_cow_first", "6.7"): "vmf_anon_prepare",
    ("file_cow_mapped_first", "6.9"): "vmf_anon_prepare",
    ("anon_write_first", "6.10"): "__vmf_anon_prepare",
    ("anon_write_first", "6.18"): "__vmf_anon_prepare",
    ("kernel_mode", "6.12"): "do_user_addr_fault",
    ("stack_growth", "6.18"): "lock_vma_under_rcu",
    ("swap_cached", "6.4"): "do_swap_page",
    ("swap_async", "6.5"): "do_swap_page",
    ("migration", "6.4"): "do_swap_page",
    ("device_private", "6.12"): "do_swap_page",
    ("uffd_missing", "6.4"): "lock_vma_under_rcu",
    ("uffd_missing", "6.12"): "handle_userfault",
    ("uffd_wp", "6.12"): "handle_userfault",
    ("hugetlb", "6.6"): "hugetlb_fault",
    ("pfn_mkwrite", "6.6"): "wp_pfn_shared",
    ("pfn_mkwrite", "6.12"): "vmf_can_call_fault",
}


@pytest.mark.parametrize(
    ("kind", "kernel"),
    [pytest.param(kind, kernel, marks=not_yet(kind)) for kind, kernel in CHECKS],
)
def test_the_function_that_sent_a_fault_back_is_the_kernels(kind: str, kernel: str) -> None:
    assert cell(kind, kernel).check == CHECKS[kind, kernel]


def test_a_fault_that_stayed_under_its_lock_was_sent_back_by_nobody() -> None:
    for one in matrix.cells():
        if one.code in ("V", "X", "L"):
            assert not one.check, one


@pytest.mark.parametrize(
    ("kind", "kernel", "commit"),
    [
        ("anon_write", "6.4", "5e31275cc997"),
        ("file_read_hit", "6.6", "f5617ffeb450"),
        ("file_read_miss", "6.7", "5d74b2ab2c15"),
        ("stack_growth", "6.5", "c2508ec5a58d"),
    ],
)
def test_the_commit_that_changed_a_cell_is_found(kind: str, kernel: str, commit: str) -> None:
    assert any(commit in change.commit for change in matrix.causes(kind, kernel))


def test_a_cell_that_did_not_change_has_no_commit() -> None:
    assert matrix.causes("anon_write", "6.12") == ()
    assert matrix.causes("anon_write", "6.0") == ()
    assert matrix.changed_kinds("6.7", "6.8") == ()
    assert matrix.changed_kinds("6.18", "7.2") == ()


def test_the_changes_between_two_kernels_are_those_of_all_releases_in_between() -> None:
    commits = [change.commit for change in matrix.changes_between("6.7", "6.9")]
    assert "6e553c6bcb77" in commits
    assert "867a43a34ff8" in commits
    assert matrix.changes_between("6.9", "6.7") == matrix.changes_between("6.7", "6.9")
    assert matrix.changes_between("6.7", "6.7") == ()


# The scenarios

PLAYABLE = [kind.id for kind in KINDS if not kind.missing]


@pytest.mark.parametrize("kind", PLAYABLE)
def test_every_kind_is_a_scenario_with_a_story_and_captions_that_come(kind: str) -> None:
    scenario = scenario_of(kind)
    assert scenario.name == kind
    assert scenario.title
    assert len(scenario.story.split()) > 8
    assert any(thread.name == "app" for thread in scenario.thread)
    own = [cue for cue in scenario.cue if "app" in cue.when]
    assert len(own) >= 10


@pytest.mark.parametrize("kernel", ["6.4", "6.6", "6.12", "beyond"])
def test_no_cell_hangs_on_the_seed_or_the_machine(kernel: str) -> None:
    for kind in PLAYABLE:
        for overrides in (Overrides(seed=2), Overrides(seed=7), Overrides(machine="server")):
            other = cell_under(kind, presets.preset(kernel), overrides)
            assert other.code == cell(kind, kernel).code, (kind, overrides)


def test_a_run_that_breaks_a_rule_of_its_own_is_not_taken_for_a_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The matrix is computed: with the driver's check switched off its cell is another."""
    from pfviz.mm.paths import file

    matrix.cell.cache_clear()
    monkeypatch.setattr(file, "vmf_can_call_fault", lambda engine, thread: None)
    try:
        assert cell("driver", "6.12").code == "V"
    finally:
        matrix.cell.cache_clear()
