"""Logs that no run would write: every kind of event with any numbers, and names that hurt."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pfviz.sim.event import FIELDS, NOBODY, EventLog, StepInfo
from pfviz.trace.named_rows import SHAPES

HURTING = (
    "", " ", "a b", "reader 0", "[", "x [000]", "-123", "x-123 [001]", "=1+1", "@cmd", "a: b",
    "sys_mmap(addr: 0)", "\x1b[2J", "\x00", "\n", "\r\n", "\t", "\u202e\u2028", "ö\U0001f600",
    '"', "\\", "# pfviz: 1", "pfviz_step:", "task=1 lock=2", "<idle>", "CPU:1 [LOST 3 EVENTS]",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(HURTING), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
NUMBERS = st.one_of(
    st.integers(-3, 5), st.integers(-(1 << 63), (1 << 63) - 1), st.just((1 << 63) - 1)
)
DETAILS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.booleans()),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=6,
)


@st.composite
def any_log(draw: st.DrawFn) -> EventLog:
    """A log of a few rows with times that never go back."""
    log = EventLog()
    for name in draw(st.lists(TEXTS, max_size=3)):
        log.steps.append(StepInfo(name, f"{name}()", "mm/memory.c", name, "vma_lookup"))
    log.meta.update(draw(st.dictionaries(TEXTS, TEXTS, max_size=3)))
    for text in draw(st.lists(TEXTS, min_size=1, max_size=5)):
        log.text(text)
    if draw(st.booleans()):  # As in a capture that learns a thread's name late.
        log.texts.append(draw(st.sampled_from(log.texts)))
    for value in draw(
        st.lists(DETAILS.map(lambda one: (1, 2, "rw-p", "n", one)), min_size=1, max_size=4)
    ):
        log.detail(value)
    now_ns = 0
    for _ in range(draw(st.integers(0, 12))):
        now_ns += draw(st.integers(0, 1 << 40))
        kind = draw(st.sampled_from(sorted(FIELDS)))
        payload = [draw(_value(way, log)) for _, way in SHAPES[kind]]
        log.append(now_ns, kind, draw(st.integers(NOBODY, 1 << 20)), *payload)
    return log


def _value(way: int, log: EventLog) -> st.SearchStrategy[int]:
    """A number of that way to be read: one that is valid, or one that is not."""
    if way == 1:
        return st.integers(0, len(log.texts) - 1)
    if way == 2:
        return st.integers(0, len(log.details) - 1)
    return NUMBERS
