"""What a policy costs both sides: measured from runs, said in a table, in sentences and as JSON."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pfviz.cli import main
from pfviz.report.policy_cost import policy_cost, table_of
from pfviz.report.policy_differences import differences
from pfviz.report.source import open_scenario
from pfviz.scenario.overrides import Overrides

SCENARIO = open_scenario("file-io-wait")


def test_holding_a_lock_over_io_costs_the_writer_and_saves_the_restart() -> None:
    cost = policy_cost(SCENARIO, "io_wait")
    restart, hold = cost["choices"]
    assert (restart["value"], hold["value"]) == ("restart", "hold")
    writer = [one["operations"]["mprotect"] for one in (restart, hold)]
    assert writer[1]["latency_ns"]["p99"] > 50 * writer[0]["latency_ns"]["p99"]
    assert writer[1]["waited_ns"]["max"] > 100_000 > writer[0]["waited_ns"]["max"]
    assert (restart["faults"]["retries"], hold["faults"]["retries"]) == (24, 0)
    assert any("mprotect" in line and "times slower" in line for line in cost["differences"])
    assert any("0 faults start again, not 24" in line for line in cost["differences"])


def test_a_wait_is_counted_for_the_operation_that_waited_only() -> None:
    cost = policy_cost(SCENARIO, "io_wait", ("hold",))
    (hold,) = cost["choices"]
    writer, faults = hold["operations"]["mprotect"], hold["faults"]
    assert writer["waited_ns"]["total"] <= writer["latency_ns"]["mean"] * writer["count"]
    # Waiting for a page is no waiting for a lock.
    assert faults["waited_ns"]["max"] < faults["latency_ns"]["p50"] / 2


def test_retries_under_mmap_lock_alone_are_counted_too() -> None:
    changed = Overrides(kernel="6.1")
    (restart,) = policy_cost(SCENARIO, "io_wait", ("restart",), changed)["choices"]
    assert restart["faults"]["fallbacks"] == {}
    assert restart["faults"]["retries"] == 24


def test_a_broken_rule_and_a_thread_that_never_ends_are_part_of_the_answer() -> None:
    cost = policy_cost(SCENARIO, "merge")
    one, other = cost["choices"]
    one["broken_rules"], other["broken_rules"] = [], [{"rule": "I19: text", "task": "app"}]
    other["unfinished"] = [{"task": "unmapper", "why": "waits"}]
    text = "\n".join(table_of(cost))
    assert "I19" in text
    assert "unmapper" in text


def test_a_deadlock_is_said_first_and_its_times_are_no_times() -> None:
    cost = policy_cost(open_scenario("userfaultfd"), "uffd_notify")
    said, other, *_ = cost["differences"]
    assert said.startswith("uffd_notify = hold: DEADLOCK: nobody goes on: mapper waits for worker")
    assert "breaks rule I24" in other
    assert "uffd_notify = hold: 0 of 12 faults ended" in cost["differences"]
    assert not any(word in line for line in cost["differences"] for word in ("slower", "faster"))
    lines = table_of(cost)
    table = {line[:25].strip(): line[25:].split() for line in lines}
    assert table["faults"] == ["12", "0"]
    assert "0 ns" not in next(line for line in lines if line.startswith("    p50"))
    end = next(line for line in lines if "until the last step" in line)
    assert end.endswith("never (stands at 20.329 µs)")
    # What a rule says has no room in a column.
    head = lines[: lines.index("", 4)]
    assert max(map(len, head)) < 100


def test_what_both_values_break_is_said_too() -> None:
    cost = policy_cost(open_scenario("userfaultfd"), "uffd_notify", ("hold", "hold"))
    assert cost["differences"][0].startswith("uffd_notify = hold: DEADLOCK: nobody goes on: ")
    assert cost["differences"][0].endswith("(mmap_lock app), as with hold")
    turned = policy_cost(open_scenario("userfaultfd"), "uffd_notify", ("hold", "drop_first"))
    assert turned["differences"][0].startswith("uffd_notify = hold: DEADLOCK: ")


def test_a_run_that_is_ended_by_time_is_no_deadlock() -> None:
    changed = Overrides(until_ns=5_000)
    cost = policy_cost(open_scenario("userfaultfd"), "uffd_notify", (), changed)
    assert all(one["unfinished"] for one in cost["choices"])
    assert not any("NEVER" in line or "DEADLOCK" in line for line in cost["differences"])


def test_broken_rules_come_first_and_the_rest_by_size() -> None:
    driver = policy_cost(open_scenario("driver-faults"), "driver_opt_in")["differences"]
    assert ["I19" in driver[0], "I24" in driver[1]] == [True, True]
    race = policy_cost(open_scenario("io-race"), "io_wait_file")["differences"]
    assert race[0] == "io_wait_file = hold: munmap p99 111 times slower (2.10 µs → 233 µs)"
    sides = [line.split()[3] for line in race if "slower" in line]
    assert sides == ["munmap", "mprotect", "fork", "faults"]


def test_one_fault_is_one_fault() -> None:
    cost = policy_cost(SCENARIO, "io_wait")
    one, other = cost["choices"]
    one["faults"]["retries"], other["faults"]["retries"] = 0, 1
    said = list(differences("io_wait", cost["choices"]))
    assert "io_wait = hold: 1 fault starts again, not 0" in said


def test_unknown_switches_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        policy_cost(SCENARIO, "io_weit")
    with pytest.raises(ValueError, match="did you mean"):
        policy_cost(SCENARIO, "io_wait", ("holt",))


def test_the_command_prints_a_table_and_json() -> None:
    runner = CliRunner()
    asked = ["compare", "file-io-wait", "--policy", "io_wait.file=restart,hold"]
    said = runner.invoke(main, asked)
    assert said.exit_code == 0
    assert "restart" in said.output
    assert "started again" in said.output
    plain = runner.invoke(main, [*asked, "--json"])
    (cost,) = json.loads(plain.output)
    assert cost["schema"] == "pfviz.policy/1"
    assert [one["value"] for one in cost["choices"]] == ["restart", "hold"]
    both = runner.invoke(main, [*asked, "--policy", "merge=true,false"])
    assert both.exit_code == 2
