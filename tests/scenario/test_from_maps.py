"""A real address space as a scenario."""

from __future__ import annotations

from time import process_time

import pytest

from pfviz.scenario.build import build
from pfviz.scenario.from_maps import parse_mix, scenario_from_maps, tables
from pfviz.scenario.load import parse
from pfviz.scenario.write import to_toml
from pfviz.trace.maps import MapsVma

RECORDS = (
    MapsVma(0x555555554000, 0x555555556000, "r-xp", 0x1000, "08:01", 7, "/usr/bin/a b"),
    MapsVma(0x555555600000, 0x555555700000, "rw-p", 0, "00:00", 0, "[heap]"),
    MapsVma(0x7FFFF7000000, 0x7FFFF7100000, "rw-p", 0, "00:00", 0, ""),
    MapsVma(0x7FFFF7200000, 0x7FFFF7201000, "rw-p", 0, "00:00", 0, ""),
    MapsVma(0x7FFFF7300000, 0x7FFFF7302000, "r--p", 0, "08:01", 7, "/usr/bin/a b"),
    MapsVma(0x7FFFFFFDE000, 0x7FFFFFFFF000, "rw-p", 0, "00:00", 0, "[stack]"),
    MapsVma(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "--xp", 0, "00:00", 0, "[vsyscall]"),
)


def test_vmas_keep_address_permissions_and_kind() -> None:
    files, vmas = tables(RECORDS)
    assert [vma.name for vma in vmas] == [
        "a b r-x", "heap", "anon", "anon #2", "a b r--", "stack",
    ]  # fmt: skip
    assert [vma.kind for vma in vmas] == ["file", "heap", "anon", "anon", "file", "stack"]
    assert [(file.name, file.pages) for file in files] == [("/usr/bin/a b", 3)]
    assert vmas[0].offset == 1


def test_it_is_written_read_and_run() -> None:
    made = scenario_from_maps(RECORDS, "x", "x", threads=2, monitor=True)
    again = parse(to_toml(made, "one\ntwo"), "x.toml")
    assert again == made
    engine = build(again)
    engine.run()
    assert len(engine.log) > 100


def test_a_large_address_space_is_written_and_read_in_a_moment() -> None:
    records = [
        MapsVma(start, start + 4096, "rw-p" if start & 4096 else "r--p", 0, "00:00", 0, "")
        for start in range(1 << 32, (1 << 32) + 20_000 * 4096, 4096)
    ]
    began_s = process_time()
    made = scenario_from_maps(records, "x", "x")
    assert parse(to_toml(made, ""), "x.toml") == made
    assert process_time() - began_s < 8  # A second and a half; it was minutes.


def test_the_mix_is_what_the_user_chose() -> None:
    made = scenario_from_maps(RECORDS, "x", "x", mix={"file-read": 1}, writer=False)
    assert {op.at.split("+")[0] for op in made.thread[0].op} <= {"a b r-x", "a b r--"}  # type: ignore[union-attr]


def test_a_mix_that_no_vma_allows_is_refused() -> None:
    with pytest.raises(ValueError, match="no VMA allows"):
        scenario_from_maps(RECORDS[:1], "x", "x", mix={"stack-write": 1})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anon-wrte=3", 'did you mean "anon-write"'),
        ("anon-write", "should be anon-write=SHARE"),
        ("anon-write=0", "a mix of nothing"),
    ],
)
def test_a_bad_mix_is_answered_with_a_way_out(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mix(text)
    assert said in str(caught.value)


def test_devices_are_served_by_drivers_and_memory_below_dev_is_not() -> None:
    names = ("/dev/dri/card0", "/dev/shm/x", "/dev/zero (deleted)", "/lib/a.so")
    records = [
        MapsVma(0x10_0000 * n, 0x10_0000 * n + 0x1000, "rw-s", 0, "08:01", n, name)
        for n, name in enumerate(names, 1)
    ]
    files, _ = tables(records)
    assert [file.driver for file in files] == [True, False, False, False]
