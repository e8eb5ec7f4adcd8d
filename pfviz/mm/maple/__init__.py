"""The Linux maple tree, node for node, in plain Python; it knows nothing of VMAs.

    tree = MapleTree(alloc=True, rcu=True)           alloc: inner nodes carry gaps (the VMA tree)
    tree.walk(index) -> entry | None                 fast path; load() hides the zero entry
    tree.range_at(index) -> (first, last, entry)     the slot, gaps included (entry None)
    tree.find(index, limit) -> (first, last, entry) | None     first entry at or after (mt_find)
    tree.next(index, limit), tree.prev(index, limit)           neighbours of the slot at index
    tree.iter_range(first, last), tree.iter_range_rev(last, first)     entries with their ranges
    tree.empty_area(low, high, size), tree.empty_area_rev(...) -> (first, last) | None
    tree.store(first, last, entry, via) -> Write     also tree.last_write; entry None clears
    tree.clear(first, last), tree.erase(index) -> entry, tree.insert(first, last, entry) -> bool
    plan = tree.preallocate(first, last, entry, via) nothing changes: plan.store_type,
    tree.prealloc_count(plan, kernel="6.12")          nodes that kernel reserves for it
    plan = tree.build(plan)                          new nodes, private: plan.graft.born
    tree.publish(plan, kernel="6.12") -> Write       one pointer store, old nodes dead
    tree.store_prealloc(plan) -> Write               build and publish in one
    tree.dup() -> MapleTree                          __mt_dup; entries are shared
    tree.dead {id: MapleNode}, tree.free(id), tree.free_all()   grace periods are the embedder's
    tree.nodes(), tree.check(), len(tree)

    mas = MaState(index)                             a reader's walk, one node per step
    while not tree.walk_step(mas): ...               mas.node is where it stands, mas.restarts
    mas.status in start active found none root freed; mas.index, mas.last, mas.entry when found

A Write is plain data: store_type, index, last, first, end (the range after nulls widened), entry,
prealloc, born, dead, changed (node ids), rearrangements (split, push_left, make2 ...), and
trace(kernel) gives the kernel's ma_write and ma_op events in order. All ranges are inclusive.

    bulk_store(tree, ranges), expected_nodes(tree, entries)     fork's loading from 6.1 to 6.7
    draw_tree(dump_tree(tree)), raw.raw_words(node)             for viewers
    replay.replay_file(path) -> ReplayReport                    vector_line.VectorError if bad
    replay_report.render_reports(reports, drawn_max) -> str     "N passed, M failed", trees drawn
"""

from pfviz.mm.maple.bulk import bulk_store, expected_nodes
from pfviz.mm.maple.check import BrokenTreeError
from pfviz.mm.maple.draw import draw_tree
from pfviz.mm.maple.dump import dump_tree
from pfviz.mm.maple.node import MAX_INDEX, ZERO_ENTRY, MapleNode, TaggedEntry
from pfviz.mm.maple.tree import MapleTree
from pfviz.mm.maple.walk import MaState, walk_load, walk_scan
from pfviz.mm.maple.write import Rearrangement, TraceEvent, Write, WritePlan

__all__ = [
    "MAX_INDEX",
    "ZERO_ENTRY",
    "BrokenTreeError",
    "MaState",
    "MapleNode",
    "MapleTree",
    "Rearrangement",
    "TaggedEntry",
    "TraceEvent",
    "Write",
    "WritePlan",
    "bulk_store",
    "draw_tree",
    "dump_tree",
    "expected_nodes",
    "walk_load",
    "walk_scan",
]
