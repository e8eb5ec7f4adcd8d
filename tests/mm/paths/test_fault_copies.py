"""A world in the middle of its faults can be copied, and the copy goes on in the same way."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PROT_READ, Access, Fork, Mprotect, Munmap, OperationList
from pfviz.mm.page_cache import new_file
from pfviz.mm.policy import Policy
from pfviz.sim.fingerprint import fingerprint
from tests.mm.fault_scenes import race
from tests.worlds import Scene, at


def busy(mode: str, policy: Policy | None = None) -> Scene:
    made = race("6.18", mode, policy, fork_base=1_000)
    made.file_vma("f", new_file(made.engine, "data", 64, 8), 64)
    child = OperationList((Access(at("m"), write=True, pages=4),))
    made.thread("a", Access(at("m"), write=True, pages=8), Access(at("f"), pages=20), cpu=0)
    made.thread("b", Fork(child, child_cpu=3), Access(at("m"), write=True, pages=8), cpu=1)
    made.thread("c", Mprotect(at("m", 4), 4, PROT_READ), Munmap(at("m", 6), 2), cpu=2)
    return made


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
@pytest.mark.parametrize("free", ["kernel", "rcu", "ipi"])
def test_a_copy_taken_at_any_step_ends_like_its_original(mode: str, free: str) -> None:
    whole = busy(mode, Policy(page_table_free=free))
    whole.run()
    expected = fingerprint(whole.engine.world)
    made = busy(mode, Policy(page_table_free=free))
    steps = whole.engine.steps
    for _ in range(12):
        made.engine.run(steps_max=steps // 12)
        copy = made.engine.copy()
        copy.run()
        assert fingerprint(copy.world) == expected


def test_the_same_world_runs_to_the_same_digest() -> None:
    digests = set()
    for _ in range(2):
        made = busy("lockless")
        made.run()
        digests.add(made.engine.log.digest())
    assert len(digests) == 1
