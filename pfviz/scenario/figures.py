"""The figures behind a claim that compares runs: what it asks of this run, and of the other one.

Reads expressions of `[[expect]]`; how a figure is said in words it does not know.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from pfviz.scenario.expectations import Asked, ExpectationError, evaluate, parsed

_GATHERED = ("len", "sum")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of another run, and the same of this one."""

    path: tuple[str, ...]
    """The keys that lead to it, `len` before them where it counts: ("now_ns",)."""
    changes: tuple[tuple[str, Any], ...]
    """What the other run has other than this one: (("mode", "mmap_lock"),)."""
    there: float
    here: float | None
    """None where this run has no such row, or where the claim compares other runs alone."""


def compared(text: str, asked: Asked) -> list[Figure]:
    """The numbers that a claim takes from other runs, each once, in the order of the claim.

    What is the same here is left out where the claim does not ask it of this run: it tells nothing.
    """
    tree = parsed(text)
    found: list[Figure] = []
    for node in _parts(tree):
        figure = _figure(node, asked)
        if figure is not None and figure not in found:
            found.append(figure)
    own = {_path_of(node) for node in ast.walk(tree) if isinstance(node, ast.expr)
           and _call_of(node) is None}  # fmt: skip
    runs = Counter(figure.path for figure in found)
    return [
        replace(figure, here=None) if runs[figure.path] > 1 and figure.path not in own else figure
        for figure in found
        if figure.path in own or figure.here != figure.there
    ]


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    """The largest parts that lead from `compare(...)` to one value."""
    if isinstance(node, ast.Attribute | ast.Subscript) and _call_of(node) is not None:
        yield node
        return
    is_gathered = isinstance(node, ast.Call) and getattr(node.func, "id", "") in _GATHERED
    if is_gathered and isinstance(node, ast.Call) and len(node.args) == 1:
        if _call_of(node.args[0]) is not None:
            yield node
        return
    if isinstance(node, ast.GeneratorExp):
        return  # What it asks is no number of a run but of each row.
    for child in ast.iter_child_nodes(node):
        yield from _parts(child)


def _call_of(node: ast.AST) -> ast.Call | None:
    """The `compare(...)` at the root of a path."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "compare":
        return node
    return None


def _path_of(node: ast.expr) -> tuple[str, ...] | None:
    """The keys from the run to the value; None where one of them is no plain key."""
    keys: list[str] = []
    first: tuple[str, ...] = ()
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _GATHERED and node.args:
        first, node = (ast.unparse(node.func),), node.args[0]
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            keys.append(node.attr)
        elif isinstance(node.slice, ast.Constant):
            keys.append(str(node.slice.value))
        else:
            return None
        node = node.value
    if isinstance(node, ast.Name):
        keys.append(node.id)
    return (*first, *reversed(keys))


class _OfThisRun(ast.NodeTransformer):
    """`compare(...).key` becomes `key`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Call) and _call_of(node) is node.value:
            return ast.Name(id=node.attr, ctx=ast.Load())
        self.generic_visit(node)
        return node


def _figure(node: ast.expr, asked: Asked) -> Figure | None:
    path = _path_of(node)
    call = _call_of(node.args[0] if isinstance(node, ast.Call) else node)
    if path is None or call is None:
        return None
    there = _number(node, asked)
    if there is None:
        return None
    changes = [("mode", evaluate(one, asked)) for one in call.args]
    changes += [(str(one.arg), evaluate(one.value, asked)) for one in call.keywords]
    here = _number(_OfThisRun().visit(deepcopy(node)), asked)
    return Figure(path, tuple(changes), there, here)


def _number(node: ast.expr, asked: Asked) -> float | None:
    try:
        value = evaluate(node, asked)
    except (ExpectationError, KeyError, TypeError, ValueError, ArithmeticError):
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None


def plain(figure: Figure) -> dict[str, Any]:
    """A figure as JSON has it."""
    return {"path": list(figure.path), "other_run": dict(figure.changes),
            "there": figure.there, "here": figure.here}  # fmt: skip
