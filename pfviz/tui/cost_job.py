"""What a choice of policy costs, measured in another process while the screen goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import msgspec

from pfviz.report.policy_worker import request

from .recipe import Recipe

COMMAND: Final = (sys.executable, "-m", "pfviz.report.policy_worker")


@dataclass(slots=True)
class CostJob:
    """One measurement: a recipe run to its end with the old value of a switch and with the new."""

    recipe: Recipe
    name: str
    old: Any
    new: Any
    cost: dict[str, Any] | None = None
    """What `report.policy_cost` says, once it is known."""
    error: str = ""
    begun_s: float = field(default_factory=perf_counter)
    _process: asyncio.subprocess.Process | None = None

    @property
    def done(self) -> bool:
        """Whether there is something to show."""
        return self.cost is not None or bool(self.error)

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return perf_counter() - self.begun_s

    async def run(self) -> None:
        """Measure; `cost` or `error` is set afterwards."""
        # Who ran where is a choice of one run; both are made by the dice alone.
        overrides = self.recipe.with_changes().overrides
        asked = request(self.recipe.scenario, overrides, self.name, (self.old, self.new))
        # The worker must find the same pfviz, wherever this one was found.
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environ,
            )
            answer, complaint = await self._process.communicate(asked)
        except asyncio.CancelledError:
            self.cancel()
            raise
        except OSError as error:
            self.error = f"It cannot be measured: {error.strerror or error}."
            return
        try:
            said = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            lines = complaint.decode("utf-8", "replace").strip().splitlines()
            self.error = f"The measurement failed: {lines[-1] if lines else 'no answer'}."
            return
        if "error" in said:
            self.error = f"It cannot be measured: {said['error']}."
        else:
            self.cost = said

    def cancel(self) -> None:
        """Give up: the process ends."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
