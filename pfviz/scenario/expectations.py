"""`[[expect]]`: claims about a run, in a small expression language over its JSON.

    that = "latency_ns.p99 > 10 * latency_ns.p50"
    that = "compare('mmap_lock').throughput_per_s < 0.7 * throughput_per_s"

The grammar is Python's, of which only names, numbers, texts, attributes, indices, comparisons,
and/or/not, arithmetic, a few functions and one-loop comprehensions are let in. Nothing is executed:
the tree is walked here, and names are keys of the run.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.scenario import moments
from pfviz.scenario.errors import hint

KEYS: Final = (
    "scenario", "kernel", "mode", "machine", "seed", "threads", "threads_all", "now_ns",
    "last_event_ns", "steps", "events", "digest", "faults", "throughput_per_s", "latency_ns",
    "locks", "operations", "vmstat", "cache_lines", "broken_rules", "unfinished",
)  # fmt: skip
"""The keys of a run that an expression may begin with."""

COUNTS: Final = ("by_kind", "completed_under", "fallbacks", "vmstat")
"""Tables of counts: what never happened has no entry and counts 0."""

FUNCTIONS: Final = (
    "abs", "all", "any", "compare", "first_ns", "happened", "len", "max", "min", "sum",
)  # fmt: skip

_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_PLAIN: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs, "all": all, "any": any, "len": len, "max": max, "min": min, "sum": sum,
}  # fmt: skip


class ExpectationError(ValueError):
    """An expression that cannot be asked of a run; the message says which part and why."""


@dataclass(slots=True)
class Asked:
    """A run to ask, and how to get at others: what an expression can see."""

    run: Mapping[str, Any]
    compare: Callable[..., Mapping[str, Any]]
    """Another run of the same scenario: a mode, and kernel=, without=, threads=, seed=, ..."""
    happened: Callable[[str], int]
    """How often a moment came (see `moments`)."""
    first_ns: Callable[[str], int]
    """When a moment first came; -1 when it never did."""
    loop: dict[str, Any] = field(default_factory=dict)


def error_in(text: str) -> str | None:
    """What is wrong with an expression, whatever run it is asked of; None when nothing is."""
    try:
        _check(parsed(text), frozenset())
    except ExpectationError as error:
        return str(error)
    except RecursionError:
        return "the expression is nested too deeply"
    return None


def holds(text: str, asked: Asked) -> bool:
    """Whether the claim is true of the run; ExpectationError when the run cannot tell."""
    tree = parsed(text)
    _check(tree, frozenset())
    try:
        return bool(evaluate(tree, asked))
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, ExpectationError):
            raise
        raise ExpectationError(f"`{text}` cannot be worked out: {error}") from None


def parsed(text: str) -> ast.expr:
    """The tree of an expression, not yet checked; ExpectationError when it is none."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpectationError(f"`{text.strip()}` is not an expression") from None


def _check(node: ast.expr, loop: frozenset[str]) -> None:
    """Refuse every node that `_value` does not know, and every unknown name."""
    match node:
        case ast.Constant(value=int() | float() | str() | bool()):
            return
        case ast.Name(id=name):
            if name not in KEYS and name not in loop:
                raise ExpectationError(
                    f'"{name}" is not a key of a run{hint(name, (*KEYS, *FUNCTIONS))}'
                )
        case ast.Attribute(value=value):
            _check(value, loop)
        case ast.Subscript(value=value, slice=index):
            _check(value, loop)
            _check(index, loop)
        case ast.BoolOp(values=values):
            for value in values:
                _check(value, loop)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _check(operand, loop)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, loop)
            _check(right, loop)
        case ast.Compare(left=left, ops=ops, comparators=others):
            if any(type(op) not in _COMPARE for op in ops):
                raise ExpectationError(f"`{ast.unparse(node)}` compares in an unknown way")
            for value in (left, *others):
                _check(value, loop)
        case ast.GeneratorExp():
            _check_loop(node, loop)
        case ast.Call(func=ast.Name(id=name)):
            _check_call(node, name, loop)
        case _:
            raise ExpectationError(f"`{ast.unparse(node)}` is not allowed in an expectation")


def _check_loop(node: ast.GeneratorExp, loop: frozenset[str]) -> None:
    match node.generators:
        case [ast.comprehension(target=ast.Name(id=name), iter=many, ifs=conditions, is_async=0)]:
            _check(many, loop)
            for part in (node.elt, *conditions):
                _check(part, loop | {name})
        case _:
            raise ExpectationError(f"`{ast.unparse(node)}` may only loop over one name")


def _check_call(node: ast.Call, name: str, loop: frozenset[str]) -> None:
    if name not in FUNCTIONS:
        raise ExpectationError(f'"{name}" is not a function here{hint(name, FUNCTIONS)}')
    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
        _check(argument, loop)
    if any(keyword.arg is None for keyword in node.keywords):
        raise ExpectationError(f"`{ast.unparse(node)}` is not allowed in an expectation")
    if name in ("happened", "first_ns"):
        match node.args:
            case [ast.Constant(value=str(text))]:
                wrong = moments.error_in(text)
                if wrong:
                    raise ExpectationError(wrong)
            case _:
                raise ExpectationError(f"{name} takes one text in quotes: the moment")
    elif node.keywords and name != "compare":
        raise ExpectationError(f"{name} takes no {node.keywords[0].arg} =")


def evaluate(node: ast.expr, asked: Asked) -> Any:
    """What a checked tree comes to; ExpectationError where the run has no such key or row."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return asked.loop[name] if name in asked.loop else asked.run[name]
        case ast.Attribute(value=value, attr=name):
            return _member(evaluate(value, asked), name, value)
        case ast.Subscript(value=value, slice=index):
            return _member(evaluate(value, asked), evaluate(index, asked), value)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(evaluate(value, asked) for value in values)
        case ast.BoolOp(values=values):
            return any(evaluate(value, asked) for value in values)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](evaluate(operand, asked))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](evaluate(left, asked), evaluate(right, asked))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [evaluate(one, asked) for one in (left, *others)]
            return all(
                _COMPARE[type(op)](*pair)
                for op, pair in zip(ops, itertools.pairwise(values), strict=True)
            )
        case ast.GeneratorExp(elt=element, generators=[one]):
            return _looped(element, one, asked)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            values = [evaluate(one, asked) for one in arguments]
            if name in ("compare", "happened", "first_ns"):
                named = {str(one.arg): evaluate(one.value, asked) for one in keywords}
                return getattr(asked, name)(*values, **named)
            return _PLAIN[name](*values)
    raise AssertionError(ast.dump(node))


def _looped(element: ast.expr, one: ast.comprehension, asked: Asked) -> list[Any]:
    assert isinstance(one.target, ast.Name)
    found = []
    many: Iterable[Any] = evaluate(one.iter, asked)
    for item in many:
        inner = Asked(
            asked.run, asked.compare, asked.happened, asked.first_ns,
            {**asked.loop, one.target.id: item},
        )  # fmt: skip
        if all(evaluate(condition, inner) for condition in one.ifs):
            found.append(evaluate(element, inner))
    return found


def _member(value: Any, key: Any, node: ast.expr) -> Any:
    """`value.key`: a key of a table, the row of a list with that name, or a count of 0."""
    if isinstance(value, list | tuple):
        if isinstance(key, int):
            if -len(value) <= key < len(value):
                return value[key]
        else:
            for row in value:
                if isinstance(row, Mapping) and row.get("name") == key:
                    return row
            rows = [row for row in value if isinstance(row, Mapping)]
            names = [str(row["name"]) for row in rows if "name" in row]
            raise ExpectationError(
                f'{ast.unparse(node)} has no row with the name "{key}"{hint(str(key), names)}'
            )
    elif isinstance(value, Mapping):
        if key in value:
            return value[key]
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if name in COUNTS:
            return 0
        keys = [str(one) for one in value]
        raise ExpectationError(f'{ast.unparse(node)} has no "{key}"{hint(str(key), keys)}')
    raise ExpectationError(f'{ast.unparse(node)} has no "{key}"')
