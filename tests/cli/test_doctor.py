"""What the doctor finds, and what it says to do."""

import json
from pathlib import Path

import pytest

from pfviz.cli.doctor_terminal import colours, marks, terminal
from tests.cli.test_verbs import pfviz


def advice(rows: list[object], what: str) -> str:
    return next(row.advice for row in rows if row.what == what)  # type: ignore[attr-defined]


def test_tmux_and_ssh_and_a_console_get_advice() -> None:
    inside = {"TERM": "screen", "TMUX": "/nowhere", "SSH_TTY": "x"}
    assert "tmux-256color" in advice(terminal(inside), "tmux")
    assert "--fps 5" in advice(terminal(inside), "ssh")
    assert "RGB" in advice(terminal({"TERM": "tmux-256color", "TMUX": "/nowhere"}), "tmux")
    fine = {"TERM": "tmux-256color", "TMUX": "/nowhere", "COLORTERM": "truecolor"}
    assert advice(terminal(fine), "tmux") == ""
    assert "screen-256color" in advice(terminal({"TERM": "screen", "STY": "1"}), "screen")
    assert "16 colours" in advice(terminal({"TERM": "linux"}), "console")
    assert "cannot move" in advice(terminal({"TERM": "dumb"}), "TERM")


def test_few_colours_and_ascii_are_explained() -> None:
    assert "COLORTERM" in advice(colours({"TERM": "xterm-256color"}), "colours")
    assert advice(colours({"TERM": "xterm", "COLORTERM": "truecolor"}), "colours") == ""
    (said,) = (row.value for row in colours({"NO_COLOR": "1"}) if row.what == "colours")
    assert "NO_COLOR" in said
    assert "C.UTF-8" in advice(marks({"LC_ALL": "C"}), "set")
    (sample,) = (row.value for row in marks({"LC_ALL": "C"}) if row.what == "states")
    assert sample.isascii()


def test_every_row_says_what_to_do_where_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    themes = tmp_path / "pfviz" / "themes"
    themes.mkdir(parents=True)
    (themes / "grey.toml").write_text('[colors]\ntext = "#333333"\n')
    done = pfviz("doctor", "--json")
    rows = json.loads(done.stdout)
    assert done.exit_code == 0
    assert any(one["what"] == "theme grey" and "contrast" in one["value"] for one in rows)
    assert {one["section"] for one in rows} >= {"terminal", "colours", "marks", "libraries"}
    assert all(one["advice"] for one in rows if one["state"] != "fine")

    (tmp_path / "pfviz" / "config.toml").write_text('theme = "drak"\n')
    (themes / "grey.toml").write_text('[colors]\ntext = "grey"\n')
    done = pfviz("doctor")
    assert done.exit_code == 1
    assert "config.toml:1" in done.stdout
    assert "grey.toml:2" in done.stdout
    assert done.stdout.count("BAD") == 2
    validated = pfviz("config", "validate", str(themes / "grey.toml"))
    assert validated.exit_code == 2
    assert "grey.toml:2" in validated.stdout
