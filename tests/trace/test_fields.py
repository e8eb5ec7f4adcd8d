"""Arguments of kernel events in the spellings of several kernels and front ends."""

from __future__ import annotations

import pytest

from pfviz.trace import fields


def test_mmap_lock_is_read_with_either_memcg_spelling() -> None:
    new = fields.read_mmap_lock("mm=00aa memcg_id=5249 write=true success=false")
    assert new == fields.MmapLock("00aa", "5249", write=True, success=False)
    old = fields.read_mmap_lock("mm=00aa memcg_path=/a b/c write=false")
    assert old == fields.MmapLock("00aa", "/a b/c", write=False, success=False)
    assert fields.read_mmap_lock("mm=00aa write=1 success=1") == ("00aa", "?", True, True)
    assert fields.read_mmap_lock("mm=00aa memcg_id=5249 write=tr") is None


def test_a_kernel_symbol_in_a_page_fault_is_kept_as_text() -> None:
    fault = fields.read_page_fault("address=0x7f80 ip=__put_user_8 error_code=0x3")
    assert fault == fields.PageFault(0x7F80, "__put_user_8", 3)
    fault = fields.read_page_fault("address=init_task ip=0x1 error_code=0x0")
    assert fault is not None
    assert fault.address is None


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ("00aa (flags=SPIN|WRITE)", ("00aa", "SPIN|WRITE")),
        ("00aa (ret=0)", ("00aa", "0")),
        ("lock_addr=0xff flags=5", ("0xff", "SPIN|WRITE")),
        ("00aa (fl", None),
    ],
)
def test_contention_names_its_lock_and_flags(args: str, found: tuple[str, str] | None) -> None:
    assert fields.read_contention(args) == found


@pytest.mark.parametrize(
    "args",
    [
        "pages:-1 reason:remote shootdown (1)",
        "pages=-1 reason=remote shootdown (1)",
        "reason=1 pages=-1",
    ],
)
def test_a_tlb_flush_is_read_in_all_three_spellings(args: str) -> None:
    assert fields.read_tlb_flush(args) == (-1, "remote shootdown")


@pytest.mark.parametrize(
    "args",
    [
        "prev_comm=a b prev_pid=7 prev_prio=120 prev_state=D ==> "
        "next_comm=c: d next_pid=8 next_prio=120",
        "a b:7 [120] D ==> c: d:8 [120]",
    ],
)
def test_a_switch_between_tasks_with_blanks_in_their_names_is_read(args: str) -> None:
    assert fields.read_switch(args) == fields.Switch("a b", 7, "D", "c: d", 8)


def test_maple_events_are_read_with_and_without_a_blank_after_the_colon() -> None:
    read = "mt_find\tNode: 00aa (0 18446744073709551615) range: 4096-4096"
    assert fields.read_maple(read) == fields.Maple(
        "mt_find", "00aa", 0, (1 << 64) - 1, 4096, 4096, ""
    )
    write = "mas_wr_node_store\tNode 00aa (0 99) range:4096-8191 piv (0) val 00bb"
    assert fields.read_maple(write) == fields.Maple(
        "mas_wr_node_store", "00aa", 0, 99, 4096, 8191, "00bb"
    )


@pytest.mark.parametrize(
    "args",
    [
        "addr: 0, len: 0x41000, fd: 0xffffffff",  # 6.18
        "addr: 0, len: 41000, fd: ffffffff",  # 6.1 and 6.12
        "addr: 0x00000000, len: 0x00041000, fd: 0xffffffff",  # trace-cmd, perf
        "__syscall_nr=9 addr=0x00000000 len=0x00041000 fd=0xffffffff",  # trace-cmd report -R
    ],
)
def test_the_arguments_of_a_call_mean_the_same_on_every_kernel(args: str) -> None:
    assert fields.read_call(args) == {"addr": 0, "len": 0x41000, "fd": 0xFFFFFFFF}


def test_an_error_comes_back_as_a_negative_number() -> None:
    assert fields.read_returned("0xfffffffffffffff4") == -12
    assert fields.read_returned("__syscall_nr=9 ret=0x7f5e24dd8000") == 0x7F5E24DD8000
    assert fields.read_returned("0x7f5") == 0x7F5
    assert fields.read_returned("nonsense") is None
