"""A program's mutex: one holder, first come first served, and a thief of nothing."""

from __future__ import annotations

from pfviz.mm import rules
from pfviz.mm.operations import Compute
from pfviz.mm.user_mutex import LockMutex, UnlockMutex
from pfviz.sim import event
from tests.worlds import Scene, world


def test_threads_take_turns_in_the_order_in_which_they_came() -> None:
    scene = world(cpus=4)
    for number in range(4):
        scene.thread(
            f"t{number}", LockMutex("heap"), Compute(5_000), UnlockMutex("heap"),
            cpu=number, after_ns=100 * number,
        )  # fmt: skip
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken
    taken = scene.events(event.LOCK_ACQUIRED)
    assert [one["task"] for one in taken] == [0, 1, 2, 3]
    given = scene.events(event.LOCK_RELEASED)
    for before, after in zip(given, taken[1:], strict=False):
        assert before["now_ns"] < after["now_ns"]
    assert scene.engine.world.mutexes["heap"].holder is None


def test_a_free_mutex_costs_no_system_call() -> None:
    scene = world()
    thread = scene.thread("t", LockMutex("heap"), UnlockMutex("heap"))
    scene.run()
    assert [name for name in scene.functions(thread) if name != "user"] == [
        "pthread_mutex_lock", "pthread_mutex_unlock"
    ]  # fmt: skip


def test_who_gives_back_what_he_has_not_is_told() -> None:
    scene = world()
    scene.thread("t", UnlockMutex("heap"))
    scene.run()
    assert scene.results() == [-1]


def contended(scene: Scene) -> int:
    return len(scene.events(event.CONTENTION_BEGIN))


def test_two_mutexes_are_two() -> None:
    scene = world(cpus=2)
    for number, name in enumerate(("a", "b")):
        operations = (LockMutex(name), Compute(3_000), UnlockMutex(name))
        scene.thread(name, *operations, cpu=number, repeat=3)
    assert contended(scene.run()) == 0
