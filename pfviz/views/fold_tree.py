"""Folds of what the tree of VMAs reports: reads and writes, nodes, stores, walks, vmacaches."""

# Every fold takes a whole event row, whatever it needs of it.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Final

from pfviz.sim import event as ev

from .frame import Frame
from .memory_state import (
    OPERATION,
    READ,
    TREE_EVENTS_MAX,
    WRITE,
    NodeState,
    StoreState,
    TreeEvent,
    VmaCacheState,
)


def _told(f: Frame, now: int, task: int, what: str, a: int, b: int, c: int, d: int) -> TreeEvent:
    """Keep what a trace point of the maple tree tells."""
    events = f.mms[d].tree_events
    low, high, first, last, value = -1, -1, b, b, -1
    if 0 <= c < len(f.log.details):
        low, high, first, last, _, _, value = f.log.details[c]
    told = TreeEvent(now, task, what, f.log.texts[a], first, last, low, high, value)
    events.append(told)
    if len(events) > TREE_EVENTS_MAX:
        del events[: TREE_EVENTS_MAX // 2]
    return told


def _ma_read(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    _told(f, now, task, READ, a, b, c, d)


def _ma_op(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    _told(f, now, task, OPERATION, a, b, c, d)


def _ma_write(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    told = _told(f, now, task, WRITE, a, b, c, d)
    mm = f.mms[d]
    mm.write_ns = now
    mm.write_function = told.function
    mm.write_task = task
    mm.write_range = (told.first, told.last)


def _tree_write(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    mm.write_ns = now
    mm.write_function = f.log.texts[a]
    mm.write_task = task
    mm.write_node, mm.write_turns, mm.write_painted = f.log.details[c]
    node = mm.nodes.get(mm.write_node)
    mm.write_range = (node.min, node.max) if node is not None else (b, b)


def _vmacache(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    what = f.log.texts[a]
    mm = f.mms[d]
    if what == "invalidate":
        mm.vmacache_seqnum += 1
        return
    cache = mm.vmacaches.setdefault(task, VmaCacheState())
    if what == "flush":
        cache.vmas = [-1] * len(cache.vmas)
    elif what == "update":
        cache.vmas[b] = c
    else:
        cache.hits += what == "hit"
        cache.misses += what == "miss"
        for name in ("find_calls", "find_hits")[: 2 if what == "hit" else 1]:
            counter = f"vmacache_{name}"
            f.counters[counter] = f.counters.get(counter, 0) + 1
    cache.what, cache.slot, cache.told_ns = what, b, now
    cache.seqnum = mm.vmacache_seqnum


def _tree_node(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    node = mm.nodes[a] = _node(f, now, a, b, c, mm.nodes.get(a))
    if mm.built:
        mm.built.pop(node.id, None)


def _node(f: Frame, now: int, a: int, b: int, c: int, before: NodeState | None) -> NodeState:
    kind, low, high, pivots, slots, gaps, parent_slot, *more = f.log.details[b]
    node = NodeState(a, kind, low, high, pivots, slots, gaps, c, parent_slot, now, born_ns=now)
    if more:
        node.gap_slot = more[0]
    if before is not None:
        node.born_ns, node.replaces = before.born_ns, before.replaces
    return node


def _tree_node_built(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    mm.built[a] = _node(f, now, a, b, c, None)
    mm.builder = task


def _tree_store(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    last, prealloc, born, dead, changed, replaced, acts = f.log.details[c]
    kind = f.log.texts[a]
    mm.store = StoreState(now, task, kind, b, last, prealloc, born, dead, changed, acts)
    mm.built.clear()
    for old, heirs in replaced:
        if old in mm.nodes:
            mm.nodes[old].heirs = heirs
        for number in heirs:
            if number in mm.nodes:
                mm.nodes[number].replaces += (old,)


def _tree_node_dead(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    node = f.mms[d].nodes.get(a)
    if node is not None:
        node.dead_ns = now
        node.dead_why = f.log.texts[b] if b >= 0 else ""
        node.readers = tuple(f.rcu_sections.items())
        # A grace period in progress began before the node died: only the one after it counts.
        node.freed_after = f.rcu_grace_periods + (2 if f.rcu_pending else 1)


def _tree_node_freed(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.mms[d].nodes.pop(a, None)


def _tree_root(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    mm = f.mms[d]
    mm.root = a
    mm.height = b


def _tree_walk(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.walk_node = a
    t.walk_index = b
    t.walk_slot = c
    t.walk_ns = now
    # Between two steps it stands on the node whose pointer it has loaded.
    node = f.mms[d].nodes.get(a)
    inner = node is not None and not (node.is_leaf or node.is_rb) and 0 <= c < len(node.slots)
    t.walk_at = node.slots[c] if node is not None and inner else a


FOLDS: Final = {
    ev.MA_READ: _ma_read,
    ev.MA_WRITE: _ma_write,
    ev.MA_OP: _ma_op,
    ev.TREE_NODE: _tree_node,
    ev.TREE_NODE_DEAD: _tree_node_dead,
    ev.TREE_NODE_FREED: _tree_node_freed,
    ev.TREE_ROOT: _tree_root,
    ev.TREE_WALK: _tree_walk,
    ev.TREE_NODE_BUILT: _tree_node_built,
    ev.TREE_STORE: _tree_store,
    ev.TREE_WRITE: _tree_write,
    ev.VMACACHE: _vmacache,
}
