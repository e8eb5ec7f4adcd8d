"""docs/scenarios.md knows every key, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import inspect

from pfviz.report.run import Runs
from pfviz.scenario.load import bundled, parse
from pfviz.scenario.schema import Scenario
from pfviz.scenario.template import TEMPLATE

TEXT = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()


def keys() -> list[str]:
    found: set[str] = set()
    pending: list[object] = [inspect.type_info(Scenario)]
    while pending:
        kind = pending.pop()
        if isinstance(kind, inspect.Metadata):
            pending.append(kind.type)
        elif isinstance(kind, inspect.UnionType):
            pending.extend(kind.types)
        elif isinstance(kind, inspect.VarTupleType):
            pending.append(kind.item_type)
        elif isinstance(kind, inspect.StructType):
            if kind.tag:
                found.add(str(kind.tag))
            for field in kind.fields:
                found.add(field.encode_name)
                pending.append(field.type)
    return sorted(found)


@pytest.mark.parametrize("key", keys())
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{re.escape(key)}\b[^`\n]*`", TEXT), key


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", TEXT, re.S))
def test_the_examples_hold(text: str) -> None:
    assert Runs(parse(text, "docs")).finish().is_fine


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.stem)
def test_every_scenario_that_ships_is_listed(path: Path) -> None:
    assert f"| `{path.stem}` |" in TEXT


def test_what_new_writes_holds() -> None:
    finished = Runs(parse(TEMPLATE, "new")).finish()
    assert finished.is_fine
    assert finished.object["expect"]
