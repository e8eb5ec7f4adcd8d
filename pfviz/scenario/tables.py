"""What the tables of a scenario file are made of: the strict table, values of many keys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pfviz.scenario.times import PATTERN

Time = Annotated[
    str, Meta(pattern=PATTERN, description='a number with its unit: "20us", "1.5ms", "3s"')
]
Pages = Annotated[int, Meta(ge=1, le=1 << 35, description="a number of 4 KiB pages")]
Perms = Annotated[str, Meta(pattern="^[r-][w-][x-]$", description='such as "rw-"')]
PLACE = (
    'where: the name of a VMA, or of a slot that an earlier mmap of this thread filled, with "+3" '
    'or "-3" for pages further on or back'
)
At = Annotated[str, Meta(min_length=1, description=PLACE)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table with known keys only."""


class Operation(Table, frozen=True, kw_only=True, tag_field="do"):
    """What every operation may say."""

    apart: Annotated[
        int,
        Meta(ge=0, description="how many pages further on each next thread of the group works"),
    ] = 0
