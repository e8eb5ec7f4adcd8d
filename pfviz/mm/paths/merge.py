"""May this range be part of a neighbouring VMA? The conditions of a merge, and the change it takes.

Questions only (vma_merge_new_range, vma_merge_existing_range, 6.12); nothing is locked or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.paths.vma_change import VmaChange
from pfviz.mm.vma import VM_SPECIAL, Vma

if TYPE_CHECKING:
    from pfviz.mm.page_cache import File
    from pfviz.mm.reverse_map import AnonVma
    from pfviz.mm.world import Mm


def _flags_match(vma: Vma, flags: int, file: File | None) -> bool:
    return vma.vm_flags == flags and vma.vm_file is file and not flags & VM_SPECIAL


def _anon_vmas_match(engine: Mm, target: Vma, source: Vma | None) -> bool:
    """is_mergeable_anon_vma: the two share one, or one of them has none to lose."""
    anon_vma: AnonVma | None = source.anon_vma if source is not None else None
    if target.anon_vma is anon_vma:
        return True
    if target.anon_vma is not None:
        return anon_vma is None and len(target.anon_vma_chain) == 1
    assert source is not None
    return engine.world.preset.merge_anon_vma == "any" and len(source.anon_vma_chain) == 1


def merge_new_range(
    engine: Mm,
    before: Vma | None,
    after: Vma | None,
    start: int,
    end: int,
    flags: int,
    file: File | None,
    pgoff: int,
    expand_only: bool = False,
    moved: Vma | None = None,
) -> VmaChange | None:
    """The change that lets a neighbour grow over a new mapping, or None (vma_merge_new_range).

    `before` and `after` are the VMAs around [start, end); `expand_only` looks at `before` only.
    `moved` is the VMA whose pages come there (mremap): its anon_vma must fit the neighbour's.
    """
    if not engine.world.policy.merge:
        return None
    left = (
        before is not None
        and before.vm_end == start
        and _flags_match(before, flags, file)
        and before.vm_pgoff + before.pages == pgoff
        and _anon_vmas_match(engine, before, moved)
    )
    right = (
        not expand_only
        and after is not None
        and after.vm_start == end
        and _flags_match(after, flags, file)
        and after.vm_pgoff == pgoff + ((end - start) >> 12)
        and _anon_vmas_match(engine, after, moved)
    )
    if left and right:
        assert before is not None
        assert after is not None
        if _both_sides_match(before, after):
            change = VmaChange(before, before.vm_start, after.vm_end, "merge", remove=[after])
            return _with_anon_vma(_with_anon_vma(change, after), moved)
    if left:
        assert before is not None
        return _with_anon_vma(VmaChange(before, before.vm_start, end, "merge"), moved)
    if right:
        assert after is not None
        return _with_anon_vma(VmaChange(after, start, after.vm_end, "merge"), moved)
    return None


def _both_sides_match(before: Vma, after: Vma) -> bool:
    one, other = before.anon_vma, after.anon_vma
    return one is None or other is None or one is other


def merge_existing_range(
    engine: Mm, vma: Vma, start: int, end: int, flags: int
) -> VmaChange | None:
    """The change that gives [start, end) of `vma`, with new flags, to a neighbour, or None."""
    if not engine.world.policy.merge:
        return None
    before = vma.mm.tree.prev_of(vma) if start == vma.vm_start else None
    after = vma.mm.tree.next_of(vma) if end == vma.vm_end else None
    pgoff = vma.page_index(start)
    left = (
        before is not None
        and before.vm_end == start
        and _flags_match(before, flags, vma.vm_file)
        and before.vm_pgoff + before.pages == pgoff
        and _anon_vmas_match(engine, before, vma)
    )
    right = (
        after is not None
        and after.vm_start == end
        and _flags_match(after, flags, vma.vm_file)
        and after.vm_pgoff == pgoff + ((end - start) >> 12)
        and _anon_vmas_match(engine, after, vma)
    )
    if left and right:
        assert before is not None
        assert after is not None
        if _both_sides_match(before, after):
            change = VmaChange(before, before.vm_start, after.vm_end, "merge", remove=[vma, after])
            return _with_anon_vma(change, vma if vma.anon_vma is not None else after)
    if left:
        assert before is not None
        change = VmaChange(before, before.vm_start, end, "merge")
        return _with_anon_vma(_swallow_or_shrink(change, vma, start, end), vma)
    if right:
        assert after is not None
        change = VmaChange(after, start, after.vm_end, "merge")
        return _with_anon_vma(_swallow_or_shrink(change, vma, start, end), vma)
    return None


def _swallow_or_shrink(change: VmaChange, vma: Vma, start: int, end: int) -> VmaChange:
    if (start, end) == (vma.vm_start, vma.vm_end):
        change.remove.append(vma)
    else:
        change.shrink = vma
    return change


def _with_anon_vma(change: VmaChange, source: Vma | None) -> VmaChange:
    if source is not None and change.vma.anon_vma is None and source.anon_vma is not None:
        change.anon_vma_from = source
    return change
