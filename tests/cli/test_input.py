"""Pipes, folders and what is not there: one answer whichever verb is asked, and no silent wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from pfviz.cli import cli

TRACE = Path(__file__).parents[1] / "data" / "traces" / "malloc-t2" / "trace.txt.gz"
SCENARIO = (
    'schema_version = 1\ntitle = "x"\n[[thread]]\nname = "a"\nworkload = "compute"\n'
    '[[expect]]\nthat = "faults.count == 0"\n'
)
FILE_VERBS = ("trace stats", "import maps", "maple replay")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a pipe takes the place of standard input."""
    return subprocess.run(
        [sys.executable, "-m", "pfviz", *words], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def write_to(pipe: Path, data: bytes) -> threading.Thread:
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    return writer


@pytest.mark.parametrize("words", ["trace stats", "play", "play --plain"])
def test_a_capture_is_read_from_a_pipe_as_from_a_file(pipe: Path, words: str) -> None:
    writer = write_to(pipe, TRACE.read_bytes())
    from_pipe = run(*words.split(), str(pipe))
    writer.join()
    assert from_pipe.returncode == 0
    lines = from_pipe.stdout.splitlines()
    assert lines[1:] == run(*words.split(), str(TRACE)).stdout.splitlines()[1:]
    assert len(lines) > 10


@pytest.mark.parametrize("words", ["run", "check", "scenario validate", "scenario show"])
def test_a_scenario_is_read_from_a_pipe(pipe: Path, words: str) -> None:
    writer = write_to(pipe, SCENARIO.encode())
    done = run(*words.split(), str(pipe))
    writer.join()
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout


@pytest.mark.parametrize("words", [*FILE_VERBS, "play", "run"])
def test_a_pipe_without_a_writer_is_waited_for_aloud(pipe: Path, words: str) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-m", "pfviz", *words.split(), str(pipe)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert waiting.stderr is not None
    try:
        assert waiting.stderr.readline() == (
            f"pfviz: waiting for data from {pipe}, a pipe; Ctrl-C ends it\n"
        )
    finally:
        waiting.terminate()
        waiting.wait(timeout=30)
        waiting.stderr.close()


def test_a_pipe_that_is_closed_at_once_is_an_empty_file(pipe: Path) -> None:
    writer = write_to(pipe, b"")
    done = run("trace", "stats", str(pipe))
    writer.join()
    assert done.returncode == 3
    assert "the file is empty" in done.stderr


VERBS = (*FILE_VERBS, "play", "run", "compare", "check", "scenario show")


def _refusal(words: str, path: Path) -> str:
    done = CliRunner().invoke(cli, [*words.split(), str(path)], catch_exceptions=False)
    assert done.exit_code == 3
    return done.stderr


@pytest.mark.parametrize("words", VERBS)
def test_a_folder_is_no_file(words: str, tmp_path: Path) -> None:
    assert _refusal(words, tmp_path) == f"pfviz: {tmp_path}: is a folder, not a file\n"


@pytest.mark.parametrize("words", VERBS)
def test_an_empty_file_is_unreadable(words: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert _refusal(words, empty) == f"pfviz: {empty}: the file is empty\n"


@pytest.mark.parametrize("words", sorted({*VERBS} - {"import maps"}))
@pytest.mark.parametrize("name", ["none.gz", "none.toml", "none"])
def test_a_file_that_is_not_there_is_unreadable(words: str, name: str, tmp_path: Path) -> None:
    missing = tmp_path / name
    assert _refusal(words, missing) == f"pfviz: {missing}: there is no such file\n"


def test_a_word_with_the_ending_of_a_file_is_one_unless_it_is_nearly_a_name() -> None:
    done = CliRunner().invoke(cli, ["play", "trace.txt.gz"])
    assert (done.exit_code, done.stderr) == (3, "pfviz: trace.txt.gz: there is no such file\n")
    done = CliRunner().invoke(cli, ["play", "hello-fault.tml"])
    assert done.exit_code == 2
    assert 'did you mean "hello-fault"?' in done.stderr


def test_a_second_pipe_is_refused_and_not_swallowed(tmp_path: Path) -> None:
    pipes = [tmp_path / "one", tmp_path / "two"]
    for path in pipes:
        os.mkfifo(path)
    writers = [write_to(path, SCENARIO.encode()) for path in pipes]
    done = run("check", *map(str, pipes))
    for writer in writers:
        writer.join()
    assert done.returncode == 2
    assert done.stderr == f"pfviz: {pipes[1]}: only one pipe can be read at a time\n"
