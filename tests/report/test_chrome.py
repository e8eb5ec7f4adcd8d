"""Chrome's Trace Event Format, checked line by line against what its document asks for."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pfviz.report import chrome
from pfviz.report.recording import Recording
from pfviz.report.timeline_tracks import marks_of
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog
from tests.report.runs import recorded, written

SHORT_NS = 100_000


def problems(data: bytes) -> list[str]:
    """What a strict reader would complain of; empty when there is nothing."""
    whole = json.loads(data)
    said: list[str] = []
    open_slices: dict[tuple[int, int], list[dict[str, Any]]] = {}
    flows: dict[int, str] = {}
    named: set[int] = set()
    last = 0.0
    if set(whole) != {"displayTimeUnit", "otherData", "traceEvents"}:
        said.append(f"keys {sorted(whole)}")
    for one in whole["traceEvents"]:
        phase = one["ph"]
        place = one["pid"], one["tid"]
        if phase == "M":
            named.add(one["tid"])
            continue
        if one["ts"] < last:
            said.append(f"time goes back at {one}")
        last = one["ts"]
        if round(one["ts"] * 1000) / 1000 != one["ts"]:
            said.append(f"no whole nanosecond: {one}")
        stack = open_slices.setdefault(place, [])
        if phase == "B":
            stack.append(one)
        elif phase == "E":
            if not stack or stack[-1]["name"] != one["name"]:
                said.append(f"ends without its begin: {one}")
            else:
                stack.pop()
        elif phase == "C":
            if not all(type(value) is int and value >= 0 for value in one["args"].values()):
                said.append(f"counter {one}")
        elif phase in ("s", "f"):
            if flows.get(one["id"]) != (None if phase == "s" else "s"):
                said.append(f"arrow {one}")
            flows[one["id"]] = phase
        elif not (phase == "X" and one["dur"] == 0) and not (phase == "i" and one["s"] == "t"):
            said.append(f"unknown {one}")
        if phase not in "Csf" and one["tid"] not in named:
            said.append(f"nobody named the track of {one}")
    said += [f"never ended: {stack[-1]}" for stack in open_slices.values() if stack]
    said += [f"arrow {number} has no end" for number, phase in flows.items() if phase != "f"]
    return said


@pytest.mark.parametrize("name", ["writer-convoy", "beyond-mmap-lock", "userfaultfd"])
def test_a_strict_reader_has_nothing_to_complain_of(name: str) -> None:
    data = written(chrome.pieces(recorded(name, SHORT_NS)))
    assert problems(data) == []
    phases = Counter(one["ph"] for one in json.loads(data)["traceEvents"])
    drawn = Counter(mark.phase for _, marks in marks_of(recorded(name, SHORT_NS)) for mark in marks)
    assert phases["B"] == drawn["B"]
    assert phases["C"] == drawn["C"]
    assert phases["X"] + phases["i"] == drawn["i"]


def test_a_missing_end_is_noticed() -> None:
    lines = written(chrome.pieces(recorded("hello-fault"))).split(b"\n")
    ends = [number for number, line in enumerate(lines) if b'"ph":"E"' in line]
    del lines[ends[3]]
    assert problems(b"\n".join(lines))


@pytest.mark.parametrize("result", [1 << 62, -(1 << 62), (1 << 53) - 1, 7])
def test_no_number_is_more_than_a_browser_can_hold(result: int) -> None:
    log = EventLog()
    log.append(1, ev.OP_BEGIN, 0, log.text("mmap"), -4096, 4096, 0)
    log.append(2, ev.OP_END, 0, log.text("mmap"), 1, result, 0)
    events = json.loads(written(chrome.pieces(Recording(log, "any"))))["traceEvents"]
    (begin, end) = (one["args"] for one in events if one["ph"] in "BE")
    assert begin["address"] == "0xfffffffffffff000"
    assert int(end["result"]) == result
    assert type(end["result"]) is (str if abs(result) >= 1 << 53 else int)
