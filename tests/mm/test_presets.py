"""Kernels as data: what is known, what is refused, and how a mistake is answered."""

from __future__ import annotations

import pytest

from pfviz.mm.presets import MODES, PRESETS, mode_of, preset


def test_the_known_kernels() -> None:
    assert list(PRESETS) == [
        "6.0",
        "6.1",
        "6.4",
        "6.5",
        "6.6",
        "6.7",
        "6.8",
        "6.9",
        "6.10",
        "6.12",
        "6.15",
        "6.17",
        "6.18",
        "7.2",
        "beyond",
    ]
    assert {one.name for one in PRESETS.values()} == set(PRESETS)


@pytest.mark.parametrize(
    ("name", "lock", "sequence"),
    [("6.0", "none", "none"), ("6.1", "none", "none"), ("6.4", "rwsem", "int"),
     ("6.12", "rwsem", "seqcount"), ("6.18", "refcount", "seqcount")],
)  # fmt: skip
def test_the_vma_lock_of_each(name: str, lock: str, sequence: str) -> None:
    found = preset(name)
    assert (found.vma_lock, found.mm_lock_seq) == (lock, sequence)
    assert found.default_mode == ("mmap_lock" if lock == "none" else "per-vma")


@pytest.mark.parametrize(("name", "near"), [("6.13", "6.1"), ("6.118", "6.18"), ("v6.12", "6.12")])
def test_an_unknown_kernel_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"did you mean '{near}'\?.*known: 6.0, 6.1, 6.4"):
        preset(name)


def test_nonsense_is_answered_with_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"no kernel 'wombat' \(known"):
        preset("wombat")
    with pytest.raises(ValueError, match="did you mean 'per-vma'"):
        mode_of("per_vma", preset("6.12"))


def test_a_kernel_without_vma_locks_cannot_run_in_mode_per_vma() -> None:
    with pytest.raises(ValueError, match=r"Linux 6\.1 has no per-VMA locks"):
        mode_of("per-vma", preset("6.1"))
    for name in PRESETS:
        for mode in MODES:
            if (name, mode) != ("6.1", "per-vma") and name not in ("6.0", "beyond"):
                assert mode_of(mode, preset(name)) == mode


def test_the_red_black_tree_can_be_walked_under_mmap_lock_only() -> None:
    old = preset("6.0")
    assert old.modes == ("mmap_lock",)
    assert mode_of("mmap_lock", old) == mode_of("", old) == "mmap_lock"
    with pytest.raises(ValueError, match=r"red-black tree.*; use mode mmap_lock, .* from 6\.1 on"):
        mode_of("lockless", old)
    with pytest.raises(ValueError, match=r"no per-VMA locks; use mode mmap_lock, .* from 6\.4 on"):
        mode_of("per-vma", old)


def test_beyond_there_is_no_mmap_lock_to_choose() -> None:
    assert preset("beyond").default_mode == "lockless"
    with pytest.raises(ValueError, match=r"beyond has no mmap_lock; use mode per-vma or lockless"):
        mode_of("mmap_lock", preset("beyond"))
