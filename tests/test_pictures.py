"""The pictures in the README are what `make picture` paints now."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from pfviz.cli import main

ROOT = Path(__file__).parent.parent
RECIPE = re.findall(r"^\t\$\(BIN\)/pfviz (export svg .*)$", (ROOT / "Makefile").read_text(), re.M)


def test_the_readme_shows_what_is_painted() -> None:
    shown = re.findall(r"!\[[^]]+\]\((docs/\S+\.svg)\)", (ROOT / "README.md").read_text())
    assert [shlex.split(line)[-1] for line in RECIPE] == shown


@pytest.mark.parametrize("line", RECIPE)
def test_a_committed_picture_is_the_one_that_its_recipe_gives(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    *words, name = shlex.split(line)
    fresh = tmp_path / "fresh.svg"
    done = CliRunner().invoke(main, [*words, str(fresh)])
    assert done.exit_code == 0, done.output
    assert fresh.read_bytes() == (ROOT / name).read_bytes(), "run make picture"
