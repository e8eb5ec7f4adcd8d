"""What is left out of the comparison exists, is needed, and stands in the documentation."""

from __future__ import annotations

import os
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import pfviz.mm.paths
import pfviz.sync
from tests.mm.callgraphs import tables
from tests.mm.callgraphs.compare import shown
from tests.mm.callgraphs.description import BEGIN, END, lines
from tests.mm.callgraphs.recordings import KERNELS, functions, recording

MODEL = Path(__file__).parents[3] / "docs" / "model.md"


def names_of(reasons: tables.Reasons) -> list[str]:
    """All names of a table."""
    return [name.replace("~", " ") for names in reasons.values() for name in names.split()]


@cache
def recorded_names() -> frozenset[str]:
    """Every function, trace point and token of any recording."""
    calls = [
        call for kernel in KERNELS
        for kind in recording(kernel).kinds for call in recording(kernel).calls(kind)
    ]  # fmt: skip
    return frozenset(name for call in calls for name in (call.name, call.token))


@cache
def our_functions() -> frozenset[str]:
    """The kernel function of every step of pfviz."""
    found: set[str] = set()
    for package in (pfviz.mm, pfviz.mm.paths, pfviz.sync):
        for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(one.name)
            found |= {step.function for step in vars(module).values() if hasattr(step, "function")}
    return frozenset(found)


@pytest.mark.parametrize(
    "reasons",
    [tables.THEIRS_BELOW, tables.THEIRS_LEFT_OUT, tables.THEIRS_IDLE_RCU, tables.THEIRS_REPEATED],
)
def test_what_is_left_out_is_recorded_or_a_step_of_ours(reasons: tables.Reasons) -> None:
    known = recorded_names() | our_functions()
    assert not [name for name in names_of(reasons) if name.split("/")[0] not in known]


def test_what_is_left_out_in_a_place_is_called_there() -> None:
    places = {
        (call.inside[-1] if call.inside else "", name)
        for kernel in KERNELS
        for kind in recording(kernel).kinds
        for call in recording(kernel).calls(kind)
        for name in (call.name, call.token)
    }
    unknown = [place for place in tables.WITHIN if place[1:] not in places]
    assert not unknown


def test_a_step_that_recordings_show_is_not_called_ours_alone() -> None:
    """Where a kernel shows a function, it is compared; only other kernels may leave it out."""
    everywhere = shown("6.1") & shown("6.12") & shown("6.18")
    assert not everywhere & set(names_of(tables.OURS_BY_REASON))


def test_every_step_that_is_ours_alone_is_one() -> None:
    names = set(names_of(tables.OURS_BY_REASON)) - set(tables.OURS_NAMED.values())
    assert not names - our_functions()


def kernels_that_call(name: str) -> set[str]:
    """The kernels in whose full graphs a function occurs."""
    return {kernel for kernel in KERNELS if name in functions(kernel)}


def kernels_that_record(name: str) -> set[str]:
    """The kernels in whose sequences, which are compared, a function occurs."""
    return {kernel for kernel in KERNELS if name in recording(kernel).names}


def test_a_step_that_no_graph_is_said_to_show_is_in_none() -> None:
    others = (tables.CALLED, tables.CALLED_ON_SOME, tables.FLUSH, tables.COMPARED_ON_SOME)
    nowhere = {why: names for why, names in tables.OURS_BY_REASON.items() if why not in others}
    assert tables.INLINED in nowhere
    assert not [name for name in names_of(nowhere) if kernels_that_call(name)]


@pytest.mark.parametrize(
    ("reason", "on_all"), [(tables.CALLED, True), (tables.CALLED_ON_SOME, False)]
)
def test_a_step_that_is_said_to_be_called_is_but_in_no_sequence(reason: str, on_all: bool) -> None:
    for name in tables.OURS_BY_REASON[reason].split():
        assert kernels_that_call(name)
        assert (kernels_that_call(name) == set(KERNELS)) == on_all, name
        assert not kernels_that_record(name), name


def test_a_step_that_some_kernels_show_is_in_no_graph_of_the_others() -> None:
    for name in tables.OURS_BY_REASON[tables.COMPARED_ON_SOME].split():
        assert kernels_that_record(name), name
        assert kernels_that_call(name) == kernels_that_record(name) != set(KERNELS), name


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_function_that_was_found_untraceable_is_in_no_graph(kernel: str) -> None:
    absent = ("inlined-or-absent", "symbol-not-traceable")
    found = {name for name, how in recording(kernel).traceable.items() if how in absent}
    assert found
    assert not found & functions(kernel)


def test_every_function_of_a_sequence_is_one_of_the_graphs() -> None:
    for kernel in KERNELS:
        calls = [c for kind in recording(kernel).kinds for c in recording(kernel).calls(kind)]
        inside = {name for call in calls for name in call.inside} - {""}
        assert inside <= functions(kernel)


def test_names_are_the_same_for_something_that_is_recorded() -> None:
    assert not [name for name in tables.SAME if name not in recorded_names()]


def test_the_documentation_shows_the_tables() -> None:
    """Set PFVIZ_GOLDEN=write to write the section of docs/model.md anew, then read the diff."""
    text = MODEL.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + "\n".join(lines()) + after
    if os.environ.get("PFVIZ_GOLDEN") == "write":
        MODEL.write_text(wanted)
    assert BEGIN in text
    assert MODEL.read_text() == wanted
