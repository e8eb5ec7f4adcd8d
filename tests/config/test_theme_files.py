"""Own themes: found by name, checked line by line, warned of where they are hard to read."""

from pathlib import Path

import pytest

from pfviz.config import theme_files
from pfviz.scenario.errors import ScenarioError
from pfviz.views.palettes import DARK, LIGHT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    themes = tmp_path / "pfviz" / "themes"
    themes.mkdir(parents=True)
    return themes


def test_a_theme_is_its_base_with_some_colours_changed(folder: Path) -> None:
    (folder / "mine.toml").write_text('base = "light"\n[colors]\nmmap = "#AA3300"\n')
    mine = theme_files.palette_of("mine")
    assert (mine.name, mine.mmap, mine.ground) == ("mine", "#aa3300", LIGHT.ground)
    assert theme_files.theme_names()[-1] == "mine"
    assert theme_files.palette_of("dark") is DARK
    assert theme_files.palette_of("pfviz-dark") is DARK


def test_an_empty_file_is_the_dark_theme_by_another_name(folder: Path) -> None:
    (folder / "empty.toml").write_text("")
    assert theme_files.palette_of("empty").ground == DARK.ground


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[colors]\nmapp = "#aa3300"\n', ':2: key "mapp" is not known here; did you mean "mmap"?'),
        ('[colors]\nmmap = "orange"\n', ':2: mmap = "orange" is not a colour'),
        ("[colors]\nmmap = 7\n", ":2: mmap = 7 is not a colour"),
        ('base = "drak"\n', ':1: base = "drak" is not known here; did you mean "dark"?'),
        ("base = 3\n", ":1: base"),
        ('bas = "dark"\n', ':1: key "bas" is not known here; did you mean "base"?'),
        ('colors = "red"\n', ":1: colors is a table"),
        ("[colors\n", ":1: not TOML"),
        ('[colors]\nmmap = "#\\u001b[31"\n', "is not a colour"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_word(
    folder: Path, text: str, said: str
) -> None:
    (folder / "mine.toml").write_text(text)
    with pytest.raises(ScenarioError) as error:
        theme_files.palette_of("mine")
    assert f"mine.toml{said}" in str(error.value) or said in str(error.value)
    assert "\x1b" not in str(error.value)
    (broken,) = (one for one in theme_files.listing() if one.name == "mine")
    assert broken.palette is None
    assert said in broken.error


def test_an_unknown_theme_is_answered_with_the_nearest_one(folder: Path) -> None:
    assert theme_files.why_unknown("projector") == ""
    assert 'did you mean "projector"?' in theme_files.why_unknown("projektor")
    with pytest.raises(ScenarioError, match="is not known here"):
        theme_files.palette_of("sunset")


def test_what_can_hardly_be_read_is_a_warning_not_a_mistake(folder: Path) -> None:
    (folder / "grey.toml").write_text('[colors]\ntext = "#333333"\n')
    (grey,) = (one for one in theme_files.listing() if one.name == "grey")
    assert grey.palette is not None
    assert grey.warnings == ("text has a contrast of 1.5 to its ground: 4.5 can be read",)
    ours = [one for one in theme_files.listing() if one.name != "grey"]
    assert all(not one.warnings for one in ours)
