"""Recompiling a function of the tree with one piece of its text replaced: a mistake on purpose."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def swap_source(
    monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], old: str, new: str
) -> None:
    """Recompile a function with one piece of its text replaced, wherever it is imported."""
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"{old!r} must name one place in {function.__name__}"
    module = sys.modules[function.__module__]
    scope: dict[str, Any] = dict(vars(module))
    exec(
        compile(
            "from __future__ import annotations\n" + source.replace(old, new), "mutant", "exec"
        ),
        scope,
    )
    mutant = scope[function.__name__]
    for name, other in list(sys.modules.items()):
        if name.startswith("pfviz.mm.maple"):
            for key, value in list(vars(other).items()):
                if value is function:
                    monkeypatch.setattr(other, key, mutant)
