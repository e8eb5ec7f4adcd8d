"""Every command in README.md and docs/ works, shows what the page shows, and every link leads on.

`<!-- not run: why -->` before a block leaves it out, `<!-- not run (words, words): why -->` only
the lines that begin so, and `<!-- run with SHORT for LONG, ...: why -->` runs them with something
that takes less long. `<!-- interactive -->` runs the block in a terminal, where `q` leaves.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner

from pfviz.cli import cli
from pfviz.scenario.names import named
from pfviz.scenario.talk_load import talk_names
from pfviz.tui.recent import Recent, remember
from pfviz.views.states import STATES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
NAMES = [page.name for page in PAGES]
COMMANDS = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:pfviz|make|zcat|pip|ssh|ttyd|grep|eval|asciinema)(?= |$)"
)
NOT_RUN = re.compile(r"<!-- not run(?: \((.*?)\))?: .+ -->")
RUN_WITH = re.compile(r"<!-- run with (\S+ for \S+(?:, \S+ for \S+)*): .+ -->")
SECONDS_MAX = 60
FAULTY = """schema_version = 1
title = "Mine"
[[vma]]
name = "heap"
pages = 4
[[thread]]
name = "app"
scales = true
[[thread.op]]
do = "write"
at = "heap"
"""


@dataclass
class Block:
    """Some lines of code of a page."""

    line: int
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """The comments that stand right before it."""

    @property
    def is_interactive(self) -> bool:
        return "<!-- interactive -->" in self.notes

    def left_out(self) -> list[str]:
        """How the lines begin that are not run; "" where none of the block is."""
        found = [match for note in self.notes if (match := NOT_RUN.fullmatch(note))]
        return [one.strip() for match in found for one in (match[1] or "").split(",")]

    def shorter(self) -> dict[str, str]:
        """What stands here, and what it is run with."""
        found = [match for note in self.notes if (match := RUN_WITH.fullmatch(note))]
        pairs = [one.split(" for ") for match in found for one in match[1].split(", ")]
        return {long: short for short, long in pairs}

    def is_left_out(self, command: str) -> bool:
        lacks_tool = "| jq" in command and shutil.which("jq") is None
        return lacks_tool or command.startswith(tuple(self.left_out()))

    def as_run(self, command: str) -> str:
        """The same with what takes less long; what is replaced is no part of a longer word."""
        for long, short in self.shorter().items():
            command = re.sub(rf"(?<![\w/:-]){re.escape(long)}(?![\w.-])", short, command)
        return command

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """(command, the lines that the page shows below it)."""
        for number, line in enumerate(self.lines):
            shows = line.startswith("$ ")
            text = line.removeprefix("$ ")
            if COMMANDS.match(text):
                below = []
                for other in self.lines[number + 1 :] if shows else ():
                    if other.startswith("$ "):
                        break
                    below.append(other)
                # A comment stands behind two blanks or more.
                yield re.split(r" {2,}(?!-)", text)[0].strip(), below


def blocks(text: str) -> Iterator[Block]:
    """Indented blocks and fenced ones of a shell."""
    notes: list[str] = []
    block: Block | None = None
    fence = ""
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if block is not None and fence:
                yield block
                block = None
            fence = "" if fence else line[3:].strip() or "text"
            if fence in ("sh", "console"):
                block = Block(number, notes=notes)
                notes = []
        elif fence:
            if block is not None:
                block.lines.append(line)
        elif line.startswith("    ") and (block is not None or not before.strip()):
            if block is None:
                block = Block(number, notes=notes)
                notes = []
            block.lines.append(line[4:])
        else:
            if block is not None:
                yield block
                block = None
            if line.startswith("<!--"):
                notes.append(line.strip())
            elif line.strip():
                notes = []
        before = line
    if block is not None:
        yield block


INTERACTIVE = {text for page in PAGES for block in blocks(page.read_text())
               if block.is_interactive for text, _ in block.commands()}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with the files that the pages take for granted, and `pfviz` on PATH."""
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [one for one in os.environ if one.startswith("PFVIZ_")]:
        monkeypatch.delenv(name)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = bin_folder / "pfviz"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m pfviz "$@"\n')
    script.chmod(0o755)
    (tmp_path / "home/.config/fish/completions").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "tests/data/traces/brk-t1/trace.txt.gz", work / "trace.txt.gz")
    monkeypatch.chdir(work)
    remember(Recent("hello-fault", "Hello, fault"))
    return work


def run(command: str) -> tuple[int, str]:
    """Run a line: in this process where it is one call of pfviz, else by a shell."""
    words = shlex.split(command)
    if words[0] == "pfviz" and not re.search(r"[|&;<>$`]", command):
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(SECONDS_MAX)
        done = CliRunner().invoke(cli, words[1:])
        signal.alarm(0)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output
    shell = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    return shell.returncode, shell.stdout + shell.stderr


def _too_long(*_: object) -> None:
    raise TimeoutError("a command of the documentation does not end")


def prepare(command: str, work: Path) -> None:
    """Make what a command wants to be there: a scenario called mine, where none was made."""
    wanted = set(re.findall(r"(?<![\w-])(mine\.toml)", command))
    if wanted and " new " not in command and " -o mine" not in command:
        for name in wanted - {path.name for path in work.iterdir()}:
            (work / name).write_text(FAULTY)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_works(page: Path, place: Path) -> None:
    seen: set[str] = set()
    for block in blocks(page.read_text()):
        for command, shown in block.commands():
            if block.is_interactive or block.is_left_out(command) or command in seen:
                continue
            seen.add(command)
            prepare(command, place)
            where = f"{page.name}:{block.line}: {command}"
            code, output = run(block.as_run(command))
            assert code == 0, f"{where}: exit code {code}\n{output[-1500:]}"
            plain = " ".join(output.split())
            for line in shown:
                text = " ".join(line.split())
                assert text == "..." or text in plain, f"{where}: not shown: {line}\n{output}"


@pytest.mark.terminal
@pytest.mark.parametrize("command", ["pfviz demo", "pfviz"])
def test_what_is_interactive_opens_and_can_be_left(command: str, place: Path) -> None:
    assert command in INTERACTIVE
    words = ["-m", *command.split()]
    shown = pexpect.spawn(
        sys.executable, words, timeout=30,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
        dimensions=(24, 80),
    )  # fmt: skip
    shown.expect("filter" if command == "pfviz" else "Threads")
    shown.send("\x11" if command == "pfviz" else "q")
    shown.expect(pexpect.EOF)
    shown.close()
    assert shown.exitstatus == 0


def test_every_interactive_block_is_tried_above() -> None:
    assert {"pfviz demo", "pfviz"} == INTERACTIVE


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_the_page_says_of_its_commands_is_said_of_one(page: Path) -> None:
    text = page.read_text()
    known = {path.stem for path in named()} | set(talk_names())
    used = []
    for block in blocks(text):
        used += block.notes
        commands = [command for command, _ in block.commands()]
        for beginning in block.left_out():
            assert any(one.startswith(beginning) for one in commands), f"{page.name}: {beginning}"
        for long, short in block.shorter().items():
            assert short != long
            assert any(block.as_run(one) != one for one in commands), f"{page.name}: {long}"
            for name in (long, short):
                assert name in known, f"{page.name}: {name}"
    # None is lost because something stands between it and its block, or is spelt otherwise.
    assert re.findall(r"^<!-- *(?:not|run|interactive)\b.*-->$", text, re.M) == used
    for note in used:
        assert note == "<!-- interactive -->" or NOT_RUN.fullmatch(note) or RUN_WITH.fullmatch(note)


# The pages themselves


def anchors(text: str) -> list[str]:
    """The headings of a page as links name them."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    heads = re.findall(r"^#{1,6} +(.+?)\s*$", outside, re.M)
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads)
    return [re.sub(r"[^\w\- ]", "", head).strip().replace(" ", "-") for head in plain]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_is_whole(page: Path) -> None:
    text = page.read_text()
    heads = anchors(text)
    assert len(heads) == len(set(heads)), "two headings alike"
    assert text.count("\n```") % 2 == 0
    assert len(re.findall(r"^# ", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)) == 1


def test_the_map_names_every_page() -> None:
    linked = set(re.findall(r"\]\((\w+\.md)\)", (DOCS / "index.md").read_text()))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


def test_the_legend_is_the_one_of_the_screen() -> None:
    rows = {
        tuple(cell.strip(" `") for cell in line.split("|")[1:4])
        for line in (DOCS / "panes.md").read_text().splitlines()
        if line.startswith("| `")
    }
    for state in STATES:
        if state.glyph.strip():
            assert (state.glyph, state.ascii, state.letter) in rows, state.label
