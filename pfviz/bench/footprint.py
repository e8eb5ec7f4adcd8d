"""The memory that a structure keeps alive, object by object."""

from __future__ import annotations

import gc
import sys
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any, Final

SHARED: Final = (type, ModuleType, FunctionType, BuiltinMethodType, MethodType)
"""Code is not part of a structure's memory, and leads to everything else."""


def bytes_held(root: Any) -> int:
    """Bytes of all objects reachable from `root`, each counted once.

    Strings and what is shared by the whole process are left out: they are the entries' own.
    """
    met = {id(root)}
    agenda = [root]
    total = 0
    while agenda:
        value = agenda.pop()
        total += sys.getsizeof(value)
        for referent in gc.get_referents(value):
            if id(referent) in met or isinstance(referent, SHARED) or type(referent) is str:
                continue
            met.add(id(referent))
            agenda.append(referent)
    return total
