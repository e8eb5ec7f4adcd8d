"""Logs written by hand, event by event, in the words of a story."""

from __future__ import annotations

from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, StepInfo

SOURCES = {
    "exc_page_fault": ("arch/x86/mm/fault.c", "Read the faulting address before anything else."),
    "lock_vma_under_rcu": ("mm/memory.c (6.4+)", "Look the VMA up under RCU, without any lock."),
    "mas_walk": ("lib/maple_tree.c", "Walk the maple tree down to the leaf."),
    "vma_start_read": ("include/linux/mm.h", "Take the VMA lock for read, or give up at once."),
    "do_anonymous_page": ("mm/memory.c", "Map a fresh page."),
    "vma_end_read": ("include/linux/mm.h", "Let the VMA go."),
    "mmap_read_lock": ("include/linux/mmap_lock.h", "Wait for mmap_lock, as everybody."),
    "smaps_pte_range": ("fs/proc/task_mmu.c", "Count the pages of one page table."),
    "mmap_region": ("mm/mmap.c", "Make a new mapping."),
}


class Story:
    """Appends events at `now`; every method is a thing that happens."""

    def __init__(self) -> None:
        self.log = EventLog(meta={"kernel": "6.12", "mode": "per-vma"})
        self.now = 0
        self._steps: dict[str, int] = {}
        self._ids = 100
        self._tasks = 0

    def add(self, kind: int, task: int = ev.NOBODY, *payload: int) -> None:
        self.log.append(self.now, kind, task, *payload)

    def at(self, now_ns: int) -> Story:
        assert now_ns >= self.now
        self.now = now_ns
        return self

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    # Who and what there is

    def thread(self, name: str, cpu: int = 0, mm: int = 1, prio: int = 120) -> int:
        task, self._tasks = self._tasks, self._tasks + 1
        self.add(ev.TASK_NEW, task, self.log.text(name), cpu, prio, mm)
        self.add(ev.SCHED_SWITCH, ev.NOBODY, cpu, task, 0, 0)
        return task

    def lock(self, kind: str, name: str, owner: int = -1) -> int:
        lock = self.new_id()
        self.add(ev.LOCK_NEW, -1, lock, self.log.text(kind), self.log.text(name), owner)
        return lock

    def address_space(self, name: str = "app") -> tuple[int, int]:
        mm = 1
        lock = self.lock("mmap_lock", "mmap_lock", mm)
        self.add(ev.MM_NEW, -1, mm, -1, lock, self.log.text(name))
        return mm, lock

    def vma(
        self, mm: int, name: str, start: int, pages: int, kind: str = "anon"
    ) -> tuple[int, int]:
        vma = self.new_id()
        lock = self.lock("vma_lock", f"vma_lock {name}", vma)
        file = 1 if kind == "file" else -1
        detail = (start, start + pages * 4096, "rw-p", name, kind, 0, kind == "anon", file)
        self.add(ev.VMA_NEW, -1, vma, mm, self.log.detail(detail), lock)
        return vma, lock

    # What threads do

    def step(self, task: int, name: str, cost: int = 50) -> None:
        index = self._steps.get(name)
        if index is None:
            source, story = SOURCES.get(name, ("mm/memory.c", f"Do {name}."))
            index = self._steps[name] = len(self.log.steps)
            self.log.steps.append(StepInfo(f"mm.paths.{name}", name, source, story, ""))
        self.add(ev.STEP, task, index, cost, 0, task)
        self.now += cost

    def begins(self, task: int, op: str, address: int = 0, length: int = 0, index: int = 0) -> None:
        self.add(ev.OP_BEGIN, task, self.log.text(op), address, length, index)

    def ends(self, task: int, op: str, latency: int, index: int = 0) -> None:
        self.add(ev.OP_END, task, self.log.text(op), latency, 0, index)

    def faults(self, task: int, address: int, regime: int = -1, mm: int = 1) -> None:
        self.add(ev.FAULT_BEGIN, task, address, 6, 1, mm)
        if regime >= 0:
            self.goes(task, regime)

    def goes(self, task: int, regime: int, attempt: int = 0) -> None:
        self.add(ev.FAULT_PATH, task, regime, attempt, 1)

    def falls_back(self, task: int, cause: str, counter: str = "vma_lock_abort") -> None:
        self.add(ev.FAULT_FALLBACK, task, self.log.text(cause), 1, 0, self.log.text(counter))

    def is_served(self, task: int, latency: int, regime: int = 1, kind: str = "anon write") -> None:
        self.add(ev.FAULT_END, task, self.log.text(kind), latency, regime, 0)

    def maps(self, address: int, pages: int = 1, flags: int = 3, mm: int = 1) -> None:
        self.add(ev.PTE_SET, 0, address, pages, flags, mm)

    def unmaps(self, address: int, pages: int, mm: int = 1) -> None:
        self.add(ev.PTE_CLEARED, 0, address, pages, 0, mm)

    def takes(self, task: int, lock: int, mode: int = ev.READ, wait: int = 0) -> None:
        self.add(ev.LOCK_ACQUIRED, task, lock, mode, wait, 0)

    def lets_go(self, task: int, lock: int, mode: int = ev.READ, held: int = 0) -> None:
        self.add(ev.LOCK_RELEASED, task, lock, mode, held)

    def queues(self, task: int, lock: int, mode: int = ev.READ) -> None:
        self.add(ev.CONTENTION_BEGIN, task, lock, mode, 0)

    def gets(self, task: int, lock: int, mode: int = ev.READ, wait: int = 0) -> None:
        self.add(ev.LOCK_ACQUIRED, task, lock, mode, wait, 0)
        self.add(ev.CONTENTION_END, task, lock, mode, wait)

    def falls_asleep(self, task: int, why: str, lock: int = -1, cpu: int = 0) -> None:
        self.add(ev.SLEEP, task, self.log.text(why), lock)
        self.add(ev.SCHED_SWITCH, task, cpu, -1, ev.ASLEEP, 0)

    def loses_its_cpu(self, task: int, cpu: int, to: int = -1) -> None:
        self.add(ev.SCHED_SWITCH, task, cpu, to, ev.STILL_RUNNABLE, 0)

    def gets_a_cpu(self, task: int, cpu: int = 0) -> None:
        self.add(ev.SCHED_SWITCH, -1, cpu, task, 0, 0)

    def wakes(self, task: int, waker: int = -1) -> None:
        self.add(ev.SCHED_WAKEUP, task, 0, waker)

    def node(
        self, node: int, kind: str, low: int, high: int, slots: tuple[int, ...],
        pivots: tuple[int, ...] = (), gaps: tuple[int, ...] = (), parent: int = -1, slot: int = 0,
    ) -> None:  # fmt: skip
        detail = (kind, low, high, pivots, slots, gaps, slot)
        self.add(ev.TREE_NODE, 0, node, self.log.detail(detail), parent, 1)

    def root(self, node: int, height: int) -> None:
        self.add(ev.TREE_ROOT, 0, node, height, 0, 1)

    def dies(self, node: int, why: str) -> None:
        self.add(ev.TREE_NODE_DEAD, 0, node, self.log.text(why), 0, 1)

    def looks_at(self, task: int, node: int, index: int, slot: int) -> None:
        self.add(ev.TREE_WALK, task, node, index, slot, 1)


HEAP = 0x5580_1234_5000
ANON = 0x7F10_4000_0000
STACK = 0x7FFD_C000_0000


def one_fault() -> Story:
    """T0 faults once in the heap under the VMA lock."""
    story = Story()
    mm, _ = story.address_space()
    _, lock = story.vma(mm, "[heap]", HEAP, 8, "heap")
    task = story.thread("app")
    story.begins(task, "access", HEAP, 8)
    began = story.now
    story.faults(task, HEAP)
    story.step(task, "exc_page_fault")
    story.goes(task, 1)
    story.add(ev.RCU_READ_BEGIN, task)
    story.step(task, "lock_vma_under_rcu")
    story.step(task, "mas_walk")
    story.takes(task, lock)
    story.step(task, "vma_start_read")
    story.add(ev.RCU_READ_END, task, 100)
    story.maps(HEAP)
    story.step(task, "do_anonymous_page")
    story.lets_go(task, lock, held=100)
    story.is_served(task, story.now - began)
    story.step(task, "vma_end_read")
    story.ends(task, "access", story.now - began)
    return story


def monitor() -> Story:
    """smaps reads under mmap_lock and loses its CPU; a writer and two faults queue behind it."""
    story = Story()
    mm, mmap_lock = story.address_space()
    _, heap_lock = story.vma(mm, "[heap]", HEAP, 64, "heap")
    story.vma(mm, "", ANON, 32)
    story.vma(mm, "[stack]", STACK, 33, "stack")
    a = story.thread("app", 0)
    w = story.thread("app", 1)
    b = story.thread("app", 2)
    s = story.thread("smaps", 3, prio=139)
    story.maps(HEAP, 20)
    story.begins(s, "smaps")
    story.takes(s, mmap_lock)
    story.step(s, "smaps_pte_range", 300)
    story.at(1_000)
    story.loses_its_cpu(s, 3)
    story.at(1_200)
    story.begins(w, "mmap", 0, 4096)
    story.step(w, "mmap_region", 40)
    story.queues(w, mmap_lock, ev.WRITE)
    story.falls_asleep(w, "rwsem write", mmap_lock, 1)
    story.at(2_000)
    for task, cpu, address in ((a, 0, HEAP + 0x14000), (b, 2, ANON)):
        story.begins(task, "access", address, 4096)
        story.faults(task, address, 1)
        story.step(task, "exc_page_fault", 30)
        story.falls_back(task, "no anon_vma yet")
        story.goes(task, 0, 1)
        story.step(task, "lock_vma_under_rcu", 30)
        story.queues(task, mmap_lock)
        story.falls_asleep(task, "rwsem read", mmap_lock, cpu)
        story.step(task, "mmap_read_lock", 20)
    story.at(1_210_300)
    story.add(ev.SEQ_CHANGED, s, mmap_lock, 7)
    story.add(ev.SEQ_CHANGED, s, heap_lock, 6)
    return story


def long(faults: int = 2_000, threads: int = 4) -> Story:
    """Threads that fault in turn, with a queue now and then."""
    story = Story()
    mm, mmap_lock = story.address_space()
    _, lock = story.vma(mm, "", ANON, faults)
    tasks = [story.thread("app", cpu) for cpu in range(threads)]
    for number in range(faults):
        task = tasks[number * 7 % threads]
        address = ANON + number * 4096
        began = story.now
        story.begins(task, "access", address, 4096, number)
        story.faults(task, address, number % 3)
        for name in ("exc_page_fault", "lock_vma_under_rcu", "mas_walk", "vma_start_read"):
            story.step(task, name)
        held = mmap_lock if number % 3 == 0 else lock
        if number % 5 == 0:
            story.queues(task, held)
            story.falls_asleep(task, "rwsem read", held, task)
            story.at(story.now + 400)
            story.wakes(task)
            story.gets_a_cpu(task, task)
            story.gets(task, held, wait=400)
        else:
            story.takes(task, held)
        story.maps(address)
        story.step(task, "do_anonymous_page")
        story.lets_go(task, held, held=50)
        story.is_served(task, story.now - began, number % 3)
        story.step(task, "vma_end_read")
        story.ends(task, "access", story.now - began, number)
    return story


def walked_tree() -> Story:
    """The monitor's world with a tree of two levels: one leaf walked, one replaced and dead."""
    story = monitor()
    top = (1 << 64) - 1
    heap, anon, stack = 102, 104, 106
    story.node(
        1, "arange_64", 0, top, (2, 5, 4), (0x5FFF_FFFF_FFFF, 0x7F1F_FFFF_FFFF),
        (HEAP, 0x100_0000, 0x200_0000),
    )  # fmt: skip
    story.node(2, "leaf_64", 0, 0x5FFF_FFFF_FFFF, (-1, heap, -1), parent=1, slot=0)
    for node in (3, 5):
        story.node(
            node, "leaf_64", 0x6000_0000_0000, 0x7F1F_FFFF_FFFF, (-1, anon, -1), (), (), 1, 1
        )
    story.node(4, "leaf_64", 0x7F20_0000_0000, top, (-1, stack, -1), parent=1, slot=2)
    story.dies(3, "split_store")
    story.root(1, 2)
    story.at(story.now + 300)
    story.looks_at(0, 2, HEAP + 0x14000, 1)
    return story
