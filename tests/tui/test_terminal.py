"""The whole program in a pseudo-terminal: starts, answers, survives resizing, leaves cleanly."""

import os
import re
import sys
import time
from collections.abc import Iterator

import pexpect
import pyte
import pytest

from pfviz.views.glyphs import CONSOLE_FONT

pytestmark = pytest.mark.terminal

ESCAPES = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z$]|\x1b[()][A-Z0-9]|\x1b[=>]|\x1b\][^\x07]*\x07")


class Terminal:
    """A running pfviz and what it wrote."""

    def __init__(self, *arguments: str, size: tuple[int, int] = (120, 40), **environ: str) -> None:
        settings = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"}
        self.child = pexpect.spawn(
            sys.executable, ["-c", "from pfviz.cli import main; main()", *arguments],
            dimensions=(size[1], size[0]), env={**os.environ, **settings, **environ},
            encoding="utf-8", timeout=20,
        )  # fmt: skip
        self.seen = ""

    def sees(self, text: str) -> None:
        """Wait until the program has written this (style changes in between are ignored)."""
        deadline = time.monotonic() + 20
        while text not in ESCAPES.sub("", self.seen):
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.plain()[-2000:]}"
            try:
                self.seen += self.child.read_nonblocking(65536, timeout=0.5)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                assert text in self.plain(), f"ended without {text!r}:\n{self.plain()[-2000:]}"

    def types(self, keys: str) -> None:
        """Press keys; what came before is forgotten."""
        self.seen = ""
        self.child.send(keys)

    def plain(self) -> str:
        return ESCAPES.sub("", self.seen)

    def leaves(self) -> int:
        """Wait for the end; the exit code."""
        self.child.expect(pexpect.EOF)
        self.seen += self.child.before or ""
        self.child.close()
        return int(self.child.exitstatus or 0)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.child.close(force=True)


def test_the_gallery_opens_and_plays_by_keyboard_alone(terminals: list[Terminal]) -> None:
    terminal = Terminal()
    terminals.append(terminal)
    terminal.sees("Hello, fault")
    terminal.sees("Preview")
    terminal.types("hello\r")
    terminal.sees("1 Threads")
    terminal.sees("playing")
    terminal.types(" ")
    terminal.sees("paused")
    terminal.types("\x1b[C\x1b[C\x1b[D")
    terminal.sees("PAST")
    terminal.types("q")
    assert terminal.leaves() == 0
    assert "Traceback" not in terminal.plain()


def test_a_resize_storm_down_to_one_column_is_survived(terminals: list[Terminal]) -> None:
    terminal = Terminal("play", "fault-vs-munmap", size=(80, 24))
    terminals.append(terminal)
    terminal.sees("1 Threads")
    for rows, columns in ((60, 200), (1, 1), (24, 1), (5, 3), (40, 120), (10, 40), (24, 80)) * 3:
        terminal.child.setwinsize(rows, columns)
        time.sleep(0.02)
    terminal.seen = ""
    terminal.child.setwinsize(30, 90)
    terminal.sees("2 Lock")
    terminal.types("q")
    assert terminal.leaves() == 0
    assert "Traceback" not in terminal.plain()


def test_without_colour_none_is_written(terminals: list[Terminal]) -> None:
    terminal = Terminal("play", "hello-fault", NO_COLOR="1")
    terminals.append(terminal)
    terminal.sees("1 Threads")
    terminal.sees("playing")
    assert not re.search(r"\x1b\[[0-9;]*(?:38|48);[25];", terminal.seen)
    terminal.types("q")
    assert terminal.leaves() == 0


def test_a_c_locale_gets_ascii_only(terminals: list[Terminal]) -> None:
    terminal = Terminal("play", "hello-fault", LC_ALL="C")
    terminals.append(terminal)
    terminal.sees("1 Threads")
    terminal.sees("playing")
    assert terminal.plain().isascii()
    terminal.types("q")
    assert terminal.leaves() == 0


def test_the_matrix_opens_from_the_shell_and_plays_a_cell(terminals: list[Terminal]) -> None:
    terminal = Terminal("matrix", "--tui", "--kind", "file_read_miss", "--kernel", "6.6")
    terminals.append(terminal)
    terminal.sees("each by a run")
    terminal.types("v")
    terminal.sees("From 6.6 to 6.7")
    terminal.types("\r")
    terminal.sees("1 Threads")
    terminal.types("q")
    assert terminal.leaves() == 0
    assert "Traceback" not in terminal.plain()


def test_a_linux_console_shows_what_was_painted(terminals: list[Terminal]) -> None:
    terminal = Terminal("play", "hello-fault", TERM="linux", size=(100, 30))
    terminals.append(terminal)
    terminal.sees("1 Threads")
    terminal.sees("playing")
    screen = pyte.Screen(100, 30)
    pyte.Stream(screen).feed(terminal.seen)
    shown = "\n".join(screen.display)
    assert "┌─ 1 Threads ─" in shown
    assert " pfviz  Hello, fault" in shown
    assert {char for char in shown if not char.isascii()} <= CONSOLE_FONT
    # Sixteen colours, bright grounds never, and nothing newer than a console.
    assert not re.search(r"\x1b\[[0-9;]*(?:38|48);[25];|\x1b\[[0-9;]*10[1-7]m", terminal.seen)
    assert not re.search(r"\x1b\[[<>]|\x1b\]|\$p", terminal.seen)
    terminal.types("q")
    assert terminal.leaves() == 0
