"""A user's mistake: one line, an exit code, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli


def pfviz(*words: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=text, catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rn hello-fault", '"rn" is not a verb; did you mean "run"?'),
        ("run helo", 'did you mean "hello-fault"?'),
        ("run hello-fault --mode pervma", 'did you mean "per-vma"?'),
        (
            "run hello-fault --kernel 6.13",
            '--kernel: "6.13" is not known here; the nearest is "6.12" of 6.0',
        ),
        ("run hello-fault --machine lptop", 'did you mean "laptop"?'),
        ("run hello-fault --machine 0x9", 'machine "0x9" has no CPU'),
        ("run hello-fault --kernl 6.1", '"--kernl" is no option; did you mean "--kernel"?'),
        ("run", "run: SCENARIO is missing; see "),
        ("run a b", "got unexpected extra argument (b); see "),
        ("run hello-fault --seed", "run: --seed must have a value; see "),
        ("run hello-fault --threads many", '"many" is not a whole number from 1 to 4096; see '),
        ("run hello-fault --threads 0", '--threads: "0" is not a whole number from 1 to 4096'),
        ("--bogus", '"--bogus" is no option; see '),
        ("trace stast x", 'trace: "stast" is not a verb; did you mean "stats"?'),
        ("import maps -1", '"-1" is no option; see '),
        ("run hello-fault --kernel 6.1 --mode per-vma", "Linux 6.1 has no per-VMA locks"),
        ("run hello-fault --threads 4", "no thread of it says scales = true"),
        ("run hello-fault --until 20", 'not a time: "20"'),
        ("run hello-fault --until 0us", "no time at all"),
        ("run smaps-monitor --without smap", 'did you mean "smaps"?'),
        ("run hello-fault --policy mrge=1", 'did you mean "merge"?'),
        ("run hello-fault --policy io_wait=hld", 'did you mean "hold"?'),
        ("run hello-fault --policy merge=2", 'merge cannot be "2"'),
        ("run hello-fault -o /nonexistent/x", "/nonexistent/x: cannot be written"),
        ("completion bsh", 'did you mean "bash"?'),
        ("scenario shw x", '"shw" is not a verb; did you mean "show"?'),
        ("import maps self --mix anonwrite=3", 'did you mean "anon-write"?'),
        ("import maps self --mix anon-write", "should be anon-write=SHARE"),
        ("play redis-bgsav", 'did you mean "redis-bgsave"?'),
    ],
)
def test_wrong_words_are_usage_errors(words: str, said: str) -> None:
    done = pfviz(*words.split())
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words", ["--help", "help", "help run", "run -h", "scenario", "scenario list -h"]
)
def test_help_is_as_long_as_it_is(words: str) -> None:
    done = pfviz(*words.split())
    assert done.output.startswith("Usage: ")
    assert done.output.count("\n") > 5


def test_a_usage_error_cannot_act_on_the_terminal() -> None:
    done = pfviz("run", "--\x1b[31m")
    assert done.exit_code == 2
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run {}/none.toml", "none.toml: there is no such file"),
        ("run {}", "is a folder, not a file"),
        ("run {}/empty.toml", "empty.toml: the file is empty"),
        ("play {}/empty.toml", "empty.toml: the file is empty"),
        ("scenario show {}/empty.toml", "empty.toml: the file is empty"),
        ("trace stats {}/empty.toml", "the file is empty"),
        ("import maps {}/none", "is neither the number of a process nor a file"),
    ],
)
def test_what_cannot_be_read_is_exit_code_3(words: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("\n")
    if words.startswith("trace"):
        (tmp_path / "empty.toml").write_text("")
    done = pfviz(*words.format(tmp_path).split())
    assert done.exit_code == 3
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_is_called_one_where_a_name_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captures").mkdir()
    monkeypatch.chdir(tmp_path)
    done = pfviz("run", "captures")
    assert done.exit_code == 3
    assert "captures: is a folder" in done.stderr


@pytest.mark.parametrize(
    "words", ["run {}", "play {}", "check {}", "scenario validate {}", "scenario show {}"]
)
def test_binary_junk_is_unreadable(words: str, tmp_path: Path) -> None:
    junk = tmp_path / "junk.toml"
    junk.write_bytes(bytes(range(256)) * 20)
    done = pfviz(*words.format(junk).split())
    assert done.exit_code == 3
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "words", ["play {}", "trace stats {}", "import maps {}", "maple replay {}"]
)
def test_junk_that_should_be_recorded_is_unreadable(words: str, tmp_path: Path) -> None:
    junk = tmp_path / "junk.bin"
    junk.write_bytes(bytes(range(256)) * 20)
    done = pfviz(*words.format(junk).split())
    assert done.exit_code == 3
    assert "junk.bin" in done.stderr
    assert "\x1b" not in done.output


def test_a_bad_file_among_good_ones_does_not_hide_their_verdicts(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('schema_version = 1\ntitel = "x"\n')
    done = pfviz("check", "hello-fault", str(bad))
    assert done.exit_code == 2
    assert "ok      hello-fault" in done.stdout
    assert f'{bad}:2: key "titel" is not known here; did you mean "title"?' in done.stderr


def test_a_failed_expectation_is_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(
        'schema_version = 1\ntitle = "x"\n[[thread]]\nname = "a"\nworkload = "compute"\n'
        '[[expect]]\nthat = "faults.count == 7"\n'
    )
    done = pfviz("run", str(path))
    assert done.exit_code == 1
    assert "expectation failed: faults.count == 7" in done.stderr
    done = pfviz("check", str(path))
    assert done.exit_code == 1
    assert "FAILED" in done.stdout


def test_a_claim_is_not_held_against_a_run_it_was_not_made_for() -> None:
    done = pfviz("run", "fault-storm", "--threads", "1", "--mode", "mmap_lock")
    assert done.exit_code == 0
    assert "Expectations" not in done.stdout


def test_new_does_not_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert pfviz("scenario", "new", str(path)).exit_code == 0
    assert pfviz("check", str(path)).exit_code == 0
    done = pfviz("scenario", "new", str(path))
    assert done.exit_code == 2
    assert "is already there" in done.stderr


@pytest.mark.parametrize("verb", ["run", "check", "notes", "export svg", "trace stats", "serve"])
def test_a_name_that_no_file_can_have_is_one_line(verb: str) -> None:
    """A long share token that has lost its beginning, for one."""
    done = pfviz(*verb.split(), "smaps-monitor:" + "0g4r2m81c7" * 40)
    assert done.exit_code in (2, 3)
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 200


@pytest.mark.parametrize("verb", ["run", "check", "export svg"])
def test_a_home_that_nobody_has_is_one_line(verb: str) -> None:
    done = pfviz(*verb.split(), "~nobody-of-that-name/x.toml")
    assert done.exit_code in (2, 3)
    assert done.stderr.count("\n") == 1
