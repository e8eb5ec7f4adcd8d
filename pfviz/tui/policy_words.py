"""Switches of `[policy]` in words, where one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pfviz.scenario.policies import BY_NAME, word


def changes(options: Iterable[tuple[str, Any]], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(switch, "value → other value") of each choice."""
    return [(name, f"{word(now[name])} → {word(value)}") for name, value in options]


def about(name: str) -> str:
    """What a switch means, and whom it holds up or spares."""
    switch = BY_NAME[name]
    text = f"{switch.meaning[:1].upper()}{switch.meaning[1:]}."
    return f"{text} It decides whether {switch.holds_up}." if switch.holds_up else text
