"""Folders follow the XDG variables, and have an answer where these say nothing useful."""

from pathlib import Path

import pytest

from pfviz import places


def test_each_folder_follows_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config", "data", "state", "cache"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", f"/somewhere/{name}")
        assert getattr(places, f"{name}_home")() == Path(f"/somewhere/{name}/pfviz")


def test_a_relative_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    assert places.state_home() == tmp_path / ".local/state/pfviz"


def test_on_macos_the_folder_of_the_terminal_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    native = tmp_path / "Library/Application Support/pfviz"
    assert places.config_home() == tmp_path / ".config/pfviz"
    native.mkdir(parents=True)
    assert places.config_home() == native
    (tmp_path / ".config/pfviz").mkdir(parents=True)
    assert places.config_home() == tmp_path / ".config/pfviz"


def test_nobody_s_folder_is_not_made_below_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert places.cache_home() == Path("/.cache/pfviz")
