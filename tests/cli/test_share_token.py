"""Share tokens on the command line: wherever a scenario is taken, and told apart from a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli
from pfviz.report.run import Runs
from pfviz.report.share import log_check, token_of
from pfviz.report.source import open_scenario
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.token import Moment, Token, encode

RACY = Overrides(kernel="6.18", seed=7, policy=(("merge", False),), choices=((3, 1), (9, 0)))


def pfviz(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(cli, words, env=environ, catch_exceptions=False)


def test_a_run_ends_with_the_word_that_makes_it_again() -> None:
    done = pfviz("run", "hello-fault", "--seed", "7", "--kernel", "6.18", "--mode", "lockless")
    last = done.stdout.splitlines()[-1]
    assert last.endswith("  (Linux 6.18, lockless, seed 7)")
    word = last.split()[5]
    assert pfviz("run", word).stdout == done.stdout
    assert pfviz("run", "hello-fault", "--plain").stderr.startswith("To see it: pfviz play pf1:")


def test_a_token_runs_with_its_choices_of_who_ran() -> None:
    word = token_of(open_scenario("two-mallocs"), RACY)
    shared = json.loads(pfviz("run", word, "--json").stdout)
    assert (shared["kernel"], shared["seed"]) == ("6.18", 7)
    assert shared["choices"] == [[3, 1], [9, 0]]
    assert shared["token"] == word
    without = token_of(open_scenario("two-mallocs"), RACY.and_also(choices=()))
    assert json.loads(pfviz("run", without, "--json").stdout)["digest"] != shared["digest"]


def test_an_option_counts_over_a_token_and_the_environment_does_not() -> None:
    word = token_of(open_scenario("two-mallocs"), RACY)
    assert "Linux 6.18, per-vma" in pfviz("run", word, PFVIZ_KERNEL="6.1").stdout
    done = pfviz("run", word, "--kernel", "6.1")
    assert "Linux 6.1, mmap_lock" in done.stdout
    assert "seed 7" in done.stdout


def test_a_comparison_takes_a_token_and_ends_with_one() -> None:
    word = token_of(open_scenario("two-mallocs"), RACY)
    done = pfviz("compare", word, "--mode", "per-vma", "--mode", "mmap_lock")
    again = done.stdout.split()[-1]
    assert "Linux 6.18" in done.stdout
    assert pfviz("compare", again).stdout == done.stdout
    policies = pfviz("compare", word, "--policy", "downgrade=true,false")
    assert "seed 7" in policies.stdout


def test_other_verbs_take_a_token(tmp_path: Path) -> None:
    word = token_of(open_scenario("hello-fault"), Overrides(seed=7))
    assert pfviz("check", word).stdout.startswith("ok      hello-fault: ")
    shown = tmp_path / "shown.toml"
    assert pfviz("scenario", "show", word, "-o", str(shown)).exit_code == 0
    assert 'title = "Hello, fault"' in shown.read_text()
    assert pfviz("play", word).stdout.startswith("Hello, fault\n")


def test_a_changed_scenario_is_said_in_one_line_and_run() -> None:
    word = encode(Token("hello-fault", 0x1234))
    done = pfviz("run", word)
    assert done.exit_code == 0
    assert done.stderr == "pfviz: hello-fault has changed since this token was made\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (encode(Token("helo-fault", 1)), 'not known here; did you mean "hello-fault"?'),
        (encode(Token("-", 1)), "its scenario is not known here"),
        (encode(Token("/etc/passwd", 1)), "its scenario is not known here"),
        (encode(Token("talk-3mn", 1, stop=(0, 0))), 'not known here; did you mean "talk-3min"?'),
        (encode(Token("..", 1)), "its scenario is not known here"),
        ("pf1:hello-fault:00", "is no whole share token: a part is missing or mistyped"),
        ("pf9:hello-fault:00", "is a token of another pfviz (pf9); this one reads pf1"),
        ("pf1:\x1b[31m:00", "is no whole share token"),
        ("pf1:" + "x" * 9000, "is no whole share token"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "play", "compare", "check"])
def test_a_bad_token_is_one_line(verb: str, word: str, said: str) -> None:
    done = pfviz(verb, word)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_a_picture_of_a_token_is_of_its_moment() -> None:
    scenario = open_scenario("hello-fault")
    log = Runs(scenario).finish(with_claims=False).log
    moment = Moment(events=60, check=log_check(log, 60))
    word = token_of(scenario, moment=moment)
    shown, at = pfviz("export", "svg", word), f"{log.row(59)[0]}ns"
    assert shown.stdout == pfviz("export", "svg", "hello-fault", "--at", at).stdout
    assert shown.stdout != pfviz("export", "svg", "hello-fault").stdout
    other = token_of(scenario, moment=Moment(events=60, check=moment.check ^ 1))
    assert pfviz("export", "svg", other).stdout == pfviz("export", "svg", "hello-fault").stdout
