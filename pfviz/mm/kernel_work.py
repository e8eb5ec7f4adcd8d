"""What drivers and the kernel's own threads can be told to do: more records of `operations`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfviz.mm.operations import Place


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Swap out up to `pages` pages from `place` on, as kswapd does it to the process `mm`.

    `mm` "" is the thread's own; names of places are looked up there. The result is how many pages
    were freed at once.
    """

    place: Place
    pages: int
    mm: str = ""


@dataclass(frozen=True, slots=True)
class MigratePages:
    """Move up to `pages` pages from `place` on to other frames, as compaction does it to `mm`."""

    place: Place
    pages: int
    mm: str = ""


@dataclass(frozen=True, slots=True)
class MigrateToDevice:
    """Let a driver bring `pages` pages from `place` on into its device's memory."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class NumaScan:
    """Make the entries of `pages` pages from `place` on inaccessible, to see who touches them."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class GetUserPages:
    """A driver takes `pages` pages from `place` on, and keeps them for `hold_ns`.

    `fast` tries it without a lock first; `pin` says that a device will use them (FOLL_PIN).
    """

    place: Place
    pages: int = 1
    write: bool = False
    fast: bool = True
    pin: bool = False
    hold_ns: int = 0


@dataclass(frozen=True, slots=True)
class IrqsOff:
    """A driver keeps interrupts off on this CPU for `ns`."""

    ns: int
