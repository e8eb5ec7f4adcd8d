"""Flag over environment over project over user over default, each value with its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfviz.config.resolve import Resolved, resolve
from pfviz.config.settings import names, variable
from pfviz.scenario.errors import ScenarioError


class Places:
    """A home with a configuration, and a project with another."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.user = folder / "config" / "pfviz" / "config.toml"
        self.root = self.home / "project"
        self.deep = self.root / "a" / "b"
        self.project = self.root / "pfviz.toml"
        self.deep.mkdir(parents=True)
        (self.root / ".git").mkdir()
        self.user.parent.mkdir(parents=True)

    def resolve(self, flags: dict[str, object] | None = None, **environ: str) -> Resolved:
        return resolve(flags, environ, self.deep)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places(tmp_path)
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return made


def test_each_layer_wins_over_those_below_it(there: Places) -> None:
    said: list[tuple[object, str]] = []

    def look(flags: dict[str, object] | None = None, **environ: str) -> None:
        found = there.resolve(flags, **environ)
        said.append((found.settings.fps, str(found.origins["fps"])))

    look()
    there.user.write_text("\nfps = 20\n")
    look()
    there.project.write_text("# ours\n\nfps = 30\n")
    look()
    look(PFVIZ_FPS="40")
    look({"fps": 50}, PFVIZ_FPS="40")
    assert said == [
        (15, "default"), (20, f"{there.user}:2"), (30, f"{there.project}:3"), (40, "PFVIZ_FPS"),
        (50, "--fps"),
    ]  # fmt: skip


def test_a_flag_that_was_not_given_says_nothing(there: Places) -> None:
    there.user.write_text("ascii = true\n")
    assert there.resolve({"ascii": None}).settings.ascii
    assert not there.resolve({"ascii": False}).settings.ascii


def test_every_setting_has_a_variable_and_an_origin(there: Places) -> None:
    said = {"theme": "light", "stage_theme": "projector", "keymap": "vim", "fps": "7",
            "keys": "play.toggle=p"}  # fmt: skip
    values = {name: said.get(name, "no") for name in names()}
    found = there.resolve(**{variable(name): value for name, value in values.items()})
    assert (found.settings.theme, found.settings.fps) == ("light", 7)
    assert found.settings.captions is False
    assert found.rebindings() == {"play.toggle": ("p",)}
    assert {str(found.origins[name]) for name in names() if name != "keys"} == {
        variable(name) for name in names() if name != "keys"
    }


def test_single_keys_of_both_files_count_and_the_project_wins(there: Places) -> None:
    there.user.write_text('[keys]\nplay.toggle = "p"\n"step.back" = ["b"]\n')
    there.project.write_text('keys.play.toggle = "t"\n')
    found = there.resolve()
    assert found.rebindings() == {"play.toggle": ("t",), "step.back": ("b",)}
    assert str(found.origins["keys.play.toggle"]) == f"{there.project}:1"
    assert str(found.origins["keys.step.back"]) == f"{there.user}:3"


def test_a_table_of_pyproject_is_a_project_file(there: Places) -> None:
    text = '[project]\nname = "x"\n\n[tool.pfviz]\nfps = 9\n[tool.pfviz.keys]\nquit = "Q"\n'
    (there.root / "pyproject.toml").write_text(text)
    found = there.resolve()
    assert str(found.origins["fps"]).endswith("pyproject.toml:5")
    assert str(found.origins["keys.quit"]).endswith("pyproject.toml:7")
    (there.root / "pyproject.toml").write_text(text.replace("fps", "fpss"))
    with pytest.raises(ScenarioError, match=r'pyproject.toml:5: key "fpss".*mean "fps"'):
        there.resolve()
    (there.root / "pyproject.toml").write_text("= not TOML")
    assert there.resolve().files == ()


def test_the_nearest_project_file_counts_up_to_the_repository_and_not_beyond(
    there: Places,
) -> None:
    (there.home / "pfviz.toml").write_text("fps = 1\n")
    assert there.resolve().settings.fps == 15
    there.project.write_text("fps = 2\n")
    (there.deep.parent / "pfviz.toml").write_text("fps = 3\n")
    assert there.resolve().settings.fps == 3


def test_a_home_that_is_a_repository_makes_no_project_of_all_that_is_in_it(there: Places) -> None:
    (there.root / ".git").rmdir()
    (there.home / ".git").mkdir()
    (there.home / "pfviz.toml").write_text("fps = 1\n")
    assert there.resolve().settings.fps == 15
    assert resolve({}, {}, there.home).settings.fps == 15
    there.project.write_text("fps = 2\n")
    assert there.resolve().settings.fps == 2


def test_outside_of_a_repository_only_the_folder_itself_counts(there: Places) -> None:
    (there.root / ".git").rmdir()
    there.project.write_text("fps = 2\n")
    assert there.resolve().settings.fps == 15
    assert resolve({}, {}, there.root).settings.fps == 2


def test_another_file_can_stand_in_the_place_of_one_s_own(there: Places, tmp_path: Path) -> None:
    there.user.write_text("fps = 20\n")
    other = tmp_path / "talk.toml"
    other.write_text('theme = "light"\n')
    found = there.resolve(PFVIZ_CONFIG=str(other))
    assert (found.settings.theme, found.settings.fps) == ("light", 15)
    with pytest.raises(ScenarioError, match=r"PFVIZ_CONFIG: .*no such file"):
        there.resolve(PFVIZ_CONFIG=str(tmp_path / "none.toml"))


@pytest.mark.parametrize("text", ["", "   \n\n", "# nothing\n"])
def test_a_file_that_says_nothing_is_no_mistake(there: Places, text: str) -> None:
    there.user.write_text(text)
    assert there.resolve().settings.fps == 15


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\nthme = "light"', r':2: key "thme" is not known here; did you mean "theme"\?'),
        ("fps = 0", r":1: fps: expected"),
        ('fps = "fast"', r":1: fps should be a whole number, not text in quotes"),
        ("a = = 1", r":1: not TOML"),
        ('theme = "drak"', r':1: theme "?.drak.*'),
        ('kernel = "6.1"', r":1: key \"kernel\" is a scenario's.*say --kernel or PFVIZ_KERNEL"),
        ("[keys]\nquit = 1", r":2: quit should be"),
        (f"x = {'[' * 3000}{']' * 3000}", r"nested too deeply"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(there: Places, text: str, said: str) -> None:
    there.user.write_text(text)
    with pytest.raises(ScenarioError, match=said) as caught:
        there.resolve()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PFVIZ_FPS", "many", '"many" is not a whole number'),
        ("PFVIZ_FPS", "999", "PFVIZ_FPS: fps: expected"),
        ("PFVIZ_ASCII", "perhaps", "neither 1"),
        ("PFVIZ_THEME", "drak", "PFVIZ_THEME: theme"),
        ("PFVIZ_KEYS", "p", "is not ID=KEY"),
        ("PFVIZ_FPS", "9" * 5000, "is not a whole number"),
    ],
)
def test_what_is_wrong_in_a_variable_names_it(
    there: Places, name: str, value: str, said: str
) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        there.resolve(**{name: value})
    assert str(caught.value).startswith(name)


def test_a_home_that_nobody_has_is_a_file_that_is_not_there(there: Places) -> None:
    with pytest.raises(ScenarioError, match=r"PFVIZ_CONFIG: .*no such file"):
        there.resolve(PFVIZ_CONFIG="~nobody-of-that-name/config.toml")
