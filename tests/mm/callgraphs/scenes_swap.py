"""The scene of the recorded swap-in: one page of anonymous memory is read that was in zram."""

from __future__ import annotations

from pfviz.mm.thread import Thread
from tests.mm.callgraphs.recorder import Row, fault_rows
from tests.mm.callgraphs.recordings import GIVES, TAKES, Call
from tests.mm.swap_scenes import READ, ZRAM, swapped_world
from tests.worlds import Scene


def swapin_read(kernel: str) -> tuple[Scene, Thread, list[Row]]:
    """A process that has run for a while, so that page tables are there, touches the page."""
    made = swapped_world(kernel, ZRAM)
    thread = made.thread("t", READ)
    made.run()
    return made, thread, fault_rows(made, thread)


def without_free_slots(calls: list[Call]) -> list[Call]:
    """Leave out what becomes of a slot that is free: caches of slots, zswap, zram's own memory.

    It comes below swapcache_clear, behind the lock of the slots or inside it, and differs from
    kernel to kernel; no fault ever waits there.
    """
    mapped = max(number for number, call in enumerate(calls) if call.name == "folio_unlock")
    kept, depth, is_freed = [], 0, False
    for number, call in enumerate(calls):
        is_lock = call.name in TAKES or call.name in GIVES
        is_of_slots = number > mapped + 1 and call.inside[-1:] == ("do_swap_page",)
        if is_of_slots and (is_lock or call.name.startswith("zram")):
            depth += (call.name in TAKES) - (call.name in GIVES)
            is_outer = is_lock and depth == (1 if call.name in TAKES else 0)
            if is_outer and not is_freed:
                kept.append(call)
            is_freed = is_freed or (is_outer and call.name in GIVES)
        elif not call.name.startswith("zram"):
            kept.append(call)
    return kept
