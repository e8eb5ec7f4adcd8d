"""What the locks charge, by name, with the origin of each figure; `mm/costs.py` includes it.

Lock operations charge themselves, cache-line transfers included: a step that takes a lock needs no
cost for that. `context_switch` and `wake` are the engine's; they stand here: locks need no mm.
"""

from __future__ import annotations

from typing import Final

COSTS: Final[dict[str, tuple[int, str]]] = {
    # name: (ns, origin)
    "context_switch": (1_200, "model; 1,000-1,500 on bare metal, 3,200 in a 6.18 guest"),
    "wake": (2_000, "model; wake a sleeper on another CPU: 1,500-5,000 on bare metal"),
    "wake_up_process": (200, "model; the waker's own part of one wake-up"),
    "rwsem_atomic": (6, "model; one uncontended atomic on an owned line, 5 (20 cycles)"),
    "rwsem_slowpath": (10, "model; a few loads and branches"),
    "rwsem_wait_lock": (30, "model; an uncontended spinlock and a list operation"),
    "rwsem_grant": (5, "model; one reader moved from the queue to the wake-up list"),
    "rwsem_spin": (10, "model; one look of a spinner at owner and count"),
    "osq_lock": (10, "model; one exchange on the tail of the spinner queue"),
    "spin_lock": (6, "model; lock plus unlock 10-15 uncontended"),
    "spin_lock_slowpath": (20, "model; queueing of one MCS node"),
    "range_lock": (40, "model; a spinlock and an interval tree of a few nodes"),
    "seqcount": (2, "model; a load or a store on an owned line"),
    "refcount": (6, "model; one uncontended atomic on an owned line"),
    "rcu_read_lock": (2, "model; 0-4 for lock plus unlock"),
    "call_rcu": (30, "model; one callback queued on this CPU"),
    "rcu_grace_period": (5_000_000, "5-30 ms typical; expedited 50-200 us"),
    "rcu_poll": (
        1_000_000,
        "model; how often a late grace period looks at CPUs with interrupts off",
    ),
}
