"""An off-by-one in any part of the algorithm makes the replay of recorded vectors fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm.maple import gaps, node, plan, rebalance, rebuild, roots, spanning, split, store
from pfviz.mm.maple.replay import replay_file
from tests.maple import edge_cases
from tests.maple.swap import swap_source

DATA = Path(__file__).parent.parent / "data" / "maple"


MUTATIONS: list[tuple[str, Callable[..., Any], str, str]] = [
    ("plain", plan.decide_in_leaf, "new_end < _LEAF_MIN", "new_end <= _LEAF_MIN"),
    ("plain", plan.decide_in_leaf, "new_end >= _LEAF_SLOTS", "new_end > _LEAF_SLOTS"),
    ("random", plan.decide_in_leaf, "offset_end - offset == 1", "offset_end - offset <= 2"),
    ("plain", plan.decide_in_leaf, "offset_end += 1", "offset_end += 0"),
    ("plain", plan.walk_to_store, "if entry is None and last != MAX_INDEX", "if False"),
    ("plain", split.calc_split, "end // 2", "(end + 1) // 2"),
    ("bulk", split.calc_split, "end - MT_MIN_SLOTS[big.type]", "end - 1 - MT_MIN_SLOTS[big.type]"),
    ("plain", split.no_null_split, "return cut + 1", "return cut - 1"),
    ("plain", split.no_null_split, "MT_SLOTS[big.type] - 1", "MT_SLOTS[big.type] - 8"),
    ("random", split._room_for_push, "total < space", "total <= space"),
    ("plain", split._push_left, "MT_SLOTS[big.type] - 2", "MT_SLOTS[big.type] - 3"),
    ("plain", split._push_right, "MT_SLOTS[big.type] - 2", "MT_SLOTS[big.type] - 1"),
    ("bulk", split.build_split, "<= MT_SLOTS[big.type]", "< MT_SLOTS[big.type]"),
    ("plain", rebalance.build_rebalance, "node.parent_slot + 1", "node.parent_slot - 1"),
    ("plain", rebalance.build_rebalance, "< parent.end", "< parent.end - 1"),
    ("plain", rebuild._make_nodes, "end < room", "end < room - 1"),
    ("plain", rebuild._needs_middle, "end >= 2 * room or", "end > 2 * room or"),
    ("random", rebuild._needs_middle, "2 * room - 1", "2 * room - 2"),
    ("plain", rebuild.rebuild_upwards, "> MT_MIN_SLOTS", ">= MT_MIN_SLOTS"),
    ("random", rebuild.rebuild_upwards, "<= MT_MIN_SLOTS", "< MT_MIN_SLOTS"),
    ("plain", rebuild._level_above, "right.parent_slot + 1", "right.parent_slot"),
    ("teach", rebuild._borrow, "high.parent_slot < above.end", "high.parent_slot + 1 < above.end"),
    ("plain", spanning.build_spanning_store, "plan.last + 1", "plan.last"),
    ("plain", spanning.build_spanning_store, "right.max > plan.end", "right.max >= plan.end"),
    ("plain", spanning._widen_null, "left_slot -= 1", "left_slot -= 0"),
    ("plain", spanning._widen_null, "right_slot += 1", "right_slot += 0"),
    ("teach", roots.build_store_root, "plan.index > 1", "plan.index > 0"),
    ("random", gaps.carry_gap, "largest > gap", "largest >= gap - 1"),
    ("random", gaps.carry_gap, "gap < largest", "gap > largest"),
    ("random", gaps.carry_gap, "len(gaps) - 1", "len(gaps) - 2"),
    ("teach", gaps.empty_area, ">= size:\n                node", "> size:\n                node"),
    ("teach", gaps.empty_area_rev, "size <= gap", "size < gap"),
    ("random", node.max_gap, "node.min - 1", "node.min"),
    ("random", node._highest_offset_of_max, "len(gaps) - 1", "gaps.index(largest)"),
    ("random", store._publish_graft, "update_gap(new, changed)", "pass"),
]


# What the recorded vectors let pass.
EDGE_MUTATIONS: list[tuple[Callable[..., Any], Callable[..., Any], str, str]] = [
    (case, function, old, new)
    for case, function, old, news in (
        (
            edge_cases.a_null_that_widens_over_everything,
            spanning.build_spanning_store,
            "plan.first == 0 and",
            ("plan.first == 1 and", "plan.first == -1 and", "False and"),
        ),
        (
            edge_cases.a_leaf_borrows_from_its_left_cousin,
            rebuild._borrow,
            "depth, -1)",
            ("depth, -2)", "depth, 0)"),
        ),
    )
    for new in news
]


@pytest.mark.parametrize(("case", "function", "old", "new"), EDGE_MUTATIONS)
def test_an_off_by_one_that_no_vector_shows_gives_another_tree(
    monkeypatch: pytest.MonkeyPatch,
    case: Callable[..., Any],
    function: Callable[..., Any],
    old: str,
    new: str,
) -> None:
    tree, leaves = case()
    assert edge_cases.leaves_of(tree) == leaves
    swap_source(monkeypatch, function, old, new)
    tree, leaves = case()
    assert edge_cases.leaves_of(tree) != leaves


@pytest.mark.parametrize(("name", "function", "old", "new"), MUTATIONS)
def test_an_off_by_one_makes_the_replay_fail(
    monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., Any], old: str, new: str
) -> None:
    swap_source(monkeypatch, function, old, new)
    report = replay_file(DATA / f"{name}.jsonl.gz")
    assert report.failed > 0
