"""What a line of a vector file must hold before it is acted on; errors name the nearest word.

Checks forms only; whether a recording is right is for the replay to find.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final

from pfviz.mm.maple.node import MAX_INDEX
from pfviz.mm.maple.stream import GENERATORS, OPERATIONS_MAX, bad_parameter
from pfviz.mm.maple.vector_dump import are_indices, is_dump

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
GAP_SEARCHES: Final = ("alloc", "ralloc", "area", "rarea")
"""Operations that occur only in allocation trees."""
_SINGLE_STORES = ("store", "pstore", "clear", "pclear", "insert", "erase")
_CHANGES = (*_SINGLE_STORES, "alloc", "ralloc", "destroy", "bulk", "use")
_TOTALS: dict[str, type] = {"h": int, "n": int, "nl": int, "entries": int, "lv": list}
_TOTALS |= {"occ": list, "he": str, "hs": str, "hf": str}
_KEYS: dict[str, dict[str, type]] = {
    "file": {},
    "vec": {"id": str, "alloc": bool, "rcu": bool, "nops": int},
    "gen": {"id": str, "alloc": bool, "rcu": bool, "nops": int, "gen": str, "params": dict},
    "op": {"i": int, "op": list, "r": object},
    "ck": {"i": int, **_TOTALS},
    "end": {"id": str},
}
_TYPE_NAMES = {str: "a string", bool: "true or false", int: "a number", dict: "an object"}
_TYPE_NAMES[list] = "a list"
LISTED_MAX: Final = 200
"""Characters of a list of what was expected instead."""
_DIGEST = re.compile(r"(?:[0-9a-f]{16}){1,4}")


def check_line(line: Line, *, is_first: bool) -> None:
    """Raise VectorError if a line is not of a known kind with the keys that kind needs."""
    kind = line.get("k")
    if is_first or kind == "file":
        _check_header(line, is_first=is_first)
        return
    if not isinstance(kind, str) or kind not in _KEYS:
        raise VectorError(f"unknown kind of line {shown(kind)}{_nearest(kind, _KEYS)}")
    _check_keys(line, _KEYS[kind])
    if kind == "op":
        _check_op(line["op"])
        _check_outcome(line)
    elif kind == "gen":
        _check_generator(line["gen"], line["params"])
        if line["nops"] > OPERATIONS_MAX:
            raise VectorError(f"key 'nops' is {shown(line['nops'])}, more than {OPERATIONS_MAX:,}")


def check_totals(line: Line) -> None:
    """Raise VectorError if a line does not describe the whole tree, as the end of a vector must."""
    _check_keys(line, _TOTALS)


def check_dump(dump: Any) -> None:
    """Raise VectorError if a recorded tree is not in the form of a dump."""
    if not is_dump(dump):
        raise VectorError("key 'tree' is not the dump of a tree")


def shown(value: Any, width: int = 60) -> str:
    """Return a value of the file as an error may quote it: short, and in ASCII."""
    text = ascii(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _check_keys(line: Line, keys: dict[str, type]) -> None:
    for key, expected in keys.items():
        if key not in line:
            raise VectorError(f"key {key!r} is missing{_nearest(key, line, 'here are')}")
        value = line[key]
        if expected is not object and type(value) is not expected:
            raise VectorError(f"key {key!r} is {shown(value)}, not {_TYPE_NAMES[expected]}")
        if expected is int and not 0 <= value <= MAX_INDEX:
            raise VectorError(f"key {key!r} is {shown(value)}, not a count")
        if key in ("he", "hs", "hf"):
            _check_digest(key, value, 64)


def _check_digest(key: str, value: Any, digits: int) -> None:
    if not isinstance(value, str) or len(value) != digits or not _DIGEST.fullmatch(value):
        raise VectorError(f"key {key!r} is {shown(value)}, not a digest of {digits} hex digits")


def _check_header(line: Line, *, is_first: bool) -> None:
    if not is_first:
        raise VectorError("a second line of kind 'file'")
    found = line.get("format")
    if line.get("k") != "file" or found != FORMAT:
        raise VectorError(f"not a file of maple vectors: format is {shown(found)}, not {FORMAT!r}")
    if line.get("version") != VERSION:
        raise VectorError(f"format version {shown(line.get('version'))} is not known; {VERSION} is")
    _check_keys(line, {"vectors": int})


def _check_op(op: list[Any]) -> None:
    word = op[0] if op else None
    if not isinstance(word, str) or word not in OPERANDS:
        raise VectorError(f"unknown operation {shown(word)}{_nearest(word, OPERANDS)}")
    kinds = OPERANDS[word]
    if len(op) - 1 != len(kinds):
        raise VectorError(f"{word!r} takes {len(kinds)} operands, not {len(op) - 1}")
    for kind, operand in zip(kinds, op[1:], strict=True):
        if not _fits(kind, operand):
            raise VectorError(f"wrong operand {shown(operand)} of {word!r}")
    if word == "bulk":
        _check_ascending(op[2])


def _check_outcome(line: Line) -> None:
    """Raise VectorError if what came of an operation is not recorded as its kind must be."""
    word, result = line["op"][0], line["r"]
    keys: dict[str, type] = {"h": int, "n": int, "nl": int} if word in _CHANGES else {}
    if word == "walk":
        key = "st" if "st" in line else "at"
        keys |= {key: str if key == "st" else list}
    elif word in ("next", "prev") and result is None:
        keys |= {"st": str}
    elif (word in _SINGLE_STORES and result == 0) or (word == "erase" and result is not None):
        keys |= {"wt": str, "al": int, "bo": int, "di": int}
    elif word in ("alloc", "ralloc") and isinstance(result, list):
        keys |= {"al": int, "bo": int, "di": int}
    _check_keys(line, keys)
    if word in _CHANGES and "d" not in line:
        raise VectorError(f"key 'd' is missing{_nearest('d', line, 'here are')}")
    if "d" in line:
        _check_digest("d", line["d"], 16)
    if not isinstance(line.get("ev", []), list):
        raise VectorError(f"key 'ev' is {shown(line['ev'])}, not a list")


def _check_ascending(ranges: list[list[int]]) -> None:
    for first, last, _ in ranges:
        if not are_indices([first, last]) or first > last:
            raise VectorError(f"'bulk' has a range from {shown(first)} to {shown(last)}")
    for (_, before, _), (first, _, _) in pairwise(ranges):
        if first <= before:
            raise VectorError(f"the ranges of 'bulk' must ascend: {first} follows {before}")


def _check_generator(name: str, params: dict[str, Any]) -> None:
    if name not in GENERATORS:
        raise VectorError(f"unknown generator {shown(name)}{_nearest(name, GENERATORS)}")
    bad = bad_parameter(name, params)
    if bad is None:
        return
    key, wanted = bad
    if key not in params:
        near = _nearest(key, params, "here are") if params else ""
        raise VectorError(f"generator {name!r} needs a parameter {key!r}{near}")
    raise VectorError(f"parameter {key!r} of generator {name!r} is {shown(params[key])}, {wanted}")


def _fits(kind: str, operand: Any) -> bool:
    if kind == "i":
        return type(operand) is int and 0 <= operand <= MAX_INDEX
    if kind == "v":
        return type(operand) is int and abs(operand) <= MAX_INDEX
    if kind == "l":
        return isinstance(operand, list) and all(_fits("v", x) for x in operand)
    return isinstance(operand, list) and all(_fits("l", x) and len(x) == 3 for x in operand)


def _nearest(word: Any, known: Any, listing: str = "known are") -> str:
    near = get_close_matches(str(word), known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    words = ascii(", ".join(str(word) for word in known))[1:-1]
    return f"; {listing} {words if len(words) <= LISTED_MAX else words[:LISTED_MAX] + '...'}"
