"""Completion: each shell loads its script and is given words; a word is there at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PFVIZ = "import sys; sys.argv[0] = 'pfviz'; from pfviz.cli import main; main()"
HEAVY = {"numpy", "textual", "rich", "pfviz.report.source", "pfviz.scenario.checks"}


def completed(line: str, *, shows: str = "words") -> list[str]:
    """The words that a shell is given for a line; the last one is being typed."""
    words = line.split(" ")
    code = PFVIZ
    if shows == "modules":
        code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {PFVIZ}"
    environ = {"_PFVIZ_COMPLETE": "bash_complete", "COMP_WORDS": line,
               "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environ}, check=True,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if shows == "modules":
        return done.stdout.splitlines()[-1].split()
    return [one.partition(",")[2] for one in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("pfviz pl", "play"),
        ("pfviz play smaps-m", "smaps-monitor"),
        ("pfviz play tal", "talk"),
        ("pfviz run hello-fault --kernel 6.1", "6.12"),
        ("pfviz play hello-fault --theme li", "light"),
        ("pfviz play hello-fault --keymap v", "vim"),
        ("pfviz export sv", "svg"),
        ("pfviz config sh", "show"),
        ("pfviz config path key", "keymaps"),
        ("pfviz matrix --kind file_r", "file_read_miss"),
        ("pfviz run hello-fault --policy mer", "merge="),
        ("pfviz completion fi", "fish"),
    ],
)
def test_words_are_completed(line: str, word: str) -> None:
    assert word in completed(line)


@pytest.mark.parametrize(
    "line", ["pfviz ", "pfviz play sm", "pfviz run x --kernel 6", "pfviz check h"]
)
def test_completing_loads_nothing_that_is_slow(line: str) -> None:
    assert not HEAVY & set(completed(line, shows="modules"))


@pytest.fixture
def shell_path(tmp_path: Path) -> str:
    """A PATH on which `pfviz` is this one."""
    program = tmp_path / "pfviz"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n{PFVIZ}\n"
    )
    program.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


SCRIPTS = {
    "bash": """
        eval "$(pfviz completion bash)"
        complete -p pfviz
        COMP_WORDS=(pfviz play smaps-m) COMP_CWORD=2 COMPREPLY=()
        _pfviz_completion pfviz
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -u -D
        eval "$(pfviz completion zsh)"
        print -r -- ${_comps[pfviz]}
        words=(pfviz play smaps-m) CURRENT=3
        compadd() { print -r -- "$@" }
        _describe() { print -rl -- $completions_with_descriptions }
        _pfviz_completion
    """,
    "fish": """
        pfviz completion fish | source
        complete -C 'pfviz play smaps-m'
        complete -C 'pfviz play x --fp'
    """,
}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_loads_and_gives_it_words(
    shell: str, shell_path: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *flags, "-c", SCRIPTS[shell]], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": shell_path, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)},
    )  # fmt: skip
    assert "smaps-monitor" in done.stdout, done.stderr
    if shell == "fish":
        assert "Pictures a second, at most." in done.stdout
