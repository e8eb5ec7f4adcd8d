"""The VMA trees of real processes have the shape that the kernel gave them, store by store."""

from __future__ import annotations

import pytest

from pfviz.mm.maple import duplicate, split
from tests.real_processes import PROCESSES, Replay


@pytest.mark.parametrize("name", PROCESSES)
def test_a_real_process_gets_the_kernels_tree(name: str) -> None:
    replay = Replay(name).run()
    assert replay.checked > 50
    replay.scene.mm.tree.check()


@pytest.mark.parametrize("name", PROCESSES)
def test_the_child_of_a_real_process_gets_the_kernels_tree(name: str) -> None:
    """Copied node by node, every VMA replaced in its slot, those not to be copied cleared."""
    replay = Replay(name).run(is_checked=False)
    child = replay.fork()
    assert replay.checked == 1
    child.check()
    replay.scene.mm.tree.check()


def test_a_split_one_slot_further_right_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = split.calc_split
    monkeypatch.setattr(split, "calc_split", lambda big, bulk=False: cut(big, bulk=bulk) + 1)
    with pytest.raises(AssertionError):
        Replay("real/python-numpy").run()
    with pytest.raises(AssertionError):
        Replay("real/guard-2000").run()


def test_a_copy_that_forgets_a_gap_slot_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = duplicate._copy_node

    def forgetful(copy: object, node: object) -> object:
        made = twin(copy, node)  # type: ignore[arg-type]
        made.gap_slot = 0
        return made

    monkeypatch.setattr(duplicate, "_copy_node", forgetful)
    with pytest.raises(AssertionError):
        Replay("real/guard-2000").run(is_checked=False).fork()
