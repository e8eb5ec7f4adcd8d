"""What a line of a vector file must hold before it is acted on; errors name the nearest word.

Checks forms only; whether a recording is right is for the replay to find.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pfviz.mm.maple.node import MAX_INDEX
from pfviz.mm.maple.stream import GENERATORS

FORMAT = "maple-oracle"
VERSION = 1
Line = dict[str, Any]


class VectorError(ValueError):
    """A vector file cannot be replayed; the message names the file, the line and the key."""


# Operands by word: i an index, v an entry id, l a list of ids, r a list of ranges with ids.
OPERANDS = {
    "store": "iiv",
    "pstore": "iiv",
    "clear": "ii",
    "pclear": "ii",
    "insert": "iiv",
    "erase": "i",
    "alloc": "iiiv",
    "ralloc": "iiiv",
    "destroy": "",
    "bulk": "ir",
    "use": "i",
    "dup": "i",
    "fork": "ivl",
    "load": "i",
    "walk": "i",
    "find": "ii",
    "next": "ii",
    "prev": "ii",
    "iter": "ii",
    "riter": "ii",
    "area": "iii",
    "rarea": "iii",
}
_KEYS: dict[str, dict[str, type]] = {
    "file": {},
    "vec": {"id": str, "alloc": bool, "rcu": bool},
    "gen": {"id": str, "alloc": bool, "rcu": bool, "gen": str, "params": dict},
    "op": {"i": int, "op": list},
    "ck": {"i": int},
    "end": {},
}
_TYPE_NAMES = {str: "a string", bool: "true or false", int: "a number", dict: "an object"}
_TYPE_NAMES[list] = "a list"


def check_line(line: Line, *, is_first: bool) -> None:
    """Raise VectorError if a line is not of a known kind with the keys that kind needs."""
    kind = line.get("k")
    if is_first or kind == "file":
        _check_header(line, is_first=is_first)
        return
    if not isinstance(kind, str) or kind not in _KEYS:
        raise VectorError(f"unknown kind of line {kind!r}{_nearest(kind, _KEYS)}")
    for key, expected in _KEYS[kind].items():
        if key not in line:
            raise VectorError(f"key {key!r} is missing{_nearest(key, line)}")
        if type(line[key]) is not expected:
            raise VectorError(f"key {key!r} is {line[key]!r}, not {_TYPE_NAMES[expected]}")
    if kind == "op":
        _check_op(line["op"])
    elif kind == "gen":
        _check_generator(line["gen"], line["params"])


def check_dump(dump: Any) -> None:
    """Raise VectorError if a recorded tree is not in the form of a dump."""
    well_formed = isinstance(dump, list) and len(dump) == 2 and type(dump[0]) is int
    if not well_formed or (dump[0] and not _is_node(dump[1])):
        raise VectorError("key 'tree' is not the dump of a tree")


def _check_header(line: Line, *, is_first: bool) -> None:
    if not is_first:
        raise VectorError("a second line of kind 'file'")
    found = line.get("format")
    if line.get("k") != "file" or found != FORMAT:
        raise VectorError(f"not a file of maple vectors: format is {found!r}, not {FORMAT!r}")
    if line.get("version") != VERSION:
        raise VectorError(f"format version {line.get('version')!r} is not known; {VERSION} is")


def _check_op(op: list[Any]) -> None:
    word = op[0] if op else None
    if not isinstance(word, str) or word not in OPERANDS:
        raise VectorError(f"unknown operation {word!r}{_nearest(word, OPERANDS)}")
    kinds = OPERANDS[word]
    if len(op) - 1 != len(kinds):
        raise VectorError(f"{word!r} takes {len(kinds)} operands, not {len(op) - 1}")
    for kind, operand in zip(kinds, op[1:], strict=True):
        if not _fits(kind, operand):
            raise VectorError(f"wrong operand {operand!r} of {word!r}")


def _check_generator(name: str, params: dict[str, Any]) -> None:
    if name not in GENERATORS:
        raise VectorError(f"unknown generator {name!r}{_nearest(name, GENERATORS)}")
    for key, value in params.items():
        if type(value) is not int or value < 0:
            raise VectorError(f"parameter {key!r} of the generator is {value!r}, not a number")


def _fits(kind: str, operand: Any) -> bool:
    if kind == "i":
        return type(operand) is int and 0 <= operand <= MAX_INDEX
    if kind == "v":
        return type(operand) is int
    if kind == "l":
        return isinstance(operand, list) and all(type(x) is int for x in operand)
    return isinstance(operand, list) and all(_fits("l", x) and len(x) == 3 for x in operand)


def _is_node(node: Any) -> bool:
    if not isinstance(node, list) or len(node) < 5 or node[0] not in ("L", "R", "A"):
        return False
    if not all(type(x) is int for x in node[1:3]) or not _fits("l", node[3]):
        return False
    used = len(node[3])
    if not used or not isinstance(node[4], list) or len(node[4]) != used:
        return False
    if node[0] == "A":
        if len(node) != 7 or not _fits("l", node[5]) or len(node[5]) != used:
            return False
        if type(node[6]) is not int:
            return False
    return node[0] == "L" or all(_is_node(child) for child in node[4])


def _nearest(word: Any, known: Any) -> str:
    near = get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
