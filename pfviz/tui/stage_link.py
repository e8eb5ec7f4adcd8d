"""The link between the stage and the speaker's notes: lines of JSON over TCP on the loopback.

The stage listens on a port of its own choice and writes port and secret where only the same user
can read them. Knows nothing of talks: what is told is a table, what comes back is a command's name.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from pfviz.places import state_home

HOST: Final = "127.0.0.1"
FILE: Final = "stage.json"
NEXT: Final = "next"
PREVIOUS: Final = "previous"
COMMANDS: Final = (NEXT, PREVIOUS)
"""What a follower may ask the stage for."""
RESTART_CLOCK: Final = "clock"
"""What it may ask the link for: that the talk began now, or `elapsed_s` seconds ago."""
BEAT_S: Final = 1.0
SILENCE_S: Final = 4.0
"""A stage that has said nothing for so long is gone."""
RETRY_S: Final = 1.0
_SECRET_WAIT_S: Final = 3.0
_FOLLOWERS_MAX: Final = 16
_LINE_BYTES_MAX: Final = 1 << 16
_BEHIND_BYTES_MAX: Final = 1 << 18
"""A follower that is so far behind does not read; it is let go."""


class StageLink:
    """The stage's end: tells every follower the latest state, hands their commands on.

    A link that cannot be opened (no folder to write to, no network) is silent and harms nothing:
    `error` says why.
    """

    def __init__(self, command: Callable[[str], None], folder: Path | None = None) -> None:
        """`command` is called with one of COMMANDS, in the loop that opened the link."""
        self.error = ""
        self._command = command
        self._file = (folder or state_home()) / FILE
        self._secret = secrets.token_hex(16)
        self._state: dict[str, Any] = {}
        self._began_s: float | None = None
        """When the talk left its beginning."""
        self._followers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None

    @property
    def followers(self) -> int:
        """How many notes follow at the moment."""
        return len(self._followers)

    async def open(self) -> None:
        """Listen, and say where in a file of mode 0600."""
        try:
            self._server = await asyncio.start_server(self._serve, HOST, 0, limit=_LINE_BYTES_MAX)
            port = self._server.sockets[0].getsockname()[1]
            _write_privately(self._file, {"port": port, "secret": self._secret, "pid": os.getpid()})
        except OSError as error:
            self.error = f"notes cannot follow: {error.strerror or error}"
            await self.close()
            return
        self._beating = asyncio.create_task(self._beat())

    def tell(self, state: Mapping[str, Any]) -> None:
        """Send a new state, which replaces the one before, to all who follow now or later.

        The talk's time runs from the first state that is not where the first one was.
        """
        before, self._state = self._state, dict(state)
        if self._began_s is None and before and _place(before) != _place(self._state):
            self._began_s = monotonic()
        self._send_all()

    @property
    def elapsed_s(self) -> float:
        """How long the talk has been going on."""
        return 0.0 if self._began_s is None else monotonic() - self._began_s

    async def close(self) -> None:
        """Let all followers go and take the file away, unless another stage has written it."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None
        for writer in tuple(self._followers):
            writer.close()
        self._followers.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        with suppress(OSError, ValueError):
            if _read(self._file).get("secret") == self._secret:
                self._file.unlink()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._send_all()

    def _send_all(self) -> None:
        for writer in tuple(self._followers):
            self._send(writer)

    def _send(self, writer: asyncio.StreamWriter) -> None:
        if writer.is_closing() or writer.transport.get_write_buffer_size() > _BEHIND_BYTES_MAX:
            self._followers.discard(writer)
            writer.transport.abort()
            return
        told = self._state | {
            "elapsed_s": round(self.elapsed_s, 2),
            "began": self._began_s is not None,
        }
        writer.write(json.dumps(told).encode() + b"\n")

    def _hear(self, told: Mapping[str, Any]) -> None:
        asked, elapsed_s = told.get("do"), told.get("elapsed_s")
        if asked in COMMANDS:
            self._command(str(asked))
        elif asked == RESTART_CLOCK:
            self._began_s = monotonic() - (elapsed_s if isinstance(elapsed_s, int | float) else 0.0)
            self._send_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = await asyncio.wait_for(_line(reader), _SECRET_WAIT_S)
            if not hmac.compare_digest(str(hello.get("secret", "")).encode(),
                                       self._secret.encode()):  # fmt: skip
                return
            if len(self._followers) >= _FOLLOWERS_MAX:
                return
            self._followers.add(writer)
            self._send(writer)
            while True:
                self._hear(await _line(reader))
        except (TimeoutError, OSError, EOFError, ValueError):
            pass  # Whoever it was has gone, or does not speak our language.
        finally:
            self._followers.discard(writer)
            writer.close()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a follower knows: the stage's last state, or why there is none."""

    state: dict[str, Any] | None
    why: str = ""
    has_left: bool = False
    """Whether there is no stage because the last one took its leave, or none ever was."""


class StageFollower:
    """The notes' end: connects again and again, tells each state, sends commands."""

    def __init__(self, hear: Callable[[Heard], None], folder: Path | None = None) -> None:
        """`hear` is called whenever something comes or the stage is lost."""
        self._hear = hear
        self._file = (folder or state_home()) / FILE
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a stage at the other end."""
        return self._writer is not None

    def ask(self, command: str, **more: float) -> bool:
        """Send one of COMMANDS or RESTART_CLOCK; False when nobody is there to hear it."""
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(json.dumps({"do": command, **more}).encode() + b"\n")
        return True

    async def follow(self) -> None:
        """Follow whatever stage there is, for ever; cancel the task to end it."""
        while True:
            has_left = False
            try:
                await self._follow_one()
                why = "the stage has ended"
            except FileNotFoundError:
                why, has_left = "no stage is running", True
            except TimeoutError:  # Before OSError, which it is a kind of.
                why = "the stage is silent"
            except (OSError, EOFError, ValueError, KeyError, TypeError, OverflowError):
                why = "the stage does not answer"
            self._hear(Heard(None, why, has_left))
            await asyncio.sleep(RETRY_S)

    async def _follow_one(self) -> None:
        where = _read(self._file)
        reader, writer = await asyncio.open_connection(
            HOST, int(where["port"]), limit=_LINE_BYTES_MAX
        )
        try:
            writer.write(json.dumps({"secret": str(where["secret"])}).encode() + b"\n")
            while True:
                state = await asyncio.wait_for(_line(reader), SILENCE_S)
                self._writer = writer
                self._hear(Heard(state))
        finally:
            self._writer = None
            writer.close()


def _place(state: Mapping[str, Any]) -> tuple[object, object]:
    return state.get("scene"), state.get("station")


async def _line(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next table; EOFError at the end, ValueError for anything else than a table."""
    line = await reader.readline()
    if not line:
        raise EOFError
    return _table(line)


def _table(text: str | bytes) -> dict[str, Any]:
    """What a line or a file says; ValueError when that is no table, whatever else it is."""
    try:
        table = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(table, dict):
        raise ValueError("not a table")
    return table


def _write_privately(path: Path, table: Mapping[str, Any]) -> None:
    """Put a file in place at once, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        new.unlink()
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(table), file)
    new.replace(path)


def _read(path: Path) -> dict[str, Any]:
    return _table(path.read_text(encoding="utf-8"))
