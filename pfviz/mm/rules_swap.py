"""Rules about swap: a slot, its page in the swap cache and its contents belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfviz.mm.world import Mm


def cached_pages_have_their_slots_contents(engine: Mm) -> Iterator[str]:
    """I16: a page in the swap cache is that of its slot, for the use that the slot has now.

    That what is read past the cache is not outdated is checked when it is mapped (`RuleWatch`).
    """
    for area in engine.world.swap.areas:
        for slot, folio in area.cache.items():
            is_its_own = folio.is_cached and folio.area is area and folio.slot == slot
            if not is_its_own or slot not in area.pinned:
                yield f"slot {slot} of {area.name} and its page in the swap cache disagree"
            elif folio.generation != area.generations[slot]:
                yield f"the page of slot {slot} of {area.name} is of an earlier use of the slot"
