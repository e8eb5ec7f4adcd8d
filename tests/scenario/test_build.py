"""Worlds come out as their files say."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import Access, Madvise, OperationList, Sleep
from pfviz.mm.thread import Thread
from pfviz.mm.world import World
from pfviz.report import measure
from pfviz.scenario.build import build, build_with
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.load import parse
from pfviz.scenario.overrides import Overrides, mode_for, thread_count, threads_of
from pfviz.scenario.programs import Background
from pfviz.scenario.schema import Scenario
from pfviz.sim.engine import Engine
from pfviz.sim.task import DONE

HEAD = 'schema_version = 1\ntitle = "x"\nmachine = "demo"\n'
TWO_GROUPS = """
[[vma]]
name = "arena"
pages = 8
per_thread = true
[[vma]]
name = "all"
pages = 64
resident = 5
[[thread]]
name = "a"
count = 3
scales = true
[thread.workload]
name = "page_fault_shared"
at = "all"
pages = 4
[[thread]]
name = "b"
scales = true
[thread.workload]
name = "page_fault1"
at = "arena"
pages = 2
rounds = 3
pause = "1us"
[[thread]]
name = "watcher"
process = "other"
background = true
workload = "maps_reader"
"""


def scenario(text: str) -> Scenario:
    return parse(HEAD + text, "x.toml")


def built(text: str = TWO_GROUPS, **changes: object) -> Engine[World]:
    return build_with(scenario(text), Overrides(**changes))  # type: ignore[arg-type]


def thread(engine: Engine[World], name: str) -> Thread:
    return next(task for task in engine.tasks if task.name == name)  # type: ignore[return-value]


def test_threads_have_names_cpus_and_processes() -> None:
    engine = built()
    assert [task.name for task in engine.tasks] == ["a1", "a2", "a3", "b", "watcher"]
    assert [task.cpu.id for task in engine.tasks if task.cpu] == [0, 1, 2, 3, 0]
    assert thread(engine, "watcher").mm.name == "other"


def test_each_thread_that_scales_has_its_own_arena() -> None:
    engine = built(threads=8)
    arenas = {thread(engine, name).slots["arena"] for name in ("a1", "a5", "b1", "b2")}
    assert len(arenas) == 4
    assert engine.world.mms[0].map_count == 9


def test_a_workload_becomes_operations() -> None:
    engine = built()
    program = thread(engine, "a3").program
    assert isinstance(program, OperationList)
    touch, back = program.operations
    assert isinstance(touch, Access)
    assert touch.place.offset == 2 * 4 * 4096
    assert isinstance(back, Madvise)
    other = thread(engine, "b").program
    assert isinstance(other, OperationList)
    assert other.repeat == 3
    assert isinstance(other.operations[-1], Sleep)


def test_resident_pages_are_mapped_and_the_vma_has_its_anon_vma() -> None:
    mm = built().world.mms[0]
    vma = mm.vma_at(mm.slots["all"])
    assert vma is not None
    assert vma.anon_vma is not None
    assert mm.page_tables.count_present(vma.vm_start, vma.vm_end) == 5


def test_a_background_thread_ends_when_the_others_have() -> None:
    text = TWO_GROUPS.replace(
        'workload = "maps_reader"', '[thread.workload]\nname = "maps_reader"\nrounds = 0'
    )
    engine = built(text)
    assert isinstance(thread(engine, "watcher").program, Background)
    engine.run()
    assert all(task.state == DONE for task in engine.tasks)


def test_a_number_of_threads_is_shared_out_in_proportion() -> None:
    counts = {
        group.name: group.count for group in threads_of(scenario(TWO_GROUPS), Overrides(threads=10))
    }
    assert counts == {"a": 7, "b": 3, "watcher": 1}
    assert thread_count(scenario(TWO_GROUPS), Overrides(threads=10)) == 10
    with pytest.raises(ScenarioError, match="1 threads are too few"):
        threads_of(scenario(TWO_GROUPS), Overrides(threads=1))


def test_nobody_may_be_left_out_so_that_nobody_works() -> None:
    with pytest.raises(ScenarioError, match="nobody is left"):
        built(without=("a", "b"))


def test_a_mode_that_a_kernel_cannot_have_gives_way_unless_it_was_asked_for() -> None:
    text = 'mode = "per-vma"\n[[thread]]\nname = "a"\nworkload = "compute"\n'
    assert mode_for(scenario(text), Overrides(kernel="6.1")) == "mmap_lock"
    with pytest.raises(ScenarioError, match=r"no per-VMA locks"):
        mode_for(scenario(text), Overrides(kernel="6.1", mode="per-vma"))


def test_vmas_keep_their_distance_unless_told_otherwise() -> None:
    text = (
        '[[vma]]\nname = "a"\npages = 4\ngap = {}\n[[vma]]\nname = "b"\npages = 4\ngap = {}\n'
        '[[thread]]\nname = "t"\nworkload = "compute"\n'
    )
    apart = built(text.format(16, 16)).world.mms[0]
    assert apart.slots["a"] - apart.slots["b"] == (4 + 32) * 4096
    touching = built(text.format(0, 0)).world.mms[0]
    assert touching.slots["a"] - touching.slots["b"] == 4 * 4096
    assert touching.mmap_base == touching.slots["b"]


def test_vmas_that_do_not_fit_are_the_scenarios_mistake() -> None:
    text = (
        '[[vma]]\nname = "a"\npages = 34359738368\n[[thread]]\nname = "t"\nworkload = "compute"\n'
    )
    with pytest.raises(ScenarioError, match='no room for VMA "a"'):
        built(text)


def test_the_seed_decides_and_nothing_else() -> None:
    def digest(seed: int) -> str:
        engine = build(scenario(TWO_GROUPS), seed=seed)
        engine.run()
        return engine.log.digest()

    assert digest(3) == digest(3)


def test_without_a_log_the_world_goes_the_same_way() -> None:
    loud, quiet = build(scenario(TWO_GROUPS)), build(scenario(TWO_GROUPS), logging=False)
    assert loud.run() == quiet.run()
    assert loud.now_ns == quiet.now_ns
    assert len(quiet.log) == 0


def test_shared_memory_without_a_file_has_one_that_forked_children_see() -> None:
    vma = '[[vma]]\nname = "s"\npages = 4\nperms = "rw-s"\nresident = 2\n'
    engine = built(vma + '[[thread]]\nname = "t"\n[[thread.op]]\ndo = "compute"\ntime = "1us"\n')
    (one,) = engine.world.mms[0].tree
    assert one.vm_file is not None
    assert one.vm_file.is_shmem
    assert not one.is_anonymous
    assert engine.world.mms[0].page_tables.rss_file == 2


def faults_of(text: str) -> dict[str, object]:
    engine = built(text)
    engine.run()
    assert all(task.state == DONE for task in engine.tasks)
    return measure.faults(measure.Rows(engine.log))


def test_a_driver_and_a_special_mapping_need_mmap_lock() -> None:
    text = """
[[file]]
name = "card0"
pages = 4
driver = true
[[vma]]
name = "gpu"
pages = 4
file = "card0"
perms = "rw-s"
[[vma]]
name = "vvar"
pages = 4
kind = "other"
perms = "r--p"
[[thread]]
name = "t"
[[thread.op]]
do = "read"
at = "gpu"
[[thread.op]]
do = "read"
at = "vvar"
"""
    found = faults_of(text)
    assert found["by_kind"] == {"driver": 2}
    assert found["fallbacks"] == {"driver without map_pages": 2}
    assert found["completed_under"] == {"vma_lock": 0, "mmap_lock": 2, "lockless": 0}


def test_memory_that_a_system_call_touches_faults_under_mmap_lock() -> None:
    text = """
[[vma]]
name = "buffer"
pages = 4
[[thread]]
name = "t"
[[thread.op]]
do = "write"
at = "buffer"
pages = 2
by_kernel = true
[[thread.op]]
do = "read"
at = "buffer+2"
"""
    found = faults_of(text)
    assert found["fallbacks"] == {"access by the kernel itself": 2}
    assert found["completed_under"] == {"vma_lock": 1, "mmap_lock": 2, "lockless": 0}
