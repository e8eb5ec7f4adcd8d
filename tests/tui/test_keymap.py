"""Keymaps: nothing is lost, nothing means two things, and the screen says the keys that count."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from textual import keys as textual_keys

from pfviz.config.keymap_files import keymap_named, keymap_names
from pfviz.config.resolve import resolve
from pfviz.scenario.errors import ScenarioError
from pfviz.tui import key_list, keys
from pfviz.tui.app import LabApp
from pfviz.tui.key_words import character, first_typed, key_of, spelled_key
from pfviz.tui.keymap import Keymap, keymap_of, laid_over
from pfviz.tui.screens.help import Help
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.prompt import Prompt
from tests.tui.runs import race
from tests.tui.screen_text import text_of

SHIPPED = ("default", "vim")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A person without a configuration; the folder where theirs would be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "pfviz"


def named(name: str) -> Keymap:
    return keymap_of(resolve({"keymap": name}, {}, Path("/")))


def test_two_keymaps_ship() -> None:
    assert keymap_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_action_has_a_key_that_is_no_function_key_alone(name: str) -> None:
    for key in named(name).table:
        plain = [one for one in key.keys.split(",") if not re.fullmatch(r"f\d+", one)]
        assert any(plain), key.id


@pytest.mark.parametrize("name", SHIPPED)
def test_the_way_out_of_the_gallery_is_no_letter_of_its_filter(name: str) -> None:
    keymap = named(name)
    for one in ("quit", "help", "palette", "matrix.open", "play.enter", "back"):
        assert first_typed(keymap.by_id[one].keys, while_typing=True), one


def test_ids_are_no_beginnings_of_one_another() -> None:
    ids = {key.id for key in keys.KEYS}
    assert not {one for one in ids for other in ids if other.startswith(f"{one}.")} - {"compare"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"play.toggle": ["m"]}, r'"m" would mean both play\.toggle and mode\.next in the lab; '
                                 r"give mode\.next another key"),
        ({"list.up": ["escape"]}, r"both list\.up and list\.leave in a list"),
        ({"quit": ["3"]}, r"both quit and pane\.3 in the lab"),
        ({"play.togle": ["p"]}, r'called "play\.togle"; did you mean "play\.toggle"'),
        ({"play.toggle": ["PgDwn"]}, r'play\.toggle: "PgDwn" is no key; did you mean "pgdn"'),
        ({"play.toggle": ["ctlr+x"]}, r'"ctlr" in "ctlr\+x" is no key to hold.*"ctrl"'),
        ({"play.toggle": ["ctrl+c"]}, r"ctrl\+c interrupts pfviz"),
        ({"pane.focus": ["p"]}, r'called "pane\.focus"'),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_meant_so_are_refused(words: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        laid_over(words)


def test_a_clash_in_a_file_is_told_with_its_line(nobody: Path) -> None:
    nobody.mkdir()
    path = nobody / "config.toml"
    path.write_text('keymap = "vim"\n[keys]\nplay.toggle = "w"\n')
    with pytest.raises(ScenarioError, match=rf"{path}:3: .*play\.toggle and fault\.next"):
        keymap_of(resolve({}, {}, Path("/")))
    path.unlink()
    (nobody / "keymaps").mkdir()
    own = nobody / "keymaps" / "mine.toml"
    own.write_text('[keys]\nplay.toggle = "p"\nquit = "p"\n')
    with pytest.raises(ScenarioError, match=rf"{own}:[23]: .*play\.toggle"):
        named("mine")
    with pytest.raises(ScenarioError, match=r'keymap: keymap "mien".*did you mean "mine"'):
        named("mien")


def test_keys_can_be_exchanged_and_taken_away() -> None:
    swapped = laid_over({"mode.next": ["M"], "mark.set": ["m"]})
    assert swapped.changes() == {"mode.next": "M", "mark.set": "m"}
    assert laid_over({"stage.open": []}).changes() == {"stage.open": "unbound"}
    assert laid_over({"pane.3": ["#"]}).changes() == {"pane.3": "number_sign"}


def test_a_keymap_file_of_all_keys_is_the_keymap_itself(nobody: Path) -> None:
    (nobody / "keymaps").mkdir(parents=True)
    for name in SHIPPED:
        was = named(name)
        (nobody / "keymaps" / "copy.toml").write_text(key_list.toml(was))
        assert named("copy").changes() == was.changes()


@pytest.mark.parametrize("char", [chr(code) for code in range(33, 127)])
def test_characters_are_named_as_the_terminal_library_names_them(char: str) -> None:
    name = textual_keys._character_to_key(char)
    assert key_of(char) == name
    assert character(name) == char
    assert spelled_key(name) == char
    assert unicodedata.name(char)


@pytest.mark.parametrize(
    ("word", "key"),
    [("PgDn", "pagedown"), ("Esc", "escape"), ("→", "right"), ("ctrl+D", "ctrl+d"), ("F5", "f5"),
     ("shift+a", "A"), ("ctrl+]", "ctrl+right_square_bracket"), ("+", "plus"),
     ("ctrl++", "ctrl+plus"), ("shift+left", "shift+left"), ("question_mark", "question_mark")],
)  # fmt: skip
def test_keys_are_read_as_people_write_them(word: str, key: str) -> None:
    assert key_of(word) == key


def test_a_rebound_key_is_said_wherever_a_key_is_said() -> None:
    keymap = laid_over({"step.forward": ["p"], "cue.next": ["PgDn"], "quit": ["Q"]})
    hints = {key.id: key.hint for key in keymap.of(keys.LAB) if key.hint}
    assert hints["step.forward"] == "←/p"
    assert hints["cue.next"] == "[/PgDn"
    assert hints["quit"] == "Q"
    assert {key.id: key.hint for key in named("vim").of(keys.LAB)}["cue.next"] == "[ ]"
    assert keymap.fill("{quit} quits, {go.g} goes to {nothing}") == "Q quits, gg goes to {nothing}"
    assert ("p", "One step forward: one indivisible thing that one thread does.") in keymap.listed(
        "Play"
    )
    assert keymap.hints([("quit", "out")], while_typing=True) == [("ctrl+q", "out", "quit")]


async def test_vim_s_keys_do_what_they_say() -> None:
    app = LabApp(run=race(), play=False, keymap=named("vim"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lab = app.screen
        assert isinstance(lab, Lab)
        mode = lab.player.run.recipe.mode if lab.player.run.recipe else ""
        await pilot.press("w")
        await pilot.pause(0.3)
        assert lab.player.index > 0
        await pilot.press("m")
        assert len(lab.player.marks.bookmarks) == 1
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.mode == mode
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, Prompt)
        await pilot.press("escape", "question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        assert "keymap vim" in text_of(app)


async def test_keys_of_everywhere_and_of_lists_can_be_rebound() -> None:
    keymap = laid_over({"help": ["H"], "prompt.leave": ["ctrl+g"], "quit": ["Q"]})
    app = LabApp(run=race(), play=False, keymap=keymap)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("colon")
        await pilot.pause()
        assert "ctrl+g: leave" in text_of(app)
        await pilot.press("ctrl+g")
        await pilot.pause()
        await pilot.press("question_mark")
        assert isinstance(app.screen, Lab)
        await pilot.press("H")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        await pilot.press("escape", "colon", "q", "enter")
        await pilot.pause()
    assert app.return_code == 0


@pytest.mark.parametrize("name", ["a" * 5_000, "../keymaps/vim", "", "\0"])
def test_a_keymap_that_no_file_can_be_is_one_that_is_not_known(name: str) -> None:
    with pytest.raises(ScenarioError, match="is not known here"):
        keymap_named(name)
