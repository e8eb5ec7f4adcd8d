"""A whole talk in a pseudo-terminal of a projector's size, by the key that every clicker has."""

import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from pfviz.scenario.talk_load import open_talk

from .test_terminal import Terminal

pytestmark = pytest.mark.terminal

NEXT, BACK = "\x1b[6~", "\x1b[5~"
TALK_S = 60
"""A talk that is hurried through takes no longer."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal("play", "talk-3min", size=(80, 24), XDG_STATE_HOME=str(tmp_path))
    yield opened
    opened.child.close(force=True)


def pressed(terminal: Terminal, key: str) -> str:
    """What came on the screen within a moment after a key."""
    terminal.types(key)
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        try:
            terminal.seen += terminal.child.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            continue
    return terminal.plain()


def test_the_short_talk_is_gone_through_with_next_alone(terminal: Terminal) -> None:
    talk = open_talk("talk-3min")
    terminal.sees("▀▀▀▀")
    deadline = time.monotonic() + TALK_S
    shown = terminal.plain()
    while "This is the end." not in shown:
        assert time.monotonic() < deadline, f"no end after {TALK_S} s:\n{shown[-2000:]}"
        shown += pressed(terminal, NEXT)
    for scene in talk.scenes:
        if not scene.card:
            assert scene.title.split()[-1] in shown, scene.title
    assert "Traceback" not in shown
    assert "left out" not in shown
    assert "cannot be" not in shown
    pressed(terminal, BACK)
    assert "q again leaves the talk" in pressed(terminal, "q")
    terminal.types("q")
    assert terminal.leaves() == 0
