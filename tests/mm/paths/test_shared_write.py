"""Writes to shared pages: the filesystem is asked with the page unlocked, then the lock goes."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import Access
from pfviz.mm.page_cache import File, new_file
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_SHARED
from pfviz.sim import event
from pfviz.sim.task import SLEEPING
from tests.mm.fault_scenes import check_pages, functions_of, kinds
from tests.worlds import Scene, at, world

WRITE = Access(at("m"), write=True)
KERNELS = [name for name in PRESETS if name != "6.0"]


def mapped(kernel: str = "6.12", mkwrite: bool = True, present: int = 8) -> tuple[Scene, File]:
    made = world(kernel, "")
    file = new_file(made.engine, "data", 8, present, page_mkwrite=mkwrite)
    made.file_vma("m", file, 8, "rw", flags=VM_SHARED, start=0x7F00_0000_0000)
    return made, file


def reach(made: Scene, function: str) -> None:
    """Run until a step of this kernel function has run."""
    for _ in range(2_000):
        assert made.engine.step()
        if made.functions()[-1:] == [function]:
            return
    raise AssertionError(function)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_page_is_unlocked_while_the_filesystem_is_asked(kernel: str) -> None:
    made, file = mapped(kernel)
    made.thread("t", WRITE)
    reach(made, "do_page_mkwrite")
    assert file.folios[0].locked_by == -1
    made.run()
    assert file.folios[0].locked_by == -1
    assert file.folios[0].dirty
    assert kinds(made) == ["shared_write"]
    check_pages(made)


def test_a_page_truncated_while_the_filesystem_is_asked_is_not_mapped() -> None:
    made, file = mapped()
    made.thread("t", WRITE)
    reach(made, "do_page_mkwrite")
    file.remove(made.engine, 0)
    made.run()
    assert kinds(made) == ["shared_write", "shared_write"], "the access is tried again"
    assert file.reads == 1
    check_pages(made)


def test_who_finds_the_page_locked_after_page_mkwrite_waits_for_it() -> None:
    made, file = mapped()
    thread = made.thread("t", WRITE)
    reach(made, "do_page_mkwrite")
    file.folios[0].locked_by = -2
    for _ in range(20):
        if thread.state == SLEEPING:
            break
        made.engine.step()
    assert thread.state == SLEEPING
    assert file.folios[0].waiters == [thread]


def test_a_file_without_page_mkwrite_is_not_asked() -> None:
    made, _ = mapped(mkwrite=False)
    thread = made.thread("t", WRITE)
    made.run()
    assert "do_page_mkwrite" not in made.functions(thread)
    assert made.functions(thread).count("folio_unlock") == 1  # Once it is mapped and dirty.


def test_a_page_that_must_be_read_first_is_told_to_the_filesystem_once() -> None:
    made, _ = mapped(present=0)
    thread = made.thread("t", WRITE)
    made.run()
    assert made.functions(thread).count("do_page_mkwrite") == 1


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
@pytest.mark.parametrize("first", [(), (Access(at("m")),)])
def test_the_fault_lock_goes_before_the_writer_may_be_throttled(
    kernel: str, first: tuple[Access, ...]
) -> None:
    made, file = mapped(kernel)
    thread = made.thread("t", *first, WRITE)
    made.run()
    functions = functions_of(made, thread)
    assert functions[-3:] == ["balance_dirty_pages_ratelimited", "do_user_addr_fault",
                              "irqentry_exit"]  # fmt: skip
    assert "vma_end_read" not in functions[functions.index("fault_dirty_shared_page") :]
    assert file.refcount_line.owner == 0
    assert not thread.vma_read_locks


def test_a_page_that_was_dirty_before_is_not_counted_again_without_page_mkwrite() -> None:
    made, file = mapped(mkwrite=False)
    other = made.thread("t", WRITE)
    folio = file.folio(made.engine, 0)
    assert folio is not None
    folio.dirty = True
    made.run()
    assert "fault_dirty_shared_page" in made.functions(other)
    assert "balance_dirty_pages_ratelimited" not in made.functions(other)


def test_a_write_to_a_page_mapped_read_only_is_accounted_as_dirty() -> None:
    made, file = mapped(mkwrite=False)
    thread = made.thread("t", Access(at("m")), WRITE)
    made.run()
    assert file.folios[0].dirty
    assert "fault_dirty_shared_page" in functions_of(made, thread)
    assert made.events(event.FAULT_END)[-1]["regime"] == 1
    check_pages(made)
