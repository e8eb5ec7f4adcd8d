"""`pfviz matrix` and `pfviz play matrix`: without a terminal nothing opens, the text is printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

import pfviz.cli.matrix
import pfviz.tui.start
from pfviz.cli.verbs import cli

if TYPE_CHECKING:
    import pytest


def printed(*words: str) -> str:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_a_terminal_the_screen_is_text() -> None:
    text = printed("matrix", "--tui", "--kernel", "6.7", "--kind", "file_read_miss")
    assert "V(io)>M" in text
    assert "maybe_unlock_mmap_for_io" in text


def test_the_matrix_can_be_played_like_a_scenario() -> None:
    cells = json.loads(printed("play", "matrix", "--kernel", "6.7", "--json"))["cells"]
    assert cells["file_read_miss"] == {"6.7": "V(io)>M"}


def test_on_a_terminal_it_begins_at_the_cell_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: dict[str, Any] = {}
    monkeypatch.setattr(pfviz.cli.matrix, "has_screen", lambda: True)
    monkeypatch.setattr(pfviz.tui.start, "run_app", lambda **options: shown.update(options) or 0)
    printed("matrix", "--tui", "--kernel", "6.7", "--kind", "gup", "--policy", "merge=off")
    assert shown["matrix"] == ("gup", "6.7", (("merge", False),))
    printed("play", "matrix", "--kernel", "7.2", "--theme", "light")
    assert shown["matrix"] == ("", "7.2", ())
    assert shown["theme"] == "light"


def test_a_kind_is_taken_by_its_title_too() -> None:
    by_id = printed("matrix", "--kind", "stack_growth", "--kernel", "6.7")
    assert printed("matrix", "--kind", "Below the stack", "--kernel", "6.7") == by_id


def test_an_unknown_kind_is_answered_with_an_id_or_with_who_knows_them() -> None:
    for word, said in (
        ("fil_read_miss", 'did you mean "file_read_miss"?'),
        ("below the stac", 'did you mean "stack_growth"?'),
        ("wombat", "it is one of those that pfviz matrix --plain lists"),
    ):
        result = CliRunner().invoke(cli, ["matrix", "--kind", word])
        assert result.exit_code == 2
        assert result.stderr.rstrip().endswith(said)
