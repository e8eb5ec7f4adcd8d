"""How much of a run's work is done: operations handed out of those that its programs hold."""

from __future__ import annotations

from pfviz.mm.operations import OperationList
from pfviz.mm.thread import Thread
from pfviz.mm.world import World
from pfviz.sim.engine import Engine
from pfviz.sim.told import SCALE


def work_done(engine: Engine[World], until_ns: int | None) -> tuple[int, int]:
    """(done, of all): by operations or by time, whichever has come further; all is 0 if unknown.

    Programs that repeat for ever say nothing of how long a run will be.
    """
    done = total = 0
    for task in engine.tasks:
        program = task.program if isinstance(task, Thread) else None
        if isinstance(program, OperationList) and program.repeat:
            each = len(program.operations)
            total += each * program.repeat
            done += min(each * program.round + program.position, each * program.repeat)
    shares = [done * SCALE // total] if total else []
    if until_ns:
        shares.append(engine.now_ns * SCALE // until_ns)
    return (min(max(shares), SCALE), SCALE) if shares else (engine.steps, 0)
