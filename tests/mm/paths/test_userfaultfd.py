"""Faults that a monitor in user space answers: who is asked when, under which lock, in what order.

Source of the order: fs/userfaultfd.c of 6.12, function graphs of 6.1, 6.12 and 6.18.
"""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    Access,
    Compute,
    Exit,
    Fork,
    Madvise,
    Mremap,
    Munmap,
    Operation,
    OperationList,
    Uffd,
)
from pfviz.mm.page_table import PRESENT, UFFD_WP, WRITABLE
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import WAITS
from pfviz.mm.vma import VM_UFFD, VM_UFFD_MISSING
from pfviz.sim import event
from pfviz.sim.task import DONE, SLEEPING
from tests.mm.fault_scenes import check_pages, fallbacks, functions_of, kinds
from tests.mm.uffd_scenes import FAULTS, PAGE, flow, monitor, region, with_writer
from tests.worlds import Scene, at

WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
HOLD = Policy(uffd_notify="hold")
KEEP = Policy(io_wait_userfaultfd="hold")


def pte(made: Scene, page: int) -> int:
    return made.mm.page_tables.pte(made.named("m") + page * 4096)


def locks_held_at(made: Scene, function: str, worker: int) -> list[str]:
    """The sleeping locks that the worker held when it came to a function, by kind."""
    log = made.engine.log
    kind_of: dict[int, str] = {}
    held: list[int] = []
    for row in log:
        if row[1] == event.LOCK_NEW:
            kind_of[row[3]] = log.texts[row[4]]
        elif row[2] != worker:
            continue
        elif row[1] == event.LOCK_ACQUIRED:
            held.append(row[3])
        elif row[1] == event.LOCK_RELEASED and row[3] in held:
            held.remove(row[3])
        elif row[1] == event.STEP and log.steps[row[3]].function == function:
            return [kind_of[lock] for lock in held if kind_of[lock] != "spinlock"]
    raise AssertionError(f"{function} did not run")


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("kind", FAULTS)
def test_the_monitor_answers_in_every_kernel_and_mode(kind: str, kernel: str, mode: str) -> None:
    made, worker, serving = flow(kind, kernel, mode)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert (worker.state, serving.state) == (DONE, DONE)
    assert set(made.results()) == {0}
    assert pte(made, PAGE[kind]) & PRESENT
    expected = {"zero": "missing", "shmem": "missing"}.get(kind, kind)
    assert kinds(made) == [f"uffd_{expected}"]
    if kind in ("missing", "zero", "wp"):
        check_pages(made)


@pytest.mark.parametrize("kind", ["missing", "zero", "wp"])
@pytest.mark.parametrize("kernel", PRESETS)
def test_which_lock_it_begins_under_and_which_counter_tells(kernel: str, kind: str) -> None:
    """X without VMA locks; M in 6.4 and 6.5; from 6.6 on V, dropped while queued, then M."""
    preset = PRESETS[kernel]
    made, _, _ = flow(kind, kernel, "per-vma" if preset.has_vma_lock else "")
    made.run()
    vmstat = made.engine.world.vmstat
    counters = {name: vmstat[name] for name in vmstat if name.startswith("vma_lock")}
    if not preset.has_vma_lock:
        assert not counters
    elif kernel in ("6.4", "6.5"):
        assert counters == {"vma_lock_abort": 1}
        assert fallbacks(made) == ["userfaultfd monitor (6.4, 6.5)"]
    else:
        assert counters == {"vma_lock_retry": 1}
        assert fallbacks(made) == ["userfaultfd monitor asked"]
    (end,) = made.events(event.FAULT_END)
    assert end["regime"] == 0, "it ends under mmap_lock"
    is_tried = bool(end["flags"] & 1)
    assert is_tried == (not preset.has_vma_lock or kernel in ("6.4", "6.5")), (
        "RETRY under mmap_lock sets TRIED, which counts as major; under the VMA lock it does not"
    )


def test_the_order_of_the_fault_is_the_kernels() -> None:
    made, worker, _ = flow("missing", "6.12")
    made.run()
    names = functions_of(made, worker)
    assert names[names.index("vmf_anon_prepare"):] == [
        "vmf_anon_prepare", "alloc_anon_folio", "get_page_from_freelist", "rmqueue_bulk",
        "mem_cgroup_charge", "clear_user_highpage", "do_anonymous_page", "__pte_offset_map_lock",
        "do_anonymous_page", "pte_unmap_unlock", "__folio_put", "handle_userfault",
        "userfaultfd_must_wait", "release_fault_lock", "wake_up_poll", "__wake_up", "schedule",
        "handle_userfault", "userfaultfd_ctx_put", "do_user_addr_fault", "lock_mm_and_find_vma",
        "find_vma", "access_error", "handle_mm_fault", "handle_pte_fault",
        "ptep_set_access_flags", "pte_unmap_unlock", "do_user_addr_fault", "mmap_read_unlock",
        "irqentry_exit",
    ]  # fmt: skip


@pytest.mark.parametrize(("kernel", "lock"), [("6.1", "mmap_lock"), ("6.12", "vma_lock")])
def test_the_entry_is_looked_at_again_under_the_fault_lock_and_nobody_told_under_it(
    kernel: str, lock: str
) -> None:
    made, worker, _ = flow("missing", kernel)
    made.run()
    assert lock in locks_held_at(made, "userfaultfd_must_wait", worker.id)
    assert locks_held_at(made, "wake_up_poll", worker.id) == []
    assert locks_held_at(made, "schedule", worker.id) == []


@pytest.mark.parametrize(
    ("kernel", "first", "holds"),
    [("6.1", "mmap_read_lock", "mmap_lock"), ("6.8", "mmap_read_lock", "mmap_lock"),
     ("6.9", "uffd_lock_vma", "vma_lock"), ("6.12", "uffd_lock_vma", "vma_lock"),
     ("6.18", "uffd_lock_vma", "vma_lock")],
)  # fmt: skip
def test_the_monitor_puts_pages_in_under_the_lock_of_its_release(
    kernel: str, first: str, holds: str
) -> None:
    made, _, serving = flow("missing", kernel)
    made.run()
    held = locks_held_at(made, "mfill_atomic_install_pte", serving.id)
    assert holds in held
    assert ("rwsem" in held) == (first == "uffd_lock_vma"), "map_changing_lock since 6.9"
    assert ("uffd_lock_vma" in made.functions(serving)) == (first == "uffd_lock_vma")


def test_without_an_anon_vma_the_monitor_asks_mmap_lock_and_changes_over() -> None:
    made = region("missing", "6.12")
    made.vma("fresh", 4)
    serving = made.thread(
        "monitor", Uffd("register", at("fresh"), 4, ("missing",)), Uffd("copy", at("fresh"))
    )
    made.run()
    assert made.results(serving) == [0, 0]
    names = made.functions(serving)
    assert names.index("uffd_lock_vma") < names.index("__anon_vma_prepare")
    assert "vma_lock" in locks_held_at(made, "mfill_atomic_install_pte", serving.id)
    assert "mmap_lock" not in locks_held_at(made, "mfill_atomic_install_pte", serving.id)


def test_the_thread_says_that_it_waits_for_the_monitor() -> None:
    made, worker, _ = flow("missing")
    made.run()
    assert WAITS in [one["why"] for one in made.events(event.SLEEP, worker)]


# What is told, and what is not


def test_a_page_that_came_meanwhile_is_not_waited_for() -> None:
    """The recheck: the monitor has put the page in before the fault was queued."""
    made = region("missing")
    monitor(made, "missing", rounds=0)
    worker = made.thread("worker", Access(at("m", 5), write=True), after_ns=20_000)
    engine = made.engine
    functions = []
    while not functions or functions[-1] != "queue_userfault":
        engine.run(steps_max=1)
        assert worker.step is not None
        functions.append(worker.step.__name__)
    filler = made.thread("filler", Uffd("copy", at("m", 5)), cpu=2)
    while filler.state != DONE:
        engine.run(steps_max=1)
        if worker.step is not None and worker.step.__name__ == "userfaultfd_must_wait":
            break
    made.run()
    assert worker.state == DONE


def test_sigbus_where_nobody_is_to_be_asked() -> None:
    for features, by_kernel, only in ((("sigbus",), False, False), ((), True, True)):
        made = region("missing")
        made.thread(
            "monitor",
            Uffd("open", features=features, user_mode_only=only),
            Uffd("register", at("m"), 16, ("missing",)),
        )
        touch = Access(at("m", 5), write=True, by_kernel=by_kernel)
        worker = made.thread("worker", touch, cpu=1, after_ns=20_000)
        made.run()
        assert made.results(worker) == [-14]
        assert kinds(made) == ["sigbus"]


def test_a_kernel_access_asks_the_monitor_unless_it_is_for_user_mode_only() -> None:
    made = region("missing")
    monitor(made, "missing")
    worker = made.thread(
        "worker", Access(at("m", 5), write=True, by_kernel=True), after_ns=20_000, cpu=2
    )
    made.run()
    assert made.results(worker) == [0]
    assert kinds(made) == ["uffd_missing"]


def test_wp_async_needs_no_monitor_and_a_kernel_that_has_it() -> None:
    for kernel, answer in (("6.6", -22), ("6.7", 0), ("6.18", 0)):
        made = region("wp", kernel)
        serving = made.thread(
            "monitor",
            Uffd("open", features=("wp_async",)),
            *((Uffd("register", at("m"), 16, ("wp",)), Uffd("protect", at("m"), 4))
              if answer == 0 else ()),
        )  # fmt: skip
        worker = made.thread("worker", Access(at("m", 1), write=True), cpu=1, after_ns=50_000)
        made.run()
        assert made.results(serving)[0] == answer
        assert worker.state == DONE
        assert "handle_userfault" not in made.functions(worker)
        assert not pte(made, 1) & UFFD_WP
        assert bool(pte(made, 2) & UFFD_WP) == (answer == 0)


def test_protection_takes_the_right_to_write_and_flushes() -> None:
    made = region("wp")
    made.thread("reader", Access(at("m"), write=True, pages=4), cpu=2)
    made.thread(
        "monitor",
        Compute(5_000),
        Uffd("register", at("m"), 16, ("wp",)),
        Uffd("protect", at("m"), 4),
    )
    made.run()
    assert all(pte(made, page) & UFFD_WP and not pte(made, page) & WRITABLE for page in range(4))
    assert [one["reason"] for one in made.events(event.TLB_FLUSH)] == ["userfaultfd"]


def test_lifting_the_protection_gives_the_right_back_since_6_2() -> None:
    for kernel, writable in (("6.1", False), ("6.4", True), ("6.12", True)):
        made = region("wp", kernel)
        made.thread(
            "monitor",
            Uffd("register", at("m"), 16, ("wp",)),
            Uffd("protect", at("m"), 4),
            Uffd("unprotect", at("m"), 4),
        )
        made.run()
        assert bool(pte(made, 0) & WRITABLE) == writable
        assert not pte(made, 0) & UFFD_WP


def test_unpopulated_pages_are_marked_only_when_asked_for() -> None:
    for features in ((), ("wp_unpopulated",)):
        made = region("wp")
        made.thread(
            "monitor",
            Uffd("open", features=features),
            Uffd("register", at("m"), 16, ("wp",)),
            Uffd("protect", at("m"), 16),
        )
        made.run()
        assert bool(pte(made, 9)) == bool(features)


# Registering


def test_registering_splits_and_unregistering_merges() -> None:
    made = region("missing")
    made.thread("monitor", Uffd("register", at("m", 4), 4, ("missing",)))
    made.run()
    assert [vma.vm_flags & VM_UFFD for vma in made.mm.tree] == [0, VM_UFFD_MISSING, 0]
    assert [vma.userfaultfd is made.mm.userfaultfd for vma in made.mm.tree] == [False, True, False]
    made.thread("again", Uffd("unregister", at("m", 4), 4))
    made.run()
    assert [vma.pages for vma in made.mm.tree] == [16]
    assert [vma.userfaultfd for vma in made.mm.tree] == [None]


def test_a_split_part_keeps_its_monitor() -> None:
    made = region("missing")
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), Munmap(at("m", 4), 2))
    made.run()
    assert [vma.userfaultfd is made.mm.userfaultfd for vma in made.mm.tree] == [True, True]


@pytest.mark.parametrize("modes", [("minor",), ("missing", "minor")])
def test_private_memory_has_no_minor_faults(modes: tuple[str, ...]) -> None:
    made = region("missing")
    serving = made.thread("monitor", Uffd("register", at("m"), 16, modes))
    made.run()
    assert made.results(serving) == [-22]


def test_a_child_has_no_monitor_unless_the_fork_is_told() -> None:
    made = region("missing")
    child = OperationList((Access(at("m", 5), write=True), Exit()))
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), Fork(child))
    made.run()
    (copy,) = made.engine.world.mms[1:]
    assert copy.userfaultfd is None
    assert kinds(made) == ["anon_write"]


def test_closing_the_descriptor_wakes_and_lets_faults_go_on() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("poll"),
        Compute(3_000),
        Uffd("close"),
    )
    worker = made.thread("worker", Access(at("m", 5), write=True), cpu=1, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert worker.state == DONE
    assert pte(made, 5) & WRITABLE


# Errors of the monitor


def test_a_page_that_is_there_is_not_overwritten() -> None:
    made = region("missing")
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5)),
        Uffd("copy", at("m", 5)),
        Uffd("zeropage", at("m", 5)),
        Uffd("copy", at("m", 3), pages=1),
    )
    made.run()
    assert made.results(serving) == [0, 0, -17, -17, -17]
    check_pages(made)


def test_contents_that_are_not_in_memory_are_copied_without_the_locks() -> None:
    made = region("missing")
    made.vma("buffer", 4)
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5), source=at("buffer")),
    )
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert made.results(serving) == [0, 0]
    assert kinds(made) == ["anon_read_zero"], "a fault of the kernel on the source"
    assert made.functions(serving).count("uffd_lock_vma") == 4
    check_pages(made)


# Policies


@pytest.mark.parametrize("kernel", PRESETS)
def test_whoever_tells_the_monitor_with_the_lock_held_can_end_in_a_circle(kernel: str) -> None:
    made, worker, serving = with_writer(kernel, HOLD)
    rules.run(made.engine)
    assert worker.state == serving.state == SLEEPING
    texts = {one.rule: one.text for one in made.engine.world.broken}
    lock = "range of VMA ranges app" if kernel == "beyond" else "mmap_lock app"
    assert texts["I18"].startswith(f"a circle of waiting: monitor waits for mapper ({lock})")
    assert "worker waits for monitor (the userfaultfd monitor)" in texts["I18"]
    assert "I25" in texts


@pytest.mark.parametrize("kernel", PRESETS)
def test_dropped_first_nobody_waits_in_a_circle(kernel: str) -> None:
    made, worker, serving = with_writer(kernel, Policy())
    rules.run(made.engine)
    assert made.engine.world.broken == []
    assert worker.state == serving.state == DONE


def test_a_lock_kept_over_the_wait_saves_the_restart() -> None:
    made, worker, _ = flow("missing", "6.12", policy=KEEP)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert worker.state == DONE
    vmstat = made.engine.world.vmstat
    assert (vmstat.get("vma_lock_retry", 0), vmstat["vma_lock_success"]) == (0, 1)


def test_told_with_the_lock_held_it_still_restarts() -> None:
    made, worker, _ = flow("missing", "6.12", policy=HOLD)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert worker.state == DONE
    assert made.engine.world.vmstat["vma_lock_retry"] == 1
    assert "vma_lock" in locks_held_at(made, "schedule", worker.id)


# Changes of which the monitor wants to read first


def told(made: Scene, features: tuple[str, ...], *answer: Uffd) -> Thread:
    """A monitor that reads one event, late."""
    return made.thread(
        "monitor",
        Uffd("open", features=features),
        Uffd("register", at("m"), 16, ("missing",)),
        Compute(60_000),
        *answer,
        Uffd("poll"),
        Uffd("read"),
        Compute(9_000),  # Who waits lowers mmap_changing himself, once he is awake.
        Uffd("copy", at("m", 5)),
        cpu=1,
    )


CHANGES: dict[str, Operation] = {
    "event_unmap": Munmap(at("m", 8), 4),
    "event_remove": Madvise(at("m", 8), 4, "dontneed"),
    "event_fork": Fork(OperationList((Exit(),)), child_cpu=3),
    "event_remap": Mremap(at("m", 8), 4, 8, slot="moved"),
}


@pytest.mark.parametrize("kernel", ["6.1", "6.8", "6.12", "6.18"])
@pytest.mark.parametrize("feature", CHANGES)
def test_a_change_waits_until_the_monitor_has_read_of_it(feature: str, kernel: str) -> None:
    made = region("missing", kernel)
    early = Uffd("copy", at("m", 5))
    serving = told(made, (feature,), early)
    changer = made.thread("changer", CHANGES[feature], cpu=2, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert (serving.state, changer.state) == (DONE, DONE)
    assert made.results(serving) == [0, 0, 0, -11, 0, 0, 0, 0], "EAGAIN before it has read"
    assert serving.message is not None
    assert serving.message.what == feature.removeprefix("event_")
    ctx = made.mm.userfaultfd
    assert ctx is not None
    assert (ctx.mmap_changing, ctx.refcount) == (0, 1)


@pytest.mark.parametrize("feature", CHANGES)
def test_a_change_that_nobody_wants_to_know_of_waits_for_nobody(feature: str) -> None:
    made = region("missing")
    told(made, (), Uffd("copy", at("m", 6)))
    changer = made.thread("changer", CHANGES[feature], cpu=2, after_ns=20_000)
    made.run(until_ns=60_000)
    assert changer.state == DONE


def test_the_lock_is_not_held_while_the_monitor_is_told_of_a_change() -> None:
    for feature, change in CHANGES.items():
        made = region("missing")
        told(made, (feature,))
        changer = made.thread("changer", change, cpu=2, after_ns=20_000)
        made.run()
        assert locks_held_at(made, "schedule", changer.id) == [], feature


def test_closing_the_descriptor_wakes_who_waits_to_be_read_of() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("open", features=("event_unmap",)),
        Uffd("register", at("m"), 16, ("missing",)),
        Compute(60_000),
        Uffd("close"),
        cpu=1,
    )
    changer = made.thread("changer", CHANGES["event_unmap"], cpu=2, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert changer.state == DONE


def test_a_monitor_that_unmaps_itself_waits_for_itself() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("open", features=("event_unmap",)),
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5)),
        Munmap(at("m"), 4),
    )
    rules.run(made.engine)
    assert "I25" in {one.rule for one in made.engine.world.broken}


def test_a_range_that_moves_loses_its_monitor_unless_it_is_told() -> None:
    for feature in ("", "event_remap"):
        made = region("missing")
        features = (feature,) if feature else ()
        made.thread(
            "monitor", Uffd("open", features=features),
            Uffd("register", at("m"), 16, ("missing",)), Compute(50_000), Uffd("read"), cpu=1,
        )  # fmt: skip
        changer = made.thread("changer", CHANGES["event_remap"], cpu=2, after_ns=20_000)
        made.run(until_ns=5_000_000)
        moved = made.mm.vma_at(changer.slots["moved"])
        assert moved is not None
        assert bool(moved.vm_flags & VM_UFFD) == bool(feature)
        assert (moved.userfaultfd is not None) == bool(feature)


def test_dropping_pages_that_a_monitor_serves_takes_mmap_lock() -> None:
    """6.17+ drops pages under the VMA lock, but not where a monitor might have to be told."""
    for modes in (("missing",), ()):
        made = region("missing", "6.18")
        work = [Uffd("register", at("m"), 16, modes)] if modes else []
        changer = made.thread("changer", *work, Madvise(at("m"), 2, "dontneed"))
        made.run()
        held = locks_held_at(made, "zap_pte_range", changer.id)
        assert ("mmap_lock" in held, "vma_lock" in held) == (bool(modes), not modes)


def test_a_page_prepared_for_memory_that_goes_meanwhile_is_given_back() -> None:
    """The contents have to be faulted in without the locks; when the call comes back all is gone."""
    made = region("missing")
    made.vma("buffer", 4)
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5), source=at("buffer")),
    )
    engine = made.engine
    while serving.step is None or serving.step.__name__ != "mfill_drop_locks":
        engine.run(steps_max=1)
    made.thread("changer", Munmap(at("m"), 16), cpu=2)
    made.engine.machine.costs = {**engine.machine.costs, "exception_entry": 50_000}
    rules.run(engine, every_steps=1)
    assert engine.world.broken == []
    assert made.results(serving) == [0, -2]
    check_pages(made)
