"""The switches of `[policy]` one by one: what each can be, what it means, what is set in a run.

A file may set `io_wait` for all kinds of waiting, or by a table; here each kind is a switch of its
own. What a switch does is known by `pfviz.mm` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pfviz.mm.policy import Policy as MmPolicy
from pfviz.scenario.errors import hint
from pfviz.scenario.schema import IoWait, Policy

Changes = Iterable[tuple[str, Any]]
"""(name, value) as `Overrides.policy` has them."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch; `field` is the one of `pfviz.mm.policy.Policy` that it sets."""

    name: str
    field: str
    values: dict[Any, Any]
    """What it can be -> what the model calls that; empty for a number."""
    meaning: str
    holds_up: str = ""
    """Whom the second value spares or holds up, in words; "" when it is about something else."""


_ON_OFF: Final = {True: True, False: False}
_WAIT: Final = {"restart": "drop", "hold": "hold"}

SWITCHES: Final = (
    Switch("merge", "merge", _ON_OFF, "neighbouring VMAs that are alike become one",
           "faults in one VMA wait for those who change the other"),
    Switch("io_wait_file", "io_wait", _WAIT,
           "what a fault does while a file's page is read: drop its lock and start again, or hold",
           "whoever changes the VMA waits for the disk"),
    Switch("io_wait_swap", "io_wait_swap", _WAIT,
           "the same while a page comes back from swap",
           "whoever changes the VMA waits for the swap device"),
    Switch("io_wait_userfaultfd", "io_wait_userfaultfd", _WAIT,
           "the same while a userfaultfd monitor answers",
           "whoever changes the VMA waits for the monitor, even the monitor itself"),
    Switch("restart_lock", "restart_lock", {"mmap": "mmap_lock", "vma": "vma_lock"},
           "which lock a fault takes when it starts again after I/O",
           "a fault that starts again is held up by writers elsewhere in the address space"),
    Switch("uffd_notify", "uffd_notify", {"drop_first": "drop_first", "hold": "hold"},
           "whether a fault drops its lock before the userfaultfd monitor is told",
           "a monitor that touches or changes the same VMA waits for the fault it should answer"),
    Switch("page_table_free", "page_table_free", {one: one for one in ("kernel", "ipi", "rcu")},
           "what freed page tables wait for: as the kernel has it, every CPU's answer, or RCU",
           "an unmap waits for CPUs with interrupts off"),
    Switch("driver_opt_in", "driver_opt_in", {False: False, True: True},
           "every driver says that its fault handler can do without mmap_lock"),
    Switch("map_pages_ahead", "driver_map_pages", {False: False, True: True},
           "every driver has a map_pages, which maps what its device has ready"),
    Switch("thp", "thp", {"never": "never", "madvise": "madvise", "always": "always"},
           "where anonymous memory gets huge pages of 2 MiB"),
    Switch("fragmented", "fragmented", {False: False, True: True},
           "no huge page can be had, whatever is asked for"),
    Switch("lockless_scope", "lockless_scope", {"mm_seq": "mm_seq", "vma_seq": "vma_seq"},
           "what a lockless fault compares: the whole mm's sequence or the VMA's"),
    Switch("lockless_snapshot", "lockless_snapshot", {"copy": "copy", "rcu_ref": "rcu_ref"},
           "how a lockless fault keeps the VMA: a copy, or a reference under RCU"),
    Switch("lockless_fallback", "lockless_fallback",
           {"vma_lock": "vma_lock", "mmap_lock": "mmap_lock"},
           "where a lockless fault that was disturbed goes next"),
    Switch("lockless_attempts", "lockless_attempts_max", {}, "how often it tries without a lock"),
    Switch("fault_around", "fault_around_pages", {}, "pages around a file fault that it maps, too"),
    Switch("downgrade", "downgrade", _ON_OFF,
           "munmap keeps mmap_lock for reading while it frees pages"),
    Switch("tree_in_place", "tree_in_place", {False: False, True: True},
           "maple nodes are changed under their readers: what RCU mode prevents"),
)  # fmt: skip
"""In the order in which they are offered; the first value of each is the kernel's own."""

BY_NAME: Final = {switch.name: switch for switch in SWITCHES}
IO_WAIT: Final = "io_wait"
"""Sets all three kinds of waiting that no switch of their own sets."""
NAMES: Final = (IO_WAIT, *BY_NAME)


def said(policy: Policy, changes: Changes = ()) -> dict[str, Any]:
    """Every switch by name as it stands: what the file says, then the changes, `io_wait` first."""
    values = {name: getattr(policy, name) for name in BY_NAME if not name.startswith("io_wait_")}
    waits = policy.io_wait
    for kind in ("file", "swap", "userfaultfd"):
        own = getattr(policy, f"io_wait_{kind}")
        general = getattr(waits, kind) if isinstance(waits, IoWait) else waits
        values[f"io_wait_{kind}"] = general if own is None else own
    changed = dict(changes)
    if IO_WAIT in changed:
        general = changed.pop(IO_WAIT)
        values.update({name: general for name in values if name.startswith("io_wait_")})
    values.update(changed)
    return {name: values[name] for name in BY_NAME}


def changed(policy: Policy, changes: Changes) -> tuple[tuple[str, Any], ...]:
    """The switches that the changes turn away from what the file says, with their new values.

    All kinds of waiting turned alike are one: `io_wait`.
    """
    own, now = said(policy), said(policy, changes)
    turned = {name: value for name, value in now.items() if value != own[name]}
    waits = [name for name in own if name.startswith(f"{IO_WAIT}_")]
    if all(name in turned for name in waits) and len({turned[name] for name in waits}) == 1:
        general = turned[waits[0]]
        turned = {name: value for name, value in turned.items() if name not in waits}
        turned = {IO_WAIT: general} | turned
    return tuple(turned.items())


def mm_policy(policy: Policy, changes: Changes = ()) -> MmPolicy:
    """The model's policy for a file's; ValueError when a change is of no switch or to no value."""
    known = list(changes)
    for name, value in known:
        checked(name, value)
    fields = {}
    for name, value in said(policy, known).items():
        switch = BY_NAME[name]
        fields[switch.field] = switch.values[value] if switch.values else value
    return MmPolicy(**fields)


def checked(name: str, value: Any) -> Any:
    """The value if the switch can have it; ValueError that names the nearest otherwise."""
    canonical = named(name)
    switch = BY_NAME.get(canonical)
    values = _WAIT if switch is None else switch.values
    if values:
        # True == 1 in a dictionary, but nobody writes 1 for true.
        if not any(value == one and type(value) is type(one) for one in values):
            words = tuple(word(one) for one in values)
            raise ValueError(f'{name} cannot be "{word(value)}"{hint(word(value), words)}')
    elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f'{name} cannot be "{word(value)}": it is a number from 1 on')
    return value


def parse(name: str, text: str) -> tuple[str, Any]:
    """A switch and its value as typed: `io_wait.swap`, `merge=false`; ValueError as above."""
    canonical = named(name)
    switch = BY_NAME.get(canonical)
    value: Any = text
    if switch is not None and not switch.values and text.isdigit():
        value = int(text)
    elif switch is not None and True in switch.values:
        value = {"true": True, "on": True, "false": False, "off": False}.get(text.lower(), text)
    return canonical, checked(name, value)


def named(name: str) -> str:
    """The switch that is meant; `io_wait.swap` is `io_wait_swap`. ValueError when there is none."""
    canonical = name.replace("io_wait.", "io_wait_")
    if canonical not in NAMES:
        raise ValueError(f'policy "{name}" is not known here{hint(name, NAMES)}')
    return canonical


def values_of(name: str) -> tuple[Any, ...]:
    """What a switch can be, the kernel's own first; () for a number. ValueError for no switch."""
    switch = BY_NAME.get(named(name))
    return tuple(_WAIT if switch is None else switch.values)


def word(value: Any) -> str:
    """A value as a file writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
