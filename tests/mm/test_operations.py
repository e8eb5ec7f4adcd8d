"""Operations and programs as plain data."""

from __future__ import annotations

import pickle

import pytest

from pfviz.mm.operations import (
    PAGE_SIZE,
    Access,
    Compute,
    Fork,
    Mmap,
    OperationList,
    Place,
    ReadProc,
    Sleep,
    name_of,
    prot_of,
)
from pfviz.sim import event
from tests.worlds import at, world


def test_a_list_repeats_and_can_start_afresh() -> None:
    one, other = Compute(1), Compute(2)
    program = OperationList((one, other), repeat=2)
    scene = world()
    thread = scene.thread("t")
    got = [program.next_operation(scene.engine, thread) for _ in range(5)]
    assert got == [one, other, one, other, None]
    assert program.fresh().next_operation(scene.engine, thread) is one


def test_an_empty_list_ends_even_when_it_repeats_for_ever() -> None:
    scene = world()
    thread = scene.thread("t", repeat=0)
    assert OperationList((), 0).next_operation(scene.engine, thread) is None
    scene.run()


def test_names_are_those_of_the_contract() -> None:
    assert name_of(Fork()) == "fork"
    assert name_of(ReadProc("smaps_rollup")) == "smaps_rollup"
    assert name_of(Access(Place(0))) == "access"


@pytest.mark.parametrize(("perms", "prot"), [("rwx", 7), ("r--", 1), ("rw-p", 3), ("---", 0)])
def test_protections_are_read_as_letters(perms: str, prot: int) -> None:
    assert prot_of(perms) == prot


@pytest.mark.parametrize("perms", ["", "rw", "wr-", "RWX"])
def test_other_letters_are_refused(perms: str) -> None:
    with pytest.raises(ValueError, match="not a protection"):
        prot_of(perms)


def test_each_operation_is_reported_with_its_begin_and_end() -> None:
    scene = world("6.12")
    scene.thread("t", Mmap(2, slot="x"), Access(at("x"), write=True, pages=2), Sleep(5_000),
                 Compute(25_000))  # fmt: skip
    scene.run()
    begun, ended = scene.events(event.OP_BEGIN), scene.events(event.OP_END)
    names = ["mmap", "access", "sleep", "compute"]
    assert [one["op"] for one in begun] == [one["op"] for one in ended] == names
    assert [one["op_index"] for one in ended] == [0, 1, 2, 3]
    assert ended[2]["latency_ns"] >= 5_000
    assert ended[3]["latency_ns"] == 25_000
    assert begun[1]["length"] == 2 * PAGE_SIZE


def test_an_access_to_an_unfilled_slot_fails() -> None:
    scene = world("6.12")
    scene.thread("t", Access(at("nowhere")))
    assert scene.run().results() == [-14]


def test_slots_of_the_process_serve_all_its_threads() -> None:
    scene = world("6.12").vma("shared", 4)
    first = scene.thread("first", Mmap(1, slot="own"), Access(at("own")))
    other = scene.thread("other", Access(at("shared")), Access(at("own")), cpu=1)
    scene.run()
    assert scene.results(first)[1:] == [0]
    assert scene.results(other) == [0, -14]


def test_operations_are_plain_data() -> None:
    operation = Fork(OperationList((Access(Place("a", 4096)),)), child_cpu=1)
    assert pickle.loads(pickle.dumps(operation)) == operation
