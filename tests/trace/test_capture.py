"""Reading captures: every column layout, odd names, losses, junk and damage."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfviz.trace.capture import LOST, STARTED, TRUNCATED, Capture, CaptureError, Record

TRACES = Path(__file__).parents[1] / "data" / "traces"
PRIVATE = TRACES / "private-t1" / "trace.txt.gz"
FAULT = "page_fault_user: address=0x7f0000001000 ip=0x55 error_code=0x6"


def _read(path: Path, *lines: str) -> tuple[Capture, list[Record]]:
    path.write_text("".join(line + "\n" for line in lines))
    capture = Capture(path)
    return capture, list(capture.records())


@pytest.mark.parametrize(
    ("line", "comm", "tid", "tgid", "cpu"),
    [
        (
            "          pfload-20471   (  20471) [001] .....  1642.733992: ",
            "pfload",
            20471,
            20471,
            1,
        ),
        (
            "  C1 CompilerThre-77      (     70) [003] d..2.  1642.733992: ",
            "C1 CompilerThre",
            77,
            70,
            3,
        ),
        ("       G1 Conc#0-78      (-------) [000] .....  1642.733992: ", "G1 Conc#0", 78, 0, 0),
        ("          <idle>-0       [001] dNh2.  1642.733992: ", "<idle>", 0, 0, 1),
        ("           <...>-5123    [001]  1642.733992: ", "<...>", 5123, 0, 1),
        ("  kworker/0:1-mm-23      [000] d..1  1642.733992: ", "kworker/0:1-mm", 23, 0, 0),
        ("           a-1 b-9       [000] ....   1642.733992: ", "a-1 b", 9, 0, 0),
        ("            x: y-9       [000] ....   1642.733992: ", "x: y", 9, 0, 0),
        ("    bash-5428    0d..2.  1642.733992: ", "bash", 5428, 0, 0),
        ("    bash-5428   12.....  1642.733992: ", "bash", 5428, 0, 12),
        ("tc:             bash-5428  [001]  1642.733992: ", "bash", 5428, 0, 1),
    ],
)
def test_every_column_layout_names_task_and_cpu(
    tmp_path: Path, line: str, comm: str, tid: int, tgid: int, cpu: int
) -> None:
    capture, records = _read(tmp_path / "t.txt", line + FAULT, line + FAULT)
    args = FAULT.partition(": ")[2]
    assert records == [(1642733992000, cpu, tid, "page_fault_user", args)] * 2
    assert capture.tasks == {tid: (comm, tgid)}


@pytest.mark.parametrize(
    ("prefix", "comm", "tid", "tgid"),
    [
        ("          pfload  5461 [000]  2330.505666615:   exceptions:", "pfload", 5461, 0),
        ("          pfload  5461/5462  [000]  2330.505666615: exceptions:", "pfload", 5462, 5461),
        (" C1 CompilerThre 31 [002]  2330.505666615:  exceptions:", "C1 CompilerThre", 31, 0),
    ],
)
def test_perf_script_lines_are_read(
    tmp_path: Path, prefix: str, comm: str, tid: int, tgid: int
) -> None:
    capture, records = _read(tmp_path / "p.txt", prefix + FAULT, "\t  ffffffff81 do_fault (k)", "")
    assert [record[:4] for record in records] == [
        (2330505666615, records[0][1], tid, "page_fault_user")
    ]
    assert capture.tasks == {tid: (comm, tgid)}
    assert capture.front_end == "perf script"
    assert not capture.skipped


def test_bpftrace_lines_are_sorted_by_time(tmp_path: Path) -> None:
    capture, records = _read(
        tmp_path / "b.txt",
        "Attaching 2 probes...",
        "900 5 6 1 a name page_fault_user address=0x1000 ip=0x2 error_code=0x4",
        "400 5 5 0 other mmap_lock_released mm=0xffff write=1",
        "Lost 12 events",
    )
    assert [record[:3] for record in records if record[2] >= 0] == [(400, 0, 5), (900, 1, 6)]
    assert capture.tasks == {6: ("a name", 5), 5: ("other", 5)}
    assert (capture.times_going_back, capture.lost_events, capture.lossy) == (1, 12, True)


def test_system_calls_get_their_event_names_in_every_spelling(tmp_path: Path) -> None:
    head = "            a-1     [000] .....     1.000001: "
    _, records = _read(
        tmp_path / "s.txt",
        head + "sys_munmap(addr: 0x7f00, len: 0x1000)",
        head + "sys_munmap -> 0x0",
        head + "sys_vfork()",
        head + "sys_enter_munmap:       addr: 0x00007f00, len: 0x00001000",
        head + "syscalls:sys_exit_munmap: 0x0",
    )
    assert [record[3:] for record in records] == [
        ("sys_enter_munmap", "addr: 0x7f00, len: 0x1000"),
        ("sys_exit_munmap", "0x0"),
        ("sys_enter_vfork", ""),
        ("sys_enter_munmap", "addr: 0x00007f00, len: 0x00001000"),
        ("sys_exit_munmap", "0x0"),
    ]


def test_unknown_events_are_kept_and_junk_is_counted_with_a_reason(tmp_path: Path) -> None:
    head = "            a-1     [000] .....     1.000001: "
    capture, records = _read(
        tmp_path / "u.txt",
        "# tracer: nop",
        "",
        head + "my_probe: (do_thing+0x0/0x10) x=1",
        "[   12.345678] random kernel message",
        head + "do_fault <-handle_mm_fault",
        head + "just some words",
    )
    assert [record[3] for record in records] == ["my_probe", "function", "(text)"]
    assert capture.counts == {"my_probe": 1, "function": 1, "(text)": 1}
    assert capture.skipped == {"not an event line": 1}
    assert capture.skip_notes == [(4, "not an event line")]


def test_losses_are_marks_at_their_place(tmp_path: Path) -> None:
    head = "            a-1     [000] .....     "
    capture, records = _read(
        tmp_path / "l.txt",
        "# entries-in-buffer/entries-written: 2/9   #P:2",
        head + "1.000001: " + FAULT,
        "CPU:1 [LOST 114 EVENTS]",
        "##### CPU 0 buffer started ####",
        "[EVENTS DROPPED]",
        head + "1.000002: " + FAULT,
    )
    assert [(r[0], r[1], r[3], r[4]) for r in records if r[2] < 0] == [
        (1000001000, 1, LOST, "114"),
        (1000001000, 0, STARTED, ""),
        (1000001000, -1, LOST, ""),
    ]
    assert (capture.lost_events, capture.buffer_started_marks) == (114, 1)
    assert capture.entries == (2, 9)
    assert capture.lossy


def test_no_control_character_of_a_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "esc.txt"
    name = b"\x1b[31mred\x07\xc2\x9b2J"
    path.write_bytes(
        b"  " + name + b"-12 [000] ..... 1.000001: my\x1b]0;x: a=\x1b[2J\r\n" + b"\xff\n"
    )
    capture = Capture(path)
    records = list(capture.records())
    shown = repr(capture.tasks) + str(records) + str(capture.counts)
    assert "\x1b" not in "".join(c for r in records for c in r[3] + r[4])
    assert all(c.isprintable() for name, _ in capture.tasks.values() for c in name)
    assert "\\x1b" not in shown
    assert "\\x9b" not in shown


def test_a_truncated_gzip_gives_what_was_readable_and_a_loss_mark(tmp_path: Path) -> None:
    whole = list(Capture(PRIVATE).records())
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(PRIVATE.read_bytes()[:5000])
    capture = Capture(path)
    records = list(capture.records())
    assert 100 < len(records) < len(whole)
    assert records[:-1] == whole[: len(records) - 1]
    assert records[-1][3] == TRUNCATED
    assert capture.lossy


def test_a_gzip_with_a_flipped_byte_is_read_up_to_the_damage(tmp_path: Path) -> None:
    data = bytearray(PRIVATE.read_bytes())
    data[6000] ^= 0xFF
    path = tmp_path / "flipped.txt.gz"
    path.write_bytes(data)
    capture = Capture(path)
    assert list(capture.records())[-1][3] == TRUNCATED
    assert capture.truncated


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file is empty"),
        (b"\x1f\x8b\x08\x00", "nothing to read"),
        (bytes(range(256)) * 64, "it holds binary data"),
        (b"hello\nworld\n", "no kernel event here"),
        (b"# tracer: nop\n#\n", "no kernel event here"),
        (b"PERFILE2" + bytes(100), "perf script"),
        (b"\x17\x08Dtracing6\0", "trace-cmd report"),
        (b"\x28\xb5\x2f\xfd1234", "zstd"),
        (b'{"type": "printf"}\n', "no kernel event here"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        Capture(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:")
    assert message in text
    assert "\n" not in text
    assert text.isprintable()
    assert caught.value.exit_code == 3


def test_missing_files_and_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nowhere\.txt: cannot be read: No such file"):
        Capture(tmp_path / "nowhere.txt")
    with pytest.raises(CaptureError, match="cannot be read: Is a directory"):
        Capture(tmp_path)


def test_an_escape_sequence_in_the_file_name_does_not_reach_the_message(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        Capture(tmp_path / "a\x1b[2Jb.txt")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("compressed", [True, False])
def test_standard_input_is_read_like_a_file(
    monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    data = PRIVATE.read_bytes() if compressed else gzip.decompress(PRIVATE.read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    capture = Capture("-")
    assert len(list(capture.records())) == len(list(Capture(PRIVATE).records()))
    assert capture.name == "<stdin>"


def test_events_after_a_long_preamble_are_found(tmp_path: Path) -> None:
    boot = [f"[    0.{n:06}] boot message" for n in range(9000)]
    event = "            a-1     [000] .....     1.000001: " + FAULT
    capture, records = _read(tmp_path / "boot.txt", *boot, event)
    assert len(records) == 1
    assert capture.skipped["not an event line"] == 9000


@given(st.lists(st.one_of(st.text(max_size=60), st.binary(max_size=60)), max_size=8), st.data())
def test_no_input_ever_raises_anything_but_a_capture_error(
    tmp_path_factory: pytest.TempPathFactory, junk: list[str | bytes], data: st.DataObject
) -> None:
    good = gzip.decompress(PRIVATE.read_bytes()).splitlines()[13:40]
    lines = [j.encode("utf-8", "replace") if isinstance(j, str) else j for j in junk]
    for line in good:
        cut = data.draw(st.integers(0, len(line)))
        lines.append(
            line[:cut] + data.draw(st.sampled_from([b"", b"\x1b", b": ", b"\xff"])) + line[cut:]
        )
    path = tmp_path_factory.mktemp("fuzz") / "t.txt"
    path.write_bytes(b"\n".join(lines))
    try:
        for record in Capture(path).records():
            assert "\x1b" not in record[3] + record[4]
    except CaptureError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
