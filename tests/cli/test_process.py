"""pfviz as a process: pipes that close, interrupts, terminals that are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PFVIZ = [sys.executable, "-m", "pfviz"]


def test_a_closed_pipe_is_silent() -> None:
    running = subprocess.Popen(
        [*PFVIZ, "run", "two-mallocs", "--steps"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait() == 0


def _heed_interrupts() -> None:
    """A shell that runs the tests in the background has SIGINT ignored, in all its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interrupt_is_exit_code_130(tmp_path: Path) -> None:
    endless = tmp_path / "endless.toml"
    endless.write_text(
        'schema_version = 1\ntitle = "x"\nuntil = "1000s"\n[[thread]]\nname = "a"\n'
        '[thread.workload]\nname = "compute"\nrounds = 0\n'
    )
    running = subprocess.Popen(
        [*PFVIZ, "run", str(endless)], stderr=subprocess.PIPE, preexec_fn=_heed_interrupts
    )
    time.sleep(1.5)  # Long enough to be running, whatever the machine does besides.
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert b"Traceback" not in said


def test_a_terminal_without_utf8_gets_ascii() -> None:
    done = subprocess.run(
        [*PFVIZ, "run", "hello-fault", "--steps"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.isascii()
    assert b" us " in done.stdout


def test_a_dumb_terminal_opens_no_screen() -> None:
    done = subprocess.run(
        [*PFVIZ, "play", "hello-fault"], env={**os.environ, "TERM": "dumb"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("Hello, fault\n")
