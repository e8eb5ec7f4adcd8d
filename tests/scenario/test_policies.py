"""The switches of [policy]: by table, by name, by dotted name; never to a value they have not."""

from __future__ import annotations

import pytest

from pfviz.mm.policy import Policy as MmPolicy
from pfviz.scenario import policies
from pfviz.scenario.load import parse
from pfviz.scenario.schema import IoWait, Policy
from pfviz.tui.recipe import POLICY_CHOICES

SMALL = """
schema_version = 1
title = "small"
[policy]
{policy}
[[vma]]
name = "heap"
pages = 4
[[thread]]
name = "app"
[[thread.op]]
do = "read"
at = "heap"
"""


def waits(policy: MmPolicy) -> tuple[str, str, str]:
    return policy.io_wait, policy.io_wait_swap, policy.io_wait_userfaultfd


def test_a_policy_that_says_nothing_is_what_kernels_do() -> None:
    assert policies.mm_policy(Policy()) == MmPolicy()


def test_io_wait_is_about_all_kinds_of_waiting_unless_a_table_tells_them_apart() -> None:
    assert waits(policies.mm_policy(Policy(io_wait="hold"))) == ("hold", "hold", "hold")
    table = Policy(io_wait=IoWait(swap="hold"))
    assert waits(policies.mm_policy(table)) == ("drop", "hold", "drop")
    own = Policy(io_wait="hold", io_wait_file="restart")
    assert waits(policies.mm_policy(own)) == ("drop", "hold", "hold")


def test_a_change_of_one_kind_wins_over_a_change_of_all() -> None:
    changes = (("io_wait_swap", "restart"), ("io_wait", "hold"))
    assert waits(policies.mm_policy(Policy(), changes)) == ("hold", "drop", "hold")
    held = Policy(io_wait_swap="hold")
    assert waits(policies.mm_policy(held, (("io_wait", "restart"),))) == ("drop",) * 3


def test_a_file_may_write_the_table() -> None:
    scenario = parse(SMALL.format(policy='io_wait = { file = "hold" }'), "small.toml")
    assert waits(policies.mm_policy(scenario.policy)) == ("hold", "drop", "drop")
    with pytest.raises(Exception, match=r'did you mean "userfaultfd"'):
        parse(SMALL.format(policy='io_wait = { userfaultd = "hold" }'), "small.toml")
    with pytest.raises(Exception, match=r'did you mean "hold"'):
        parse(SMALL.format(policy='io_wait = { file = "hld" }'), "small.toml")


def test_every_switch_reaches_the_model() -> None:
    for switch in policies.SWITCHES:
        values = tuple(switch.values) or (1, 2)
        found = [
            getattr(policies.mm_policy(Policy(), ((switch.name, value),)), switch.field)
            for value in values
        ]
        assert len(set(found)) == len(values), switch.name
        assert found == list(switch.values.values() or values)


def test_the_first_value_of_a_switch_is_the_kernels_own() -> None:
    now = policies.said(Policy())
    for switch in policies.SWITCHES:
        if switch.values:
            assert next(iter(switch.values)) == now[switch.name], switch.name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("io_wait.swap=hold", ("io_wait_swap", "hold")),
        ("merge=off", ("merge", False)),
        ("fault_around=4", ("fault_around", 4)),
        ("restart_lock=vma", ("restart_lock", "vma")),
    ],
)
def test_switches_are_read_as_they_are_typed(text: str, found: tuple[str, object]) -> None:
    name, _, value = text.partition("=")
    assert policies.parse(name, value) == found


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("io_weit", "hold", 'did you mean "io_wait"'),
        ("io_wait", "holt", 'did you mean "hold"'),
        ("merge", "1", 'merge cannot be "1"'),
        ("fault_around", "0", "a number from 1 on"),
        ("fault_around", "true", "a number from 1 on"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_meant(name: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        policies.parse(name, value)


def test_the_screen_offers_what_can_be_switched() -> None:
    for name in ("io_wait_file", "io_wait_swap", "io_wait_userfaultfd", "restart_lock", "merge",
                 "uffd_notify", "driver_opt_in", "map_pages_ahead"):  # fmt: skip
        assert len(POLICY_CHOICES[name]) == 2
    assert POLICY_CHOICES["page_table_free"] == ("kernel", "ipi", "rcu")
