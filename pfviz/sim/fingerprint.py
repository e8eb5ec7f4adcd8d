"""The identity of a world: every field of every object, derived and never listed.

A list of fields would go stale and merge worlds that differ. An unknown type raises: it is a
question, not a guess.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from types import FunctionType
from typing import Any

from .event import EventLog

_PLAIN = (int, str, bytes, bool, float, type(None), Enum)


def fingerprint(root: Any) -> str:
    """A hash of all that is reachable from `root`, logs and caches left out.

    Objects are numbered in the order in which they are first met, so neither memory addresses nor
    the hash seed matter; two references to one object differ from two equal objects.
    """
    hasher = hashlib.blake2b(digest_size=16)
    met: dict[int, int] = {}
    agenda: list[Any] = [root]
    while agenda:
        value = agenda.pop()
        if isinstance(value, _PLAIN):
            hasher.update(f"{type(value).__name__}:{value!r};".encode())
        elif isinstance(value, type | FunctionType):
            hasher.update(f"code:{value.__module__}.{value.__qualname__};".encode())
        elif isinstance(value, EventLog) or getattr(type(value), "is_cache", False):
            continue
        elif id(value) in met:
            hasher.update(f"seen:{met[id(value)]};".encode())
        else:
            if not isinstance(value, tuple | frozenset):  # values, not objects with an identity
                met[id(value)] = len(met)
            parts = _parts(value)
            hasher.update(f"{type(value).__qualname__}/{len(parts)};".encode())
            agenda.extend(reversed(parts))
    return hasher.hexdigest()


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list | tuple | deque):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytearray | array):
        return [bytes(value)]
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    names = _field_names(type(value))
    fields = dict(getattr(value, "__dict__", {}))
    for name in names:
        if hasattr(value, name):
            fields[name] = getattr(value, name)
    if not names and not hasattr(value, "__dict__") and not is_dataclass(value):
        raise TypeError(f"a world holds a {type(value).__qualname__}, whose identity is unknown")
    return [part for name in sorted(fields) for part in (name, fields[name])]


def _field_names(kind: type) -> list[str]:
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names.extend([slots] if isinstance(slots, str) else slots)
    return [name for name in names if not name.startswith("__")]
