"""A cap on all repaints of Textual, which reads its own only when it is imported."""

from __future__ import annotations

from textual import screen


def cap_repaints(repaints_per_s: int) -> None:
    """At most so many repaints a second, whoever asks for them: a held key, a list, typing."""
    vars(screen)["UPDATE_PERIOD"] = 1 / repaints_per_s
