"""What every test has: folders of its own instead of those of whoever runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

HOMES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _nobody_elses_folders(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the configuration, scenarios or memories of a person."""
    for name in HOMES:
        monkeypatch.setenv(name, str(_homes / name.lower()))
