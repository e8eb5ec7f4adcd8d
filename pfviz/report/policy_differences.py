"""What one value of a switch does that another does not, in sentences, the worst first.

It is told what was measured (`policy_cost`) and measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pfviz.scenario import policies
from pfviz.views.numbers import count, duration

RANKS: Final = ("p50", "p99", "max")
WORTH_TELLING: Final = 1.05
"""From this ratio on a difference is worth a sentence."""
CIRCLE: Final = "I18: a circle of waiting: "

Object = Mapping[str, Any]


def differences(name: str, choices: Sequence[Object]) -> Iterator[str]:
    """What each other value does against the first, one sentence each without its full stop.

    Deadlocks come first, then threads that never end, broken rules, and the rest by size.
    """
    if not choices:
        return
    first = choices[0]
    known = list(troubles(first))
    own = known
    for other in choices[1:]:
        said = said_of(name, other["value"])
        here = list(troubles(other))
        for text in here:
            as_before = f", as with {policies.word(first['value'])}" if text in known else ""
            yield f"{said}{text}{as_before}"
        if fewer := fewer_ended(first, other):
            yield f"{said}{fewer}"
        own = [text for text in own if text not in here]
    yield from (f"{said_of(name, first['value'])}{text}" for text in own)
    for other in choices[1:]:
        said = said_of(name, other["value"])
        ranked = sorted(_sized(first, other), key=lambda one: -one[0])
        yield from (f"{said}{text}" for _, text in ranked)


def said_of(name: str, value: Any) -> str:
    """How a sentence about a value begins."""
    return f"{name} = {policies.word(value)}: "


def deadlock_of(choice: Object) -> str:
    """The circle in which threads wait for each other, in words; "" when there is none."""
    for one in choice["broken_rules"]:
        if one["rule"].startswith(CIRCLE):
            return str(one["rule"].removeprefix(CIRCLE))
    return ""


def stuck(choice: Object) -> list[Object]:
    """Threads that never end: nothing is due any more, and no time was set for the run's end."""
    return [] if choice["stopped"] else list(choice["unfinished"])


def troubles(choice: Object) -> Iterator[str]:
    """What is wrong under a value, the worst first."""
    circle, left = deadlock_of(choice), stuck(choice)
    if circle:
        yield f"DEADLOCK: {'nobody goes on: ' if left else ''}{circle}"
    elif left:
        whys = [f"{one['task']} {_why(one['why'])}" for one in left]
        yield f"NEVER ENDS: {', '.join(whys)}"
    for one in choice["broken_rules"]:
        if not (circle and one["rule"] == f"{CIRCLE}{circle}"):
            yield f"breaks rule {one['rule']}"


def fewer_ended(first: Object, other: Object) -> str:
    """How many of the faults that end under one value end where threads are stuck, or ""."""
    ended, of_all = other["faults"]["count"], first["faults"]["count"]
    if not stuck(other) or ended >= of_all:
        return ""
    return f"{count(ended)} of {count(of_all)} faults ended"


def _why(why: str) -> str:
    if not why:
        return "does not go on"
    return why if why.startswith("waits ") else f"waits for {why}"


def _sized(first: Object, other: Object) -> Iterator[tuple[float, str]]:
    """(how many times, sentence) of what can be counted."""
    if stuck(first) or stuck(other):
        return  # What little came to its end before everything stopped is neither fast nor slow.
    sides = [("faults", first["faults"], other["faults"])]
    sides += [
        (operation, one, other["operations"][operation])
        for operation, one in first["operations"].items()
        if operation in other["operations"]
    ]
    for side, before, after in sides:
        rank, was, now = _furthest(before["latency_ns"], after["latency_ns"])
        least = min(was, now)
        if least > 0 and max(was, now) > WORTH_TELLING * least:
            times = max(was, now) / least
            how = f"{_times(times)} times {'slower' if now > was else 'faster'}"
            yield times, f"{side} {rank} {how} ({duration(was)} → {duration(now)})"
    was, now = first["faults"]["retries"], other["faults"]["retries"]
    if was != now:
        again = "fault starts" if now == 1 else "faults start"
        yield max(was, now) / max(min(was, now), 1), f"{now:,} {again} again, not {was:,}"
    fell = [one["faults"]["fell_back"] for one in (first, other)]
    # A restart that goes to mmap_lock is both, and told of once.
    if fell[0] != fell[1] and fell != [was, now]:
        was, now = fell
        fall = "fault falls" if now == 1 else "faults fall"
        times = max(was, now) / max(min(was, now), 1)
        yield times, f"{now:,} {fall} back to mmap_lock, not {was:,}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _furthest(before: Object, after: Object) -> tuple[str, int, int]:
    """The rank at which two latencies differ most, as a ratio, and the two values."""
    pairs = [(rank, before[rank], after[rank]) for rank in RANKS]
    return max(pairs, key=lambda one: max(one[1:]) / (min(one[1:]) or max(*one[1:], 1)))
