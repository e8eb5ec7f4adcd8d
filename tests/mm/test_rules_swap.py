"""I16: what the swap cache says of a slot is held against the slot."""

from __future__ import annotations

from pfviz.mm import rules
from tests.mm.swap_scenes import area_of, swapped_world
from tests.worlds import Scene


def broken(made: Scene) -> list[str]:
    return [one.rule for one in rules.check(made.engine)]


def test_a_page_of_the_swap_cache_has_the_contents_of_its_slot() -> None:
    assert broken(swapped_world("6.12", cached=4)) == []


def test_a_page_of_an_earlier_use_of_its_slot_is_found() -> None:
    made = swapped_world("6.12", cached=4)
    area_of(made).generations[2] += 1
    assert broken(made) == ["I16"]


def test_a_page_under_another_slot_is_found() -> None:
    made = swapped_world("6.12", cached=4)
    area_of(made).cache[1].slot = 3
    assert broken(made) == ["I16"]
