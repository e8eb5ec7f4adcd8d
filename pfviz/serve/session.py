"""One visitor's pfviz: a process of its own, ended with the visit and never by a shell.

It knows nothing of pages; what goes to and fro is textual-serve's protocol.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from textual_serve.app_service import AppService

LEAVE_S: Final = 3.0
"""How long a process may take to leave by itself."""
IN_BROWSER: Final = "PFVIZ_IN_BROWSER"
"""Set for processes whose screen is a page."""


class Session(AppService):
    """A pfviz that draws on a web page."""

    def __init__(self, arguments: Sequence[str], **others: Any) -> None:
        """Run pfviz with these arguments; `others` are those of AppService."""
        super().__init__("pfviz", **others)
        self.arguments = tuple(arguments)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Start it from a list of words: nothing in them can be a command."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pfviz", *self.arguments,
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,  # Ctrl-C is for the server, which ends them in order.
        )  # fmt: skip
        self._stdin = process.stdin
        return process

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environ: dict[str, str] = super()._build_environment(width, height)
        for name in ("TMUX", "STY", "SSH_TTY", "LINES"):
            environ.pop(name, None)
        return environ | {
            IN_BROWSER: "1",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
            # The process must find the same pfviz, wherever this one was found.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }

    async def stop(self) -> None:
        """Ask the process to leave, and make it leave if it does not."""
        process = self._process
        try:
            async with asyncio.timeout(LEAVE_S):
                await super().stop()
                if process is not None:
                    await process.wait()
        except TimeoutError:
            self._task = None
        finally:
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
