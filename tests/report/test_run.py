"""Runs and their claims: made once, held to what was promised, and no further."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from pfviz.mm import rules
from pfviz.mm.world import Mm
from pfviz.report.measure import Rows
from pfviz.report.run import EVERY_STEP, Finished, Runs
from pfviz.report.source import open_scenario, open_source
from pfviz.report.text import comparison, exact_duration, heading, summary, table
from pfviz.scenario.load import parse
from pfviz.scenario.overrides import Overrides
from pfviz.sim import event
from pfviz.views.compare_table import MEASURES
from pfviz.views.fold import HANDLERS
from pfviz.views.frame import Frame
from pfviz.views.rows import to_ascii

WORLD = """\
schema_version = 1
title = "x"
machine = "duo"
[[vma]]
name = "heap"
pages = 64
[[thread]]
name = "a"
scales = true
[[thread.op]]
do = "write"
at = "heap"
pages = 4
apart = 4
"""


def runs(more: str = "") -> Runs:
    return Runs(parse(WORLD + more, "x.toml"))


def claim(text: str, more: str = "") -> Finished:
    return runs(f'[[expect]]\nthat = "{text}"\n{more}').finish()


def test_claims_are_judged() -> None:
    assert claim("faults.count == 4").is_fine
    assert not claim("faults.count == 5").is_fine


def test_a_claim_that_cannot_be_worked_out_fails_and_says_why() -> None:
    finished = claim("locks['mmap_lock ap'].reads == 0")
    assert not finished.is_fine
    assert "mmap_lock app" in finished.object["expect"][0]["error"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("compare('pervma').now_ns > 0", "mode"),
        ("compare(knel='6.1').now_ns > 0", "kernel"),
        ("compare(without='b').now_ns > 0", "to leave out is not known"),
        ("compare(kernel='9.9').now_ns > 0", "9.9"),
    ],
)
def test_a_comparison_that_cannot_be_made_says_why(text: str, said: str) -> None:
    assert said in claim(text).object["expect"][0]["error"]


def test_a_comparison_sees_the_other_run() -> None:
    assert claim("compare('mmap_lock').faults.completed_under.mmap_lock == 4").is_fine
    assert claim("compare(threads=3).faults.count == 12").is_fine
    assert claim("compare(merge=False, seed=9).seed == 9").is_fine


def test_claims_are_for_the_run_as_written_unless_they_name_others() -> None:
    mine = runs('[[expect]]\nthat = "faults.count == 4"\nmodes = ["per-vma", "mmap_lock"]\n')
    assert len(mine.finish().object["expect"]) == 1
    assert len(mine.finish(Overrides(mode="mmap_lock")).object["expect"]) == 1
    assert len(mine.finish(Overrides(seed=5)).object["expect"]) == 1
    assert mine.finish(Overrides(mode="lockless")).object["expect"] == []
    assert mine.finish(Overrides(kernel="6.18")).object["expect"] == []
    assert mine.finish(Overrides(threads=2)).object["expect"] == []


def test_rules_are_watched_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def never_content(engine: object) -> Iterator[str]:
        yield "this world is not as it should be"

    monkeypatch.setitem(rules.STATE_RULES, "X1", ("a rule nobody keeps", never_content))
    finished = runs().finish()
    assert "X1: this world is not as it should be" in [
        one["rule"] for one in finished.object["broken_rules"]
    ]
    assert not finished.is_fine


def test_a_broken_rule_is_a_failure_unless_a_claim_is_about_it() -> None:
    finished = runs().finish()
    broken = [{"rule": "I9: x", "at_ns": 1, "step": "", "task": ""}]
    finished.object["broken_rules"] = broken
    assert not finished.is_fine
    finished.object["expect"] = [{"text": "len(broken_rules) == 1", "holds": True}]
    assert finished.is_fine


def test_a_thread_that_sleeps_for_ever_is_a_failure() -> None:
    finished = runs().finish()
    finished.object["unfinished"] = [{"task": "a", "why": "write lock of mmap_lock app"}]
    assert finished.stuck == ("a",)
    assert not finished.is_fine


def test_a_run_that_was_cut_off_is_not_stuck() -> None:
    finished = runs().finish(Overrides(until_ns=2_000))
    assert [one["task"] for one in finished.object["unfinished"]] == ["a"]
    assert finished.is_fine


def test_a_summary_can_be_read_in_any_terminal() -> None:
    finished = runs().finish()
    text = "\n".join(summary(finished.object, "a \x1b[31mtitle"))
    assert to_ascii(text).isascii()
    assert to_ascii(text).count("?") == text.count("?")  # Every character has an ASCII one.
    assert "\x1b" not in text
    assert "4 faults (4 minor, 0 major; 4 under vma_lock)" in text


def test_a_comparison_has_a_column_per_run() -> None:
    made = runs()
    objects = [made.object(Overrides(mode=mode)) for mode in ("mmap_lock", "per-vma")]
    lines = comparison(objects)
    assert lines[2].split() == ["mmap_lock", "per-vma"]
    assert any(line.split() == ["faults", "4", "4"] for line in lines)


def test_columns_line_up() -> None:
    assert table(("a", "n"), [("long name", "1"), ("b", "1,000")]) == [
        "  a              n",
        "  long name      1",
        "  b          1,000",
    ]


def test_a_source_is_told_apart_by_what_is_in_it(tmp_path: object) -> None:
    assert open_source("hello-fault").scenario is not None
    recorded = open_source("redis-bgsave")
    assert recorded.capture is not None
    assert recorded.name == "redis-bgsave"


def test_the_printed_rate_follows_from_the_printed_faults_and_time() -> None:
    finished = Runs(open_scenario("two-mallocs")).finish(with_claims=False)
    assert finished.object["last_event_ns"] > finished.object["now_ns"]
    text = "\n".join(summary(finished.object))
    found = re.search(r"([\d,]+) faults .* in ([\d.]+) µs, ([\d,]+) a second", text)
    assert found is not None
    faults, us, rate = (float(number.replace(",", "")) for number in found.groups())
    assert abs(faults * 1e6 / us - rate) <= 1


def test_text_says_how_many_threads_scale_and_how_many_there_are() -> None:
    run = Runs(open_scenario("smaps-monitor")).object(Overrides())
    every = run["threads_all"]
    assert every > run["threads"]
    said = f"{every} threads, {run['threads']} of them scale,"
    assert said in heading(run)
    assert said in comparison([run])[0]
    started = Runs(open_scenario("smaps-monitor")).finish(Overrides(until_ns=1), with_claims=False)
    assert len(Rows(started.log).of(event.TASK_NEW)) == every


def test_where_all_threads_scale_one_number_is_said() -> None:
    run = Runs(open_scenario("hello-fault")).object(Overrides())
    assert run["threads"] == run["threads_all"] == 1
    assert ", 1 thread, " in heading(run)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 ns"), (999, "999 ns"), (1_000, "1.000 µs"), (8_744_908, "8.744908 ms"),
     (1_000_000_001, "1.000000001 s")],
)  # fmt: skip
def test_exact_durations_keep_every_digit(ns: int, text: str) -> None:
    assert exact_duration(ns) == text


def test_the_screen_compares_the_rate_that_a_run_reports() -> None:
    finished = Runs(open_scenario("two-mallocs")).finish(with_claims=False)
    frame = Frame(finished.log)
    for now_ns, kind, task, *rest in finished.log:
        HANDLERS[kind](frame, now_ns, task, *rest)
        frame.now_ns = now_ns
    rate = next(value for name, value, *_ in MEASURES if name == "faults per s")
    assert rate(frame) == int(finished.object["throughput_per_s"])


def test_every_rule_is_asked_after_every_step_when_wanted() -> None:
    begun = Overrides(kernel="6.4", until_ns=50_000)
    broken = Runs(open_scenario("fork-vs-faults"), EVERY_STEP).finish(begun)
    verdicts = {one["rule"]: one["holds"] for one in broken.object["rules"]}
    assert [rule for rule, holds in verdicts.items() if not holds] == ["F1"]
    assert set(verdicts) == set(rules.sentences())
    lines = "\n".join(summary(broken.object))
    assert "BROKEN  F1" in lines
    (said,) = [line for line in lines.splitlines() if ": F1: " in line]
    assert "which forker's fork copies and has not flushed from the TLBs yet" in said
    assert said.rpartition(": ")[2].startswith("writes can be lost (seen in app")
    # Not forker's anon_vma_fork, which happened to run just before it.
    assert [one["step"] for one in broken.object["broken_rules"]] == ["vma_start_read"]
    assert f"Rules asked after each of {broken.object['steps']:,} steps" in lines


def test_a_rule_that_is_broken_for_one_step_only_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def broken_once(engine: Mm) -> Iterator[str]:
        looks.append(engine.now_ns)
        if len(looks) == 3:
            yield "for one step"

    monkeypatch.setitem(rules.STATE_RULES, "I2", ("nobody holds a freed VMA", broken_once))
    run = Runs(open_scenario("hello-fault"), EVERY_STEP).finish(with_claims=False).object
    assert [one["rule"] for one in run["broken_rules"]] == ["I2: for one step"]
    assert len(looks) >= run["steps"]
