"""Reading /proc/PID/maps: the kernel's text, our copies of it, and what is neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pfviz.trace.capture_file import CaptureError
from pfviz.trace.maps import MapsVma, read_maps

TRACES = Path(__file__).parents[1] / "data" / "traces"

TEXT = """\
55d90e51d000-55d90e51f000 r--p 00002000 fe:00 2328806                    /opt/my programs/pf load
55d90e51f000-55d90e522000 rw-s 00000000 00:01 1029                       /dev/zero (deleted)
55d90f000000-55d90f021000 rw-p 00000000 00:00 0                          [heap]
7f5e24dbb000-7f5e24dbf000 ---p 00000000 00:00 0{blank}
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
7ffc00022000-7ffc00026000 r--p 00000000 00:00 0                          [vvar]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
""".replace("{blank}", " ")  # The kernel leaves a blank where a name would follow.


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_every_kind_of_line_becomes_a_record(tmp_path: Path) -> None:
    vmas = read_maps(_file(tmp_path / "maps", TEXT)).vmas
    assert vmas[0] == MapsVma(
        0x55D90E51D000, 0x55D90E51F000, "r--p", 0x2000, "fe:00", 2328806, "/opt/my programs/pf load"
    )
    assert [vma.name for vma in vmas[1:]] == [
        "/dev/zero (deleted)",
        "[heap]",
        "",
        "[stack]",
        "[vvar]",
        "[vsyscall]",
    ]
    assert vmas[1].is_deleted
    assert [vma.is_file for vma in vmas] == [True, True, False, False, False, False, False]
    assert [vma.is_in_mm for vma in vmas] == [True] * 6 + [False]


def test_the_first_line_of_a_copy_says_whose_it_is() -> None:
    found = read_maps(TRACES / "private-t1" / "maps-start.txt")
    assert (found.pid, found.comm) == (20343, "pfload")
    assert found.copied_ns == (1641426236000, 1641426420000)
    assert found.vmas[-1].name == "[vsyscall]"
    for copy in sorted(TRACES.glob("*/maps-start.txt")):
        assert len(read_maps(copy).vmas) > 10


def test_a_live_process_is_read_by_its_pid() -> None:
    found = read_maps(str(os.getpid()))
    assert found.pid == os.getpid()
    assert found.comm
    assert any(vma.name == "[stack]" for vma in found.vmas)
    assert len(read_maps("self").vmas) > 10


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\n", 1, "no mapping in it"),
        ("hello\n", 1, "not a line of /proc/PID/maps: 'hello'"),
        (TEXT + "7f00-zz00 r--p 0 00:00 0\n", 8, "not a line"),
        ("2000-1000 r--p 00000000 00:00 0\n", 1, "turned round"),
        ("1000-1000 r--p 00000000 00:00 0\n", 1, "empty"),
        ("1000-2001 r--p 00000000 00:00 0\n", 1, "2001 is not a multiple of a page"),
        ("1000-2000 r-yp 00000000 00:00 0\n", 1, "expected `start-end rwxp"),
        ("1000-3000 r--p 00000000 00:00 0\n2000-4000 r--p 00000000 00:00 0\n", 2, "begins before"),
        ("1000-2000 r--p 00000000 00:00 0 /a\n\x1b[31mjunk\n", 2, "not a line"),
    ],
)
def test_bad_text_is_answered_with_file_line_and_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = _file(tmp_path / "maps", text)
    with pytest.raises(CaptureError) as caught:
        read_maps(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_process_that_does_not_exist_is_said_to_be_missing() -> None:
    with pytest.raises(CaptureError, match="there is no process 99999999"):
        read_maps("99999999")


def test_names_lose_their_escape_sequences(tmp_path: Path) -> None:
    path = _file(tmp_path / "maps", "1000-2000 r--p 00000000 fe:00 7 /tmp/\x1b[2Jevil\x9b\n")
    assert read_maps(path).vmas[0].name.isprintable()
