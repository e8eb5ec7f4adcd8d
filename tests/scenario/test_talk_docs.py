"""docs/talks.md knows every key of a talk file, and its example is a talk that comes true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfviz.report.talk_check import check_talk
from pfviz.scenario import talk_schema
from pfviz.scenario.talk_load import parse

TEXT = (Path(__file__).parents[2] / "docs" / "talks.md").read_text()
TABLES = ("TalkTable", "SceneTable", "StopTable", "QuestionTable", "MatrixTable")
KEYS = sorted(
    {key for table in TABLES for key in talk_schema.json_schema()["$defs"][table]["properties"]}
)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_a_talk_is_explained(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{re.escape(key)}\b[^`\n]*`", TEXT), key


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", TEXT, re.S))
def test_the_example_is_a_talk_whose_stops_all_come(text: str) -> None:
    verdict = check_talk(parse(text, "docs/example.toml"))
    assert [problem for scene in verdict.scenes for problem in scene.problems] == []
