"""pfviz takes the steps that real kernels were recorded to take, in their order, kind by kind.

A new kind needs a scene (see `scenes`); what it then does differently names itself here.
"""

from __future__ import annotations

import pytest

from tests.mm.callgraphs.compare import UNKNOWN, compare, compare_entry
from tests.mm.callgraphs.recorder import record
from tests.mm.callgraphs.recordings import KERNELS, recording
from tests.mm.callgraphs.scenes import SCENES, window

NO_SCENE_YET: dict[str, str] = {}
"""Recorded kinds that pfviz cannot play, and why; a kind with a scene may not stand here."""

KINDS = sorted(set(recording("6.12").kinds) - set(NO_SCENE_YET))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_pfviz_calls_what_the_kernel_called_in_its_order(kind: str, kernel: str) -> None:
    recorded = recording(kernel)
    played = SCENES[kind](kernel)
    items = record(played.scene, played.rows)
    found = compare(recorded, window(recorded.calls(kind), kind), items)
    assert not found.difference, f"{kind} on {kernel}: {found.difference}"
    assert found.compared == len(found.theirs)
    unexplained = [name for name, reason in found.skipped if reason == UNKNOWN]
    assert not unexplained, f"no recording of {kernel} shows these: say why in tables"


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_recorded_kind_has_a_scene_or_a_reason_why_not(kernel: str) -> None:
    kinds = set(recording(kernel).kinds)
    assert kinds == set(SCENES) | set(NO_SCENE_YET)
    assert not set(SCENES) & set(NO_SCENE_YET), "these have scenes now: take them off the list"


def test_an_entry_of_any_recording_can_be_compared() -> None:
    entry = recording("6.12").kinds["anon_write_second"]
    played = SCENES["anon_write_second"]("6.12")
    assert not compare_entry("6.12", entry, played.scene, played.rows).difference
    other = SCENES["anon_write_first"]("6.12")
    difference = compare_entry("6.12", entry, other.scene, other.rows).difference
    assert difference.startswith("the kernel calls vma_alloc_folio, pfviz has mmap_lock_start")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_bears_a_name_that_the_recording_could_show_and_does_not(
    kind: str, kernel: str
) -> None:
    recorded = recording(kernel)
    called = {call.name for call in recorded.calls(kind)}
    played = SCENES[kind](kernel)
    steps = {item.token for item in record(played.scene, played.rows) if item.is_step}
    assert not [
        name for name in sorted(steps - called) if recorded.traceable.get(name) == "traceable"
    ]
