"""Compare one recorded kind with what pfviz did, and name the first difference.

For a kind that is not among those here: `compare_entry(kernel, entry, scene, rows)`, where `entry`
is the kind's own object of a `sequences.json` and `rows` are `recorder.fault_rows(...)` or
`recorder.operation_rows(...)` of any run.

What neither side can show, or shows under another name, is in `tables`; everything else must be
there on both sides, in the same order. It refuses to know kinds and scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise, product
from typing import Any, Final

from tests.mm.callgraphs import tables
from tests.mm.callgraphs.recorder import Item, Row, record
from tests.mm.callgraphs.recordings import TAKES, Call, Recording, calls_of, recording
from tests.worlds import Scene

RCU_BEGIN: Final = "__rcu_read_lock"
RCU_END: Final = "__rcu_read_unlock"
UNKNOWN: Final = "no recording of this kernel shows it"
"""Why a step was left out of which `tables` say nothing: fit for new kinds, not for these."""
EMPTIED: Final = "ma_write(the range is empty)"
"""The store of `tables.EMPTYING`, whichever node operation it takes."""
CONTEXT: Final = 6
"""Tokens shown before and after the first difference."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A call of the recording that pfviz has to make, too."""

    token: str
    around: frozenset[str]
    """The functions in progress from the kept call before this one up to this one."""
    is_function: bool


@dataclass(slots=True)
class Comparison:
    """Where two sequences first differ; `difference` is "" when they are alike."""

    theirs: list[str]
    ours: list[str]
    difference: str = ""
    compared: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Our steps that were left out, each with the reason."""


def compare(recorded: Recording, calls: Sequence[Call], items: Sequence[Item]) -> Comparison:
    """Hold what pfviz did against the calls of one recorded kind of that kernel."""
    theirs = kept(recorded, calls)
    unnamed = [call for call in theirs if "(?)" in call.token]
    if unnamed:
        msg = f"which lock is {unnamed[0].token} in {sorted(unnamed[0].around)}?"
        raise AssertionError(msg)
    skipped: list[tuple[str, str]] = []
    here = frozenset(call.token for call in theirs if call.is_function)
    ours = expected(recorded, items, skipped, here)
    result = Comparison([call.token for call in theirs], [item.token for item in ours])
    result.skipped = skipped
    at = 0
    queue = list(ours)
    while queue:
        item = queue[0]
        call = theirs[at] if at < len(theirs) else None
        if call is not None and item.token == call.token:
            at += 1
        elif _enters(queue, theirs, at):
            continue
        elif not (item.is_step and _is_going_on(item.token, theirs, at)):
            result.difference = _tell(theirs, at, ours, len(ours) - len(queue))
            break
        queue.pop(0)
        result.compared = at
    if not result.difference and at < len(theirs):
        result.difference = _tell(theirs, at, ours, len(ours))
    return result


def compare_entry(kernel: str, entry: dict[str, Any], scene: Scene, rows: list[Row]) -> Comparison:
    """Hold one fault or system call of a run against an entry of that kernel's recordings."""
    return compare(recording(kernel), calls_of(entry), record(scene, rows))


def _enters(queue: list[Item], theirs: list[Kept], at: int) -> bool:
    """A step gets the locks that the next function takes first thing: put that function first.

    pfviz gets a lock in the step before the one that needs it, the kernel in the function itself.
    """
    count = 0
    while count < len(queue) and _takes_a_lock(queue[count]):
        count += 1
    if not count or count == len(queue) or not queue[count].is_step:
        return False
    here = [call.token for call in theirs[at : at + count + 1]]
    if here != [queue[count].token, *(item.token for item in queue[:count])]:
        return False
    queue.insert(0, queue.pop(count))
    return True


def _takes_a_lock(item: Item) -> bool:
    name = item.token.split("(")[0]
    return not item.is_step and (name in TAKES or name == RCU_BEGIN)


def _is_going_on(function: str, theirs: list[Kept], at: int) -> bool:
    """Whether a function is in progress between two calls: one function can be several steps."""
    open_now = theirs[at].around if at < len(theirs) else frozenset()
    before = {theirs[at - 1].token} | theirs[at - 1].around if at else set()
    return function in open_now or function in before


def _tell(theirs: list[Kept], at: int, ours: list[Item], number: int) -> str:
    expected_here = theirs[at].token if at < len(theirs) else "nothing more"
    got = f"{ours[number].token} ({ours[number].step})" if number < len(ours) else "nothing more"
    before = [call.token for call in theirs[max(at - CONTEXT, 0) : at]]
    after = [call.token for call in theirs[at : at + CONTEXT]]
    our_before = [item.token for item in ours[max(number - CONTEXT, 0) : number]]
    our_after = [item.token for item in ours[number : number + CONTEXT]]
    return (
        f"the kernel calls {expected_here}, pfviz has {got}\n"
        f"  kernel: {' > '.join(before)} >>> {' > '.join(after)}\n"
        f"  pfviz:  {' > '.join(our_before)} >>> {' > '.join(our_after)}"
    )


# The recording's side


def kept(recorded: Recording, calls: Sequence[Call]) -> list[Kept]:
    """The calls that are compared, under pfviz's names."""
    found: list[Kept] = []
    around: set[str] = set()
    nested = 0
    for call in _without_idle_rcu(_without_left_out(recorded, calls)):
        if call.token in (RCU_BEGIN, RCU_END):
            # Nested read sections count as one, as in pfviz.
            nested += 1 if call.token == RCU_BEGIN else -1
            if nested != (1 if call.token == RCU_BEGIN else 0):
                continue
        token = _given_up(_our_name(recorded.kernel, call.token), call.inside)
        inside = {_our_name(recorded.kernel, name) for name in call.inside}
        is_function = not call.lock and "(" not in token and token not in (RCU_BEGIN, RCU_END)
        found.append(Kept(token, frozenset(around | inside), is_function))
        around = set(inside)
        if is_function:
            around.add(token)
    return _without_repeats(found)


def _without_repeats(calls: list[Kept]) -> list[Kept]:
    """Leave out what a function does twice on end only because it was interrupted."""
    found: list[Kept] = []
    for call in calls:
        found.append(call)
        for length, begin in tables.REPEATS if call.around & tables.REPEATED.keys() else ():
            last = [one.token for one in found[-length:]]
            if last == [one.token for one in found[-2 * length : -length]] and last[0] == begin:
                del found[-length:]
    return found


def _without_left_out(recorded: Recording, calls: Sequence[Call]) -> list[Call]:
    found = []
    for one in calls:
        parent = one.inside[-1] if one.inside else ""
        call = replace(one, token=_store(one.token, parent))
        pairs = (f"{outer}/{inner}" for outer, inner in pairwise(call.inside))
        if not tables.BELOW.keys().isdisjoint((*call.inside, *pairs)):
            continue
        places = product(("", recorded.kernel), (parent,), (call.name, call.token))
        if any(place in tables.WITHIN for place in places):
            continue
        if call.name in tables.LEFT_OUT or call.token in tables.LEFT_OUT:
            continue
        if call.lock == "?" and (parent or "-") in tables.OTHER_LOCKS:
            continue
        found.append(call)
    return found


def _store(token: str, function: str) -> str:
    """One token for the store that empties the range of munmap, however the tree does it."""
    is_emptying = token.startswith("ma_write(mas_wr_") and function in tables.EMPTYING
    return EMPTIED if is_emptying else token


def _given_up(token: str, inside: Sequence[str]) -> str:
    """Tell whether a fault's lock is given back by the handler, or when the fault is over."""
    is_given_up = token in tables.FAULT_LOCKS and not set(tables.IN_FAULT).isdisjoint(inside)
    return f"{token} in handle_mm_fault" if is_given_up else token


def _without_idle_rcu(calls: list[Call]) -> list[Call]:
    """Leave out read sections in which nothing is done that is compared, where that is agreed."""
    found: list[Call] = []
    for call in calls:
        last = found[-1] if found else None
        is_idle = call.token == RCU_END and last is not None and last.token == RCU_BEGIN
        if is_idle and _parent(call) == _parent(last) and _parent(call) in tables.IDLE_RCU:
            found.pop()
            continue
        found.append(call)
    return found


def _parent(call: Call | None) -> str:
    return call.inside[-1] if call is not None and call.inside else ""


def _our_name(kernel: str, token: str) -> str:
    name, bracket, rest = token.partition("(")
    return tables.SAME.get(name, name) + bracket + rest


# Our side


def expected(
    recorded: Recording, items: Sequence[Item], skipped: list[tuple[str, str]],
    here: frozenset[str] = frozenset(),
) -> list[Item]:  # fmt: skip
    """What pfviz did that a recording of that kernel can show; `here` are names that one does."""
    names = shown(recorded.kernel) | here
    found: list[Item] = []
    for one in items:
        item = replace(one, token=one.token if one.is_step else _store(one.token, one.function))
        name = tables.OURS_NAMED.get(item.token, item.token)
        name = tables.OURS_NAMED.get(f"{recorded.kernel}:{item.token}", name)
        reason = _invisible(recorded, item, name, names)
        if reason:
            skipped.append((item.token, reason))
            continue
        token = name if item.is_step else _given_up(name, (item.function,))
        found.append(Item(token, item.step, item.function, item.is_step))
    return found


@cache
def shown(kernel: str) -> frozenset[str]:
    """Every function of pfviz's that some recording of a kernel shows, and that is compared."""
    recorded = recording(kernel)
    calls = (call for kind in recorded.kinds for call in kept(recorded, recorded.calls(kind)))
    return frozenset(call.token for call in calls if call.is_function)


def _invisible(recorded: Recording, item: Item, name: str, names: frozenset[str]) -> str:
    """Why no sequence of that kernel shows this; "" when one does."""
    if not item.is_step:
        if item.token in tables.BELOW_EVENTS and item.function in tables.BELOW:
            return tables.BELOW[item.function]
        return tables.OUR_EVENTS.get((recorded.kernel, name), tables.OUR_EVENTS.get(("", name), ""))
    if name in names:
        return ""
    if name in tables.LEFT_OUT:
        return tables.LEFT_OUT[name]
    if recorded.traceable.get(name, "traceable") in ("inlined-or-absent", "symbol-not-traceable"):
        return recorded.traceable[name]
    if name in tables.OURS_ALONE:
        return tables.OURS_ALONE[name]
    return UNKNOWN
