"""One table of keys: complete, without clashes, and every action in it exists."""

import re

import pytest

from pfviz.scenario.errors import ScenarioError
from pfviz.tui import glossary, keys
from pfviz.tui.app import LabApp
from pfviz.tui.key_words import spelled
from pfviz.tui.keymap import laid_over
from pfviz.tui.screens.compare import Compare
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix

SCREENS = {keys.LAB: Lab, keys.COMPARE: Compare, keys.GALLERY: Gallery,
           keys.MATRIX: Matrix}  # fmt: skip

PROMISED = {
    "space", "right", "l", "left", "h", "full_stop", "right_square_bracket", "pagedown",
    "left_square_bracket", "pageup", "right_curly_bracket", "left_curly_bracket", "less_than_sign",
    "greater_than_sign", "g", "home", "G", "end", "colon", "slash", "n", "N", "b", "B", "c", "m",
    "equals_sign", *"123456789", "tab", "z", "y", "s", "e", "C", "S", "T", "r", "R",
    "question_mark", "ctrl+p", "escape", "q",
}  # fmt: skip
"""The keys that the product promises in the lab."""


def test_the_lab_answers_to_every_key_that_was_promised() -> None:
    bound = {name for key in keys.keys_of(keys.LAB) for name in key.keys.split(",")}
    assert not PROMISED - bound


def test_ids_are_unique_and_every_key_belongs_to_a_group() -> None:
    ids = [key.id for key in keys.KEYS]
    assert len(ids) == len(set(ids))
    assert {key.group for key in keys.KEYS} == set(keys.GROUPS)


@pytest.mark.parametrize("screen", SCREENS)
def test_no_key_means_two_things_on_one_screen(screen: str) -> None:
    bound = [name for key in keys.keys_of(screen) for name in key.keys.split(",")]
    assert len(bound) == len(set(bound))


@pytest.mark.parametrize("screen", SCREENS)
def test_every_action_exists(screen: str) -> None:
    for key in keys.keys_of(screen):
        name = "action_" + re.split(r"\W", key.action)[0]
        assert hasattr(SCREENS[screen], name) or hasattr(LabApp, name), key.id


def test_a_binding_that_nobody_knows_is_answered_with_the_nearest() -> None:
    assert laid_over({"play.toggle": ["p"]}).changes() == {"play.toggle": "p"}
    with pytest.raises(ScenarioError, match=r'"play\.togle"; did you mean "play\.toggle"'):
        laid_over({"play.togle": ["p"]})


def test_help_says_something_of_every_pane_and_word() -> None:
    assert [head[0] for head, _ in glossary.READING if head[0].isdigit()] == list("1234567")
    assert all(text.endswith(".") for _, text in (*glossary.READING, *glossary.WORDS))


def test_keys_are_spelled_as_people_read_them() -> None:
    assert spelled("right,l,full_stop") == "→ l ."


def test_gg_stands_with_home_and_not_by_itself() -> None:
    listed = dict(keys.listed("Move"))
    assert listed["Home gg"] == "To the start of the run."
    assert "gg" not in listed
