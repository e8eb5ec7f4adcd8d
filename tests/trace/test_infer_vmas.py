"""VMAs as system calls change them, checked page by page against a dictionary."""

from __future__ import annotations

from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from pfviz.trace.infer_vmas import CHANGED, GONE, NEW, Change, Range, RangeMap, perms_of
from pfviz.trace.maps import MapsVma

PAGE = 4096
SPANS = st.tuples(st.integers(0, 30), st.integers(1, 12))
CALLS = st.lists(
    st.tuples(st.sampled_from(["map", "unmap", "protect"]), SPANS, st.sampled_from(["rw-", "r--"])),
    max_size=25,
)


def _map() -> RangeMap:
    numbers = count(1)
    return RangeMap(lambda: next(numbers))


def _take(known: dict[int, Range], changes: list[Change]) -> None:
    """What a viewer does with the changes: nothing but what they say."""
    for what, vma in changes:
        if what == NEW:
            assert vma.id not in known
            known[vma.id] = vma
        elif what == CHANGED:
            assert vma.id in known
            known[vma.id] = vma
        else:
            assert what == GONE
            del known[vma.id]


@given(CALLS)
def test_any_calls_leave_the_pages_that_they_should(
    calls: list[tuple[str, tuple[int, int], str]],
) -> None:
    ranges, pages, told = _map(), dict[int, str](), dict[int, Range]()
    for call, (first, length), rights in calls:
        start, end = first * PAGE, (first + length) * PAGE
        span = range(first, first + length)
        if call == "map":
            changes = ranges.map(start, end, rights + "p", "", "anon", 0)
            pages |= dict.fromkeys(span, rights + "p")
        elif call == "unmap":
            changes = ranges.unmap(start, end)
            pages = {page: had for page, had in pages.items() if page not in span}
        else:
            changes = ranges.protect(start, end, rights)
            pages |= {page: rights + "p" for page in span if page in pages}
        _take(told, changes)
    assert sorted(told.values(), key=lambda vma: vma.start) == list(ranges)
    covered = {
        page: vma.perms for vma in ranges for page in range(vma.start // PAGE, vma.end // PAGE)
    }
    assert covered == pages
    ends = [(vma.start, vma.end) for vma in ranges]
    assert all(left[1] <= right[0] for left, right in pairwise(ends))
    for page, perms in pages.items():
        found = ranges.at(page * PAGE + 17)
        assert found is not None
        assert found.perms == perms


def test_a_piece_of_a_file_keeps_its_place_in_the_file() -> None:
    ranges = _map()
    ranges.map(8 * PAGE, 16 * PAGE, "r--p", "fd 3", "file", 100)
    ranges.unmap(10 * PAGE, 12 * PAGE)
    assert [(vma.start // PAGE, vma.pgoff_pages) for vma in ranges] == [(8, 100), (12, 104)]


def test_the_heap_grows_and_shrinks_with_brk() -> None:
    ranges = _map()
    assert ranges.set_brk(0x10000) == []  # The first answer says only where it is.
    assert [what for what, _ in ranges.set_brk(0x15000)] == [NEW]
    assert [what for what, _ in ranges.set_brk(0x18123)] == [CHANGED]
    ranges.set_brk(0x12000)
    assert [(vma.start, vma.end, vma.kind) for vma in ranges] == [(0x10000, 0x12000, "heap")]


def test_mremap_moves_what_it_is_told_to() -> None:
    ranges = _map()
    ranges.map(0, 4 * PAGE, "rw-p", "", "anon", 0)
    ranges.move(0, 4 * PAGE, 64 * PAGE, 8 * PAGE)
    assert [(vma.start // PAGE, vma.end // PAGE) for vma in ranges] == [(64, 72)]
    ranges.move(64 * PAGE, 8 * PAGE, 64 * PAGE, 2 * PAGE)
    assert [(vma.start // PAGE, vma.end // PAGE) for vma in ranges] == [(64, 66)]


def test_a_snapshot_has_the_last_word() -> None:
    ranges, told = _map(), dict[int, Range]()
    _take(told, ranges.map(0, 2 * PAGE, "rw-p", "", "anon", 0))
    _take(told, ranges.map(8 * PAGE, 9 * PAGE, "rw-p", "", "anon", 0))
    copy = (
        MapsVma(0, PAGE, "r--p", 0, "fe:00", 7, "/bin/true"),
        MapsVma(4 * PAGE, 6 * PAGE, "rw-p", 0, "00:00", 0, "[stack]"),
        MapsVma(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "--xp", 0, "00:00", 0, "[vsyscall]"),
    )
    _take(told, ranges.replace_all(copy))
    assert [(vma.start // PAGE, vma.end // PAGE, vma.kind) for vma in ranges] == [
        (0, 1, "file"),
        (4, 6, "stack"),
    ]
    assert sorted(told) == sorted(vma.id for vma in ranges)


def test_a_stack_grows_down_to_the_faulting_page() -> None:
    ranges = _map()
    ranges.replace_all([MapsVma(16 * PAGE, 20 * PAGE, "rw-p", 0, "00:00", 0, "[stack]")])
    assert [vma.start // PAGE for _, vma in ranges.grow_down(12 * PAGE + 99)] == [12]
    assert ranges.grow_down(30 * PAGE) == []


def test_split_pieces_and_forked_copies_remember_their_anon_vma() -> None:
    ranges, child = _map(), _map()
    (_, vma), *_ = ranges.map(0, 4 * PAGE, "rw-p", "", "anon", 0)
    ranges.prepare(vma)
    ranges.protect(PAGE, 2 * PAGE, "r--")
    assert all(piece.id in ranges.prepared for piece in ranges)
    ranges.copy_to(child)
    assert all(piece.id in child.prepared for piece in child)


def test_rights_are_written_as_in_maps() -> None:
    assert perms_of(5, shared=False) == "r-xp"
    assert perms_of(3, shared=True) == "rw-s"
