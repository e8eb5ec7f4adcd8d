"""Faults that a monitor in user space answers: who is asked when, under which lock, in what order.

Source of the order: fs/userfaultfd.c of 6.12, function graphs of 6.1, 6.12 and 6.18.
"""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    Access,
    Compute,
    Uffd,
)
from pfviz.mm.page_table import PRESENT, UFFD_WP, WRITABLE
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.userfaultfd import WAITS
from pfviz.sim import event
from pfviz.sim.task import DONE, SLEEPING
from tests.mm.fault_scenes import check_pages, fallbacks, functions_of, kinds
from tests.mm.uffd_scenes import (
    FAULTS,
    PAGE,
    flow,
    locks_held_at,
    monitor,
    pte,
    region,
    with_writer,
)
from tests.worlds import at

WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
HOLD = Policy(uffd_notify="hold")
KEEP = Policy(io_wait_userfaultfd="hold")


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
