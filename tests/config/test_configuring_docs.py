"""docs/configuring.md knows every setting, and what it shows can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfviz.config.resolve import resolve
from pfviz.config.settings import NOT_SETTINGS, described, variable
from pfviz.tui.keymap import keymap_of

TEXT = (Path(__file__).parents[2] / "docs" / "configuring.md").read_text()


@pytest.mark.parametrize("name", described())
def test_every_setting_is_in_the_table(name: str) -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |"))
    assert f"| `{variable(name)}` |" in row
    assert row.endswith(f"| {described()[name]} |")


def test_what_is_no_setting_is_named_with_its_variable() -> None:
    assert all(f"`{variable(name)}`" in TEXT for name in NOT_SETTINGS)


def test_the_example_can_be_used(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    path = tmp_path / "config.toml"
    path.write_text(text)
    resolved = resolve(environ={"PFVIZ_CONFIG": str(path)}, folder=Path("/"))
    assert keymap_of(resolved).by_id["play.toggle"].keys == "p"
