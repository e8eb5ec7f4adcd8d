"""Whatever a file may describe runs to its end: no crash, nobody stuck, no rule broken."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.scenario.build import build
from pfviz.scenario.load import parse
from pfviz.sim.task import DONE

NAMES = ("heap", "stack", "a", "b", "m")

WORLD = """\
schema_version = 1
title = "any"
kernel = "{kernel}"
mode = "{mode}"
machine = "{machine}"
[policy]
merge = {merge}
io_wait = "{io_wait}"
restart_lock = "{restart_lock}"
page_table_free = "{page_table_free}"
lockless_scope = "{lockless_scope}"
lockless_attempts = {attempts}
[[file]]
name = "f"
pages = 40
cached = {cached}
[[vma]]
name = "heap"
kind = "heap"
pages = 8
resident = {resident}
[[vma]]
name = "stack"
kind = "stack"
pages = 4
[[vma]]
name = "a"
pages = 12
gap = {gap}
resident = {resident}
[[vma]]
name = "b"
pages = 12
gap = {gap}
perms = "{perms}"
[[vma]]
name = "m"
pages = 20
kind = "file"
file = "f"
perms = "{perms}"
[[thread]]
name = "other"
process = "other"
workload = "compute"
"""


def operation(dice: random.Random, names: list[str]) -> str:
    """One operation, sensible or not."""
    offset = dice.randint(-2, 12)
    at = f"{dice.choice(names)}{offset:+d}"
    pages = dice.randint(1, 10)
    where = f'at = "{at}"\npages = {pages}\n'
    perms = f'perms = "{dice.choice(["rw-", "r--", "rwx", "---"])}"\n'
    choices = {
        "read": where,
        "write": where + f"stride = {dice.randint(1, 3)}\n",
        "execute": where,
        "mmap": f'pages = {pages}\nslot = "s"\n{perms}'
        + f"populate = {dice.choice(['true', 'false'])}\n",
        "munmap": where,
        "mprotect": where + perms,
        "brk": f"pages = {dice.randint(-12, 12)}\n",
        "madvise": where + f'advice = "{dice.choice(["dontneed", "free", "random"])}"\n',
        "fork": where + f'child_time = "{dice.randint(0, 20)}us"\n',
        "proc": f'file = "{dice.choice(["maps", "smaps", "smaps_rollup"])}"\nprocess = "app"\n',
        "compute": f'time = "{dice.randint(1, 3000)}ns"\n',
        "sleep": f'time = "{dice.randint(1, 30_000)}ns"\n',
    }
    name = dice.choice([*choices, "write", "mmap", "munmap", "fixed"])
    if name == "fixed":
        text = f'do = "mmap"\n{where}slot = "s"\nfixed = true\n{perms}'
        text += dice.choice(["", 'file = "f"\noffset = 3\n'])
    else:
        text = f'do = "{name}"\n{choices[name]}'
    if 'slot = "s"' in text and "s" not in names:
        names.append("s")
    return f"[[thread.op]]\n{text}"


def any_world(seed: int) -> str:
    """A file of two to four threads that do anything anywhere."""
    dice = random.Random(seed)
    kernel = dice.choice(["6.1", "6.12", "6.18"])
    text = WORLD.format(
        kernel=kernel,
        mode=dice.choice(["mmap_lock", "lockless", *(["per-vma"] * 2 if kernel != "6.1" else [])]),
        machine=dice.choice(["single", "duo", "demo", "2x2"]),
        merge=dice.choice(["true", "false"]),
        io_wait=dice.choice(["restart", "hold"]),
        restart_lock=dice.choice(["mmap", "vma"]),
        page_table_free=dice.choice(["kernel", "rcu", "ipi"]),
        lockless_scope=dice.choice(["mm_seq", "vma_seq"]),
        attempts=dice.randint(1, 3),
        cached=dice.choice([0, 10, 40]),
        resident=dice.randint(0, 8),
        gap=dice.choice([0, 16]),
        perms=dice.choice(["rw-p", "r--p", "rw-s"]),
    )
    for number in range(dice.randint(2, 4)):
        text += f'[[thread]]\nname = "t{number}"\nrepeat = {dice.randint(1, 3)}\n'
        text += f'start = "{dice.randint(0, 3000)}ns"\nprio = {dice.choice([120, 139, 100, 50])}\n'
        names = list(NAMES)
        text += "".join(operation(dice, names) for _ in range(dice.randint(1, 9)))
    return text


@pytest.mark.parametrize("seed", range(60))
def test_any_world_runs_to_its_end_and_keeps_the_rules(seed: int) -> None:
    engine = build(parse(any_world(seed), f"world {seed}"))
    steps = rules.run(engine, steps_max=100_000, every_steps=16)
    assert steps < 100_000
    assert [task.name for task in engine.tasks if task.state != DONE] == []
    assert engine.world.broken == []


DRIVERS = ("plain", "special", "opted_in", "maps_ahead", "drops_lock", "drops_fault_lock", "pfnmap",
           "dax", "dax_opted_in")  # fmt: skip


@pytest.mark.parametrize("seed", range(100, 127))
def test_the_same_with_a_device_in_place_of_the_file(seed: int) -> None:
    plain = 'name = "f"\npages = 40'
    text = any_world(seed)
    assert plain in text
    text = text.replace(plain, f'driver = "{DRIVERS[seed % len(DRIVERS)]}"\n{plain}')
    engine = build(parse(text, f"world {seed}"))
    steps = rules.run(engine, steps_max=100_000, every_steps=16)
    assert steps < 100_000
    assert [task.name for task in engine.tasks if task.state != DONE] == []
    assert engine.world.broken == []
