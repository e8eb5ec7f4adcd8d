"""exec: the new address space, the change-over, and the end of the old one."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.address_space import STACK_TOP
from pfviz.mm.operations import (
    Access,
    Compute,
    Exec,
    Exit,
    Fork,
    Mmap,
    OperationList,
    Sleep,
)
from pfviz.mm.paths.execve import STACK_SHIFT
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from pfviz.views.timeline import Timeline
from tests.worlds import Scene, at, world

KERNELS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
PROGRAM = OperationList(
    (Mmap(8, slot="data"), Access(at("data"), write=True, pages=8), Compute(5_000))
)


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_the_old_address_space_ends_and_the_new_one_has_a_stack(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("a", 64).touched("a")
    thread = scene.thread("t", Exec(PROGRAM, "fresh"))
    done(scene)
    assert scene.mm.exited
    assert thread.mm.name == "fresh"
    assert thread.mm.threads == 1
    stack = max(thread.mm.tree, key=lambda vma: vma.vm_start)
    assert (stack.kind, stack.pages, stack.vm_end) == ("stack", 33, STACK_TOP - STACK_SHIFT)
    assert thread.mm.page_tables.rss_anon == 1 + 8
    thread.mm.tree.check()


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_the_order_is_that_of_recordings(kernel: str) -> None:
    scene = world(kernel).vma("a", 64).touched("a")
    thread = scene.thread("t", Exec(PROGRAM, "fresh"))
    names = done(scene).functions(thread)
    order = ["begin_new_exec", "exec_mmap", "exit_mmap", "setup_arg_pages", "shift_arg_pages",
             "move_page_tables", "vma_shrink", "expand_downwards"]  # fmt: skip
    at_step = [names.index(name) for name in order]
    assert at_step == sorted(at_step)
    old = scene.mm.mmap_lock.id
    modes = [one["mode"] for one in scene.events(event.LOCK_START) if one["lock"] == old]
    assert modes == [event.READ, event.READ, event.WRITE]


def test_other_threads_end_first() -> None:
    scene = world("6.12", cpus=4).vma("a", 8)
    other = scene.thread("other", Compute(20_000), cpu=1, repeat=0)
    thread = scene.thread("t", Exec(PROGRAM, "fresh"), after_ns=5_000)
    done(scene)
    assert other.state == "done"
    ended = [one["now_ns"] for one in scene.events(event.TASK_END, other)]
    switched = [one["now_ns"] for one in scene.events(event.TASK_NEW, thread)]
    assert ended[0] <= switched[-1]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_a_child_that_execs_leaves_the_parent_alone(kernel: str) -> None:
    scene = world(kernel, cpus=4).vma("a", 16).touched("a")
    child = OperationList((Exec(PROGRAM, "fresh"),))
    write = Access(at("a"), write=True, pages=16)
    scene.thread("t", Fork(child, child_name="child", child_cpu=1), Sleep(400_000), write, Exit())
    done(scene)
    assert all(mm.exited for mm in scene.engine.world.mms if mm.name != "fresh")


def test_viewers_see_the_thread_in_its_new_process() -> None:
    scene = world("6.12").vma("a", 8)
    thread = scene.thread("t", Exec(PROGRAM, "fresh"))
    done(scene)
    timeline = Timeline(scene.engine.log)
    frame = timeline.at(len(timeline))
    assert frame.tasks[thread.id].mm == thread.mm.id
