"""What is written from the program itself is what the program would write now: else `make docs`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from pfviz.cli import cli, manual
from pfviz.cli.verbs import VERBS
from pfviz.config.settings import names, variable
from pfviz.tui import key_list, keys

ROOT = Path(__file__).parent.parent.parent
MAN = ROOT / "docs" / "man" / "pfviz.1"


def test_the_manual_page_is_up_to_date() -> None:
    assert MAN.read_text() == manual.page(), "run `make docs`"


def test_the_page_of_keys_is_up_to_date() -> None:
    assert (ROOT / "docs" / "keys.md").read_text() == key_list.page(), "run `make docs`"


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "pfviz"), ("zsh", "_pfviz"), ("fish", "pfviz.fish")]
)
def test_the_completions_are_up_to_date(shell: str, name: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert (ROOT / "completions" / name).read_text() == done.stdout, "run `make docs`"


def test_the_manual_has_every_verb_setting_and_section() -> None:
    text = MAN.read_text()
    for verb in VERBS:
        assert f'.SS "pfviz {verb}' in text
    for name in names():
        assert f".B {variable(name)}\n" in text
    for section in ("FILES", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES"):
        assert f".SH {section}\n" in text


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_page_is_good_roff() -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", str(MAN)], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""


def test_the_page_of_keys_has_every_binding() -> None:
    text = (ROOT / "docs" / "keys.md").read_text()
    for key in keys.KEYS:
        assert f"| `{key.id}` |" in text
