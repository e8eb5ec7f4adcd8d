"""`pfviz config`: paths, values with origins, checks, a sample that changes nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli
from pfviz.cli.screen import screen_words
from pfviz.config.settings import Settings, names


def pfviz(*words: str) -> Result:
    return CliRunner().invoke(cli, words, catch_exceptions=False)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A person's configuration folder, not there yet, and a project without one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "config" / "pfviz"


def test_path_prints_one_line_for_a_shell(home: Path) -> None:
    assert pfviz("config", "path").stdout == f"{home}/config.toml\n"
    assert pfviz("config", "path", "keymaps").stdout == f"{home}/keymaps\n"
    assert pfviz("config", "path", "project").exit_code == 2
    Path("pfviz.toml").write_text("fps = 5\n")
    assert pfviz("config", "path", "project").stdout == f"{Path.cwd()}/pfviz.toml\n"
    assert json.loads(pfviz("config", "path", "all", "--json").stdout)["config"].endswith(".toml")


def test_the_sample_changes_nothing_and_is_never_written_over(home: Path) -> None:
    done = pfviz("config", "init")
    assert done.exit_code == 0
    written = (home / "config.toml").read_text()
    assert written.startswith("#:schema ")
    assert tomllib.loads(written) == {}
    assert all(f"# {name} =" in written or f"# [{name}]" in written for name in names())
    (home / "config.toml").write_text("fps = 5\n")
    again = pfviz("config", "init")
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    assert (home / "config.toml").read_text() == "fps = 5\n"


def test_the_sample_can_be_used_with_its_comments_taken_away(tmp_path: Path) -> None:
    lines = pfviz("config", "init", "-o", "-").stdout.splitlines()
    settings = [line.removeprefix("# ") for line in lines if " = " in line or line == "# [keys]"]
    assert len(settings) > len(names())
    path = tmp_path / "all.toml"
    path.write_text("\n".join(settings))
    assert pfviz("config", "validate", str(path)).stdout == f"{path}: valid\n"


def test_show_says_where_each_value_is_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text('fps = 5\n[keys]\nquit = "Q"\n')
    monkeypatch.setenv("PFVIZ_THEME", "light")
    shown = json.loads(pfviz("config", "show", "--ascii", "--json").stdout)
    said = {row["name"]: (row["value"], row["from"]) for row in shown["settings"]}
    assert said["fps"] == (5, f"{home}/config.toml:1")
    assert said["theme"] == ("light", "PFVIZ_THEME")
    assert said["ascii"] == (True, "--ascii")
    assert said["captions"] == (True, "default")
    assert said["keys.quit"] == (["Q"], f"{home}/config.toml:3")
    assert f"{home}/config.toml:1" in pfviz("config", "show").stdout


def test_validate_looks_at_keymap_and_keys_too(home: Path) -> None:
    assert pfviz("config", "validate").exit_code == 0
    home.mkdir(parents=True)
    (home / "config.toml").write_text('[keys]\nquit = "z"\n')
    done = pfviz("config", "validate")
    assert done.exit_code == 2
    assert f"{home}/config.toml:2: quit: " in done.stdout


@pytest.mark.parametrize("words", ["config show", "config validate", "config keys"])
def test_a_broken_file_is_one_line_and_exit_code_2(home: Path, words: str) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text('\nthme = "light"\n')
    done = pfviz(*words.split())
    assert done.exit_code == 2
    said = done.stdout + done.stderr
    assert said.count("\n") == 1
    assert f'{home}/config.toml:2: key "thme" is not known here; did you mean "theme"?' in said


@pytest.mark.parametrize(
    "words",
    ["config path", "config init -o -", "run hello-fault", "scenario list",
     "play hello-fault", "completion bash"],
)  # fmt: skip
def test_verbs_that_show_no_screen_do_not_mind_a_broken_file(home: Path, words: str) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text("= broken")
    assert pfviz(*words.split()).exit_code == 0


def test_the_schema_describes_every_setting() -> None:
    schema = json.loads(pfviz("config", "schema").stdout)
    properties = schema["$defs"]["Settings"]["properties"]
    assert set(properties) == set(Settings.__struct_fields__)
    assert all(one["description"] for one in properties.values())


def test_keys_are_listed_by_id_and_as_a_file_to_start_from(home: Path) -> None:
    assert "play.toggle" in pfviz("config", "keys").stdout
    rows = json.loads(pfviz("config", "keys", "--keymap", "vim", "--json").stdout)
    assert next(row["keys"] for row in rows if row["id"] == "mark.set") == ["m"]
    (home / "keymaps").mkdir(parents=True)
    pfviz("config", "keys", "--toml", "-o", str(home / "keymaps" / "mine.toml"))
    assert pfviz("config", "keys", "--keymap", "mine").exit_code == 0


def test_a_theme_that_is_said_is_for_the_stage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFVIZ_STAGE_THEME", "projector")
    assert screen_words(stage=True)["theme"] == "projector"
    assert screen_words()["settings"].stage_theme == "projector"
    said = screen_words("light", stage=True)
    assert (said["theme"], said["settings"].stage_theme) == ("light", "")
