"""What the bundled scenarios say: threads named as somebody, captions true of every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfviz.scenario import load
from pfviz.scenario.schema import Scenario

FOLDER = Path(__file__).parents[2] / "scenarios"

NOBODY = {"never", "nobody", "always", "drops", "opted", "mapped", "converted", "waits", "holds"}
"""Words that make another sentence of one about a thread: "writer waits: never has held"."""


def scenario(name: str) -> Scenario:
    path = FOLDER / f"{name}.toml"
    return load.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_thread_has_a_name_that_can_stand_for_somebody_in_a_sentence(path: Path) -> None:
    assert not NOBODY & {one.name for one in scenario(path.stem).thread}


def test_the_order_that_loses_no_wake_up_names_both_sides_of_it() -> None:
    said = [cue.caption for cue in scenario("userfaultfd").cue if "wake_userfault" in cue.when]
    assert "the monitor looks who waits" in said[0]
    assert "The fault queued, then looked for the page" in said[0]


def test_the_bystanders_caption_is_true_whether_or_not_faults_hold_locks_over_io() -> None:
    cues = [cue for cue in scenario("io-race").cue if "task=bystander" in cue.when]
    assert len(cues) == 1
    # Under `restart`, the default, fork waits for no fault: the cue comes there as well.
    assert "waits for a fault" not in cues[0].caption
    assert "until fork is done" in cues[0].caption
