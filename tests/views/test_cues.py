"""The cues of a run: those that its author meant for this kernel and mode, where they come."""

from __future__ import annotations

import pytest

from pfviz.report.source import open_scenario
from pfviz.scenario.overrides import Overrides
from pfviz.tui.recipe import Recipe


def captions(kernel: str, mode: str) -> list[str]:
    run = Recipe(open_scenario("hello-fault"), Overrides(kernel=kernel, mode=mode)).start()
    while not run.finished:
        run.advance(1.0)
    found = run.cues.found()
    assert len(found) <= len(run.cues)
    return [place.caption for place in found]


@pytest.mark.parametrize(
    ("kernel", "mode", "told", "untold"),
    [
        ("6.12", "per-vma", "And mmap_lock after all, by trylock", "one lock for the whole"),
        ("6.12", "mmap_lock", "one lock for the whole address space", "after all, by trylock"),
        ("6.4", "per-vma", "Linux 6.4 does not lock a VMA that has no anon_vma", "after all"),
        ("6.1", "lockless", "no lock for a VMA alone", "The VMA's own lock"),
        ("6.18", "lockless", "Done without the lock of the VMA", "Now the VMA's lock is all"),
    ],
)
def test_a_run_has_the_captions_that_are_true_in_it(
    kernel: str, mode: str, told: str, untold: str
) -> None:
    words = " ".join(captions(kernel, mode))
    assert told in words
    assert untold not in words


def test_captions_follow_the_mode_when_the_viewer_changes_it() -> None:
    recipe = Recipe(open_scenario("hello-fault"))
    assert len(recipe.start().cues) != len(recipe.with_changes(mode="mmap_lock").start().cues)
