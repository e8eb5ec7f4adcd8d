"""The VMA trees of real processes have the shape that the kernel gave them, store by store."""

from __future__ import annotations

import pytest

from pfviz.mm.maple import split
from tests.real_processes import PROCESSES, Replay


@pytest.mark.parametrize("name", PROCESSES)
def test_a_real_process_gets_the_kernels_tree(name: str) -> None:
    replay = Replay(name).run()
    assert replay.checked > 50
    replay.scene.mm.tree.check()


def test_a_split_one_slot_further_right_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = split.calc_split
    monkeypatch.setattr(split, "calc_split", lambda big, bulk=False: cut(big, bulk=bulk) + 1)
    with pytest.raises(AssertionError):
        Replay("real/python-numpy").run()
