"""Huge pages on the address map: told from small ones, gone when they are split or unmapped."""

from __future__ import annotations

from pfviz.mm.operations import Access, Madvise, Munmap
from pfviz.mm.policy import Policy
from pfviz.mm.vma import VM_HUGEPAGE
from pfviz.views import address_map
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.glyphs import ASCII
from pfviz.views.look import Look
from pfviz.views.rows import plain
from tests.worlds import Scene, at, world

HUGE = 512


def played(*operations: Access | Madvise | Munmap) -> tuple[Scene, Frame]:
    """Two huge pages' worth of memory at "m", after a thread has done `operations`."""
    made = world("6.12", policy=Policy(thp="madvise"))
    made.vma("m", 2 * HUGE, start=0x7F00_0000_0000, flags=VM_HUGEPAGE)
    made.thread("t", *operations)
    made.run()
    return made, fold(Frame(made.engine.log), len(made.engine.log))


def lines(frame: Frame, look: Look | None = None) -> list[str]:
    return plain(address_map.paint(frame, 100, 5, look or Look())).splitlines()


WRITE = Access(at("m", 3), write=True)


def test_a_huge_page_has_its_own_glyph_and_is_counted() -> None:
    _, frame = played(WRITE)
    shown = lines(frame)
    assert "HHH" in shown[0]
    assert "1 huge · 512/1,024 pages" in shown[0]
    assert "H huge page" in shown[-1]
    assert "HHH" in lines(frame, Look(glyphs=ASCII))[0]


def test_the_huge_zero_page_looks_like_zero_pages() -> None:
    _, frame = played(Access(at("m")))
    assert "000" in lines(frame)[0]
    assert "HH" not in lines(frame)[0]


def test_a_split_leaves_small_pages() -> None:
    made, frame = played(WRITE, Madvise(at("m", 8), 4, "dontneed"))
    assert not frame.mms[made.mm.id].huge
    assert "H" not in "".join(lines(frame))
    assert frame.mms[made.mm.id].pages_present == HUGE - 4


def test_an_unmapped_huge_page_is_gone() -> None:
    made, frame = played(WRITE, Munmap(at("m"), HUGE))
    assert not frame.mms[made.mm.id].huge
    assert frame.mms[made.mm.id].pages_present == 0
