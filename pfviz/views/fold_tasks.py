"""Folds of what tasks, CPUs, RCU and the run itself report: steps, operations, switches, notes."""

# Every fold takes a whole event row, whatever it needs of it.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Final

from pfviz.sim import event as ev
from pfviz.sim.event import ASLEEP, STILL_RUNNABLE, WRITE
from pfviz.stats.histogram import Histogram

from . import states
from .fold_locks import begin_wait, end_wait
from .frame import PATH_MAX, Fold, Frame
from .settling import settle

LOSSES_MAX: Final = 20
LINES_MAX: Final = 8192


def _step(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.step = a
    t.step_ns = now
    t.step_cost_ns = b + c
    t.steps += 1
    codes = t.path_codes
    codes.append(a)
    t.path_ns.append(now)
    if len(codes) > PATH_MAX:
        del codes[: PATH_MAX // 2]
        del t.path_ns[: PATH_MAX // 2]
    f.steps += 1
    f.step_task = task
    if t.state == states.NEW:
        settle(f, t, now)


def _task_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    known = task in f.tasks
    t = f.tasks[task]
    if known and f.names.get(t.name):
        f.names[t.name] -= 1
    t.name = f.log.texts[a]
    f.names[t.name] = f.names.get(t.name, 0) + 1
    t.cpu = b
    t.prio = c
    t.mm = d if d > 0 else -1
    if not known or b < 0:
        t.on_cpu = b < 0  # One that was known goes on where it is, in another process (exec).
        # A capture meets threads that ran long before it; a run tells of each from its birth.
        t.unstarted = not t.on_cpu and "front_end" not in f.log.meta
    t.since_ns = now


def _task_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.ended = True
    settle(f, t, now)


def _sched_switch(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.cpus[a] = b
    f.switches += 1
    if task >= 0:
        t = f.tasks[task]
        t.on_cpu = False
        t.off_cpu_since_ns = now
        t.preempted = c == STILL_RUNNABLE
        if c == ASLEEP:
            t.asleep = True
        settle(f, t, now)
    if b >= 0:
        t = f.tasks[b]
        t.on_cpu = True
        t.unstarted = False
        t.asleep = False
        t.asleep_why = ""
        t.asleep_lock = -1
        t.io = False
        t.cpu = a
        settle(f, t, now)


def _sched_wakeup(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.asleep = False
    t.io = False
    if t.waits_unannounced:
        t.waits_unannounced = False
        end_wait(f, f.locks[t.waits_lock], t, now - t.waits_since_ns, now)
    settle(f, t, now)


def _sleep(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.asleep = True
    t.asleep_why = f.log.texts[a]
    t.asleep_lock = b
    if b >= 0 and t.waits_lock != b and b in f.locks and f.locks[b].kind == "vma_lock":
        t.waits_unannounced = True
        begin_wait(f, f.locks[b], t, WRITE, now)
    settle(f, t, now)


def _line_moved(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.line_moves[a] = f.line_moves.get(a, 0) + 1
    f.line_moves_total += 1
    f.line_ns_total += d


def _line_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.line_names[a] = f.log.texts[b]
    if len(f.line_names) > LINES_MAX:
        # Lines of freed objects: only the busiest are ever shown.
        busiest = sorted(f.line_names, key=lambda line: (-f.line_moves.get(line, 0), -line))
        for line in busiest[LINES_MAX // 2 :]:
            del f.line_names[line]
            f.line_moves.pop(line, None)


def _op_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.op = f.log.texts[a]
    t.op_address = b
    t.op_length = c
    t.op_index = d
    t.op_began_ns = now
    del t.path_codes[:], t.path_ns[:]
    settle(f, t, now)


def _op_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.op = ""
    t.op_began_ns = -1
    t.ops_done += 1
    name = f.log.texts[a]
    histogram = f.op_latency.get(name)
    if histogram is None:
        histogram = f.op_latency[name] = Histogram()
    if b >= 0:
        histogram.add(b)
    settle(f, t, now)


def _note(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.note = f.log.texts[a]
    f.cue = b
    f.note_ns = now


def _loss(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.lost += b
    f.losses.append((now, a, b, f.log.texts[c] if 0 <= c < len(f.log.texts) else ""))
    del f.losses[:-LOSSES_MAX]


def _rule_broken(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.broken.append((now, f.log.texts[a], b, task))


def _irq(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    if b:
        f.irqs_off.pop(a, None)
    else:
        f.irqs_off[a] = now


# RCU


def _rcu_read_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    t.rcu_depth += 1
    f.rcu_sections_begun += 1
    f.rcu_sections.setdefault(task, f.rcu_sections_begun)
    settle(f, t, now)


def _rcu_read_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    t = f.tasks[task]
    if t.rcu_depth:
        t.rcu_depth -= 1
    if not t.rcu_depth:
        f.rcu_sections.pop(task, None)
    settle(f, t, now)


def _rcu_callback(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.rcu_pending += 1


def _rcu_grace_period(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.rcu_grace_periods += 1
    f.rcu_pending = max(f.rcu_pending - b, 0)


FOLDS: Final[dict[int, Fold]] = {
    ev.STEP: _step,
    ev.TASK_NEW: _task_new,
    ev.TASK_END: _task_end,
    ev.SCHED_SWITCH: _sched_switch,
    ev.SCHED_WAKEUP: _sched_wakeup,
    ev.SLEEP: _sleep,
    ev.LINE_MOVED: _line_moved,
    ev.LINE_NEW: _line_new,
    ev.OP_BEGIN: _op_begin,
    ev.OP_END: _op_end,
    ev.NOTE: _note,
    ev.LOSS: _loss,
    ev.RULE_BROKEN: _rule_broken,
    ev.IRQ: _irq,
    ev.RCU_READ_BEGIN: _rcu_read_begin,
    ev.RCU_READ_END: _rcu_read_end,
    ev.RCU_CALLBACK: _rcu_callback,
    ev.RCU_GRACE_PERIOD: _rcu_grace_period,
}
