"""What each release changed is the fact sheet's table of knobs, and says where it is known from."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm import presets, releases
from pfviz.mm.presets import PRESETS, Preset
from pfviz.mm.releases import FIRST, RELEASES

KNOBS = Path(__file__).parents[1] / "data" / "matrix" / "knobs.txt"

NONE = {"none": "none", "-": "none"}
LOCK = {"mmap R": "mmap_lock", "VL": "vma_lock", "VL (6.9+)": "vma_lock"}
YES = {"-": False, "no": False, "yes": True}

READ: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    # The sheet's knob: fields of a preset, and what its words are there.
    "tree": (("tree", {"rb": "rb", "maple(non-RCU .0, RCU .23+)": "maple",
                       "maple RCU": "maple"}),),
    "vma_lock": (("vma_lock", {**NONE, "rwsem+seq": "rwsem", "refcnt+seq": "refcount"}),),
    "anon_vma_check": (("anon_vma_check", {**NONE, "early, unlocked": "early_unlocked",
                        "early, locked": "early", "late, trylock": "late"}),),
    "file_under_vl": (("file_under_vl", {**NONE, "map_pages": "map_pages", "full": "full"}),),
    "swap_under_vl": (("swap_under_vl", YES),),
    "uffd_fault_under_vl": (("uffd_under_vl", YES),),
    "uffd_ioctl lock": (("uffd_ioctl_lock", LOCK),),
    "hugetlb_under_vl": (("hugetlb_under_vl", YES),),
    "fork locks VMAs": (("fork_locks_vmas", {**YES, "killable": True}),),
    # The presets 6.1 and 6.4 are 6.1.192 and 6.4.0.
    "expand_stack mode": (("expand_stack", {"mmap R": "read", "mmap R (W from 6.1.37)": "write",
                           "mmap R (W from 6.4.1)": "read", "mmap W + VL W": "write"}),),
    # The preset 6.12 is 6.12.117.
    "mm_lock_seq": (("mm_lock_seq", {**NONE, "int, +1 per write-unlock": "int",
                     "int (6.12.0) / seqcount (6.12.117)": "seqcount",
                     "seqcount": "seqcount"}),),
    "who unlocks VL on RETRY": (("handler_unlocks", {"-": False, "arch code, always": False,
                                 "arch": False, "handler": True}),),
    "vma_free": (("vma_free", {"immediate": "immediate", "call_rcu": "rcu",
                  "typesafe slab reuse": "typesafe"}),),
    "maps lock": (("maps_lock", LOCK),),
    "smaps/numa_maps lock": (("smaps_lock", LOCK), ("numa_maps_lock", LOCK)),
    "MADV_DONTNEED/FREE lock": (("madvise_dontneed_lock", LOCK),),
}  # fmt: skip

ALWAYS = {"smaps_rollup/pagemap lock": "mmap R"}
"""The sheet's knobs that no kernel turns, so the model has none."""

BETWEEN = {"6.7": ("6.7", "6.8", "6.9"), "6.15": ("6.15", "6.17"), "6.4.0": ("6.4",)}
"""Presets without a column of their own go with the column before them, but for:"""

EARLIER = {
    # Said in the sheet's list of commits, or in the cell itself.
    ("uffd_ioctl lock", "6.9"): "VL (6.9+)",
    ("maps lock", "6.17"): "VL",
    ("MADV_DONTNEED/FREE lock", "6.17"): "VL",
}


def facts() -> list[tuple[str, str, str]]:
    """(knob, kernel, the sheet's words), "=" replaced by the column before."""
    lines = [line for line in KNOBS.read_text().splitlines() if not line.startswith("#")]
    head, *rows = [tuple(part.strip() for part in line.split(" | ")) for line in lines]
    found = []
    for row in rows:
        words = ""
        for column, text in zip(head[1:], row[1:], strict=True):
            words = words if text == "=" else text
            found += [
                (row[0], kernel, EARLIER.get((row[0], kernel), words))
                for kernel in BETWEEN.get(column, (column,))
            ]
    return found


@pytest.mark.parametrize(("knob", "kernel", "words"), facts())
def test_every_knob_is_what_the_fact_sheet_says(knob: str, kernel: str, words: str) -> None:
    assert words == ALWAYS.get(knob, words)
    for field, meanings in READ.get(knob, ()):
        assert getattr(PRESETS[kernel], field) == meanings[words], field


def test_every_knob_of_the_fact_sheet_is_read_for_every_kernel() -> None:
    assert {fact[0] for fact in facts()} == set(READ) | set(ALWAYS)
    assert {fact[1] for fact in facts()} == set(PRESETS) - {"beyond"}


CHANGES = [(release.name, change) for release in RELEASES for change in release.changes]


def test_every_change_says_where_it_is_known_from() -> None:
    told = {field for meanings in READ.values() for field, _ in meanings}
    for release, change in CHANGES:
        assert change.origin in ("source", "recorded", "list", "memory", "proposal"), change
        assert (change.origin == "proposal") == (release == "beyond"), change
        # Memory alone is not enough for what the fact sheet is about.
        if change.knob in told and change.origin == "memory":
            assert change.commit, f"{release}: {change.knob} has neither a commit nor a source"


def test_commits_are_abbreviated_to_twelve_digits_or_name_their_series() -> None:
    for _, change in CHANGES:
        for one in change.commit.split(", ") if change.commit else ():
            assert re.fullmatch(r"[0-9a-f]{12}", one) or one.startswith("series by "), one


def test_a_change_changes_something() -> None:
    for index, release in enumerate(RELEASES[1:]):
        before, after = PRESETS[RELEASES[index].name], PRESETS[release.name]
        for change in release.changes:
            if change.knob:
                assert getattr(before, change.knob) != change.value, (release.name, change.knob)
                assert getattr(after, change.knob) == change.value, (release.name, change.knob)
            else:
                assert change.value is None


def test_no_release_turns_one_knob_twice() -> None:
    for release in RELEASES:
        knobs = [change.knob for change in release.changes if change.knob]
        assert len(knobs) == len(set(knobs)), release.name


def test_every_knob_of_the_first_release_is_a_field() -> None:
    for knob, value in FIRST.items():
        assert getattr(PRESETS["6.0"], knob) == value


def test_every_knob_is_read_by_the_model() -> None:
    package = Path(presets.__file__).parents[1]
    aside = {presets.__file__, releases.__file__}
    read = "".join(one.read_text() for one in package.rglob("*.py") if str(one) not in aside)
    unread = {field.name for field in fields(Preset)} - set(re.findall(r"\w+", read))
    assert not unread, "a knob that changes nothing is a line of text in `releases`"


COMMITS = {
    # The sheet's list of commits (1.4), each under the release that it names.
    "6.1": "d4af56c5c7c6 3dd443254941",
    "6.4": "5e31275cc997 50ee32537206 0bff0aaea03e",
    "6.5": "f96c48670319 fb49c455323f c2508ec5a58d 9471f1f2f502 7a7f09453534",
    "6.6": "1235ccd05b6d 29a22b9e08d7 f5617ffeb450 0c2e394ab23b 4089eef0e6ac 49b0638502da",
    "6.7": "5d74b2ab2c15 4ed4379881aa 4de8c93a4751 12214eba1992",
    "6.8": "6e553c6bcb77 46e714c729c8",
    "6.9": "867a43a34ff8",
    "6.12": "eb449bd96954",
    "6.15": "f35ab95ca0af 3104138517fc",
    "6.17": "6772c457a865 a6fde7add78d",
    "6.18": "03d98703f7e2",
}


@pytest.mark.parametrize(
    ("release", "commit"), [(name, one) for name, all_ in COMMITS.items() for one in all_.split()]
)
def test_every_commit_of_the_fact_sheet_is_under_its_release(release: str, commit: str) -> None:
    said = [change.commit for name, change in CHANGES if name == release]
    assert any(commit in one for one in said)
