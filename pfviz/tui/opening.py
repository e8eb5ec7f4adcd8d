"""A run on its way: made in a thread, so that keys are heard meanwhile; it can be given up.

A thread and no process: what is made are engines and logs, and the screen has little to do while it
waits for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Generic, TypeVar

from pfviz.sim.told import Told

T = TypeVar("T")


class GivenUpError(Exception):
    """Nobody wants it any more."""


class Opening(Generic[T]):
    """One thing that is being made; it begins at once."""

    def __init__(self, what: str, make: Callable[[Told], T]) -> None:
        """`make` tells how far it is; where it does not, giving up only forgets its result."""
        self.what = what
        self.done = 0
        self.total = 0
        self.begun_s = perf_counter()
        self.given_up = False
        self._make = make
        self._result: list[T] = []
        self._error: Exception | None = None
        self._ended = threading.Event()
        # A daemon: leaving the program waits for nobody.
        threading.Thread(target=self._run, name=f"opening {what}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result.append(self._make(self._told))
        except Exception as error:  # Whoever waits for it raises it again.
            self._error = error
        self._ended.set()

    def _told(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self.given_up:
            raise GivenUpError

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1; -1 when nobody knows."""
        return min(self.done / self.total, 1.0) if self.total > 0 else -1.0

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return perf_counter() - self.begun_s

    @property
    def ended(self) -> bool:
        """Whether there is something to take, if only an error."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for at most so long; whether it has ended."""
        return self._ended.wait(seconds)

    def give_up(self) -> None:
        """It is not wanted any more."""
        self.given_up = True

    def result(self) -> T:
        """What was made; raises what making it raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]
