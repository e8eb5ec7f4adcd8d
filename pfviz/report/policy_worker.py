"""`python -m pfviz.report.policy_worker`: measures one choice of policy in a process of its own.

A screen must not wait for two whole runs. One JSON object comes through standard input
(`request`), one goes out: what `policy_cost` says, or `{"error": ...}`.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from pfviz.report.policy_cost import policy_cost
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.schema import Scenario


class Request(msgspec.Struct, frozen=True):
    """A scenario with changes, and the values of one switch to run it with."""

    scenario: Scenario
    overrides: Overrides
    name: str
    values: tuple[Any, ...]


def request(scenario: Scenario, overrides: Overrides, name: str, values: tuple[Any, ...]) -> bytes:
    """What the worker reads."""
    return msgspec.json.encode(Request(scenario, overrides, name, values))


def answer(text: bytes) -> bytes:
    """What the worker writes."""
    asked = msgspec.json.decode(text, type=Request)
    try:
        cost = policy_cost(asked.scenario, asked.name, asked.values, asked.overrides)
    except (ScenarioError, ValueError) as error:
        return msgspec.json.encode({"error": str(error)})
    return msgspec.json.encode(cost)


if __name__ == "__main__":
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))
