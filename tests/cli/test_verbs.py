"""What the verbs print, and where: data to standard output, everything else beside it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli
from pfviz.cli.verbs import VERBS

TRACES = Path(__file__).parent.parent / "data" / "traces"
CAPTURE = TRACES / "private-t2" / "trace.txt.gz"


def pfviz(*words: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=text, catch_exceptions=False)


@pytest.mark.parametrize("verb", VERBS)
def test_the_table_of_verbs_matches_their_commands(verb: str) -> None:
    command = importlib.import_module(f"pfviz.cli.{VERBS[verb][0]}").command
    assert isinstance(command, click.Command)
    assert command.name == verb
    done = pfviz(verb, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_without_a_verb_and_a_terminal_the_scenarios_are_listed() -> None:
    done = pfviz()
    assert done.exit_code == 0
    assert "hello-fault" in done.stdout


def test_run_prints_a_summary_with_no_sign_beyond_ascii_but_the_unit() -> None:
    done = pfviz("run", "two-mallocs")
    assert done.exit_code == 0
    assert done.stdout.startswith("Two mallocs, one VMA\ntwo-mallocs: Linux 6.12, per-vma")
    assert done.stdout.replace("µs", "us").isascii()
    assert done.stderr == ""


def test_run_plain_tells_each_step_with_its_function_and_source() -> None:
    done = pfviz("run", "hello-fault", "--steps")
    lines = done.stdout.splitlines()
    assert any("lock_vma_under_rcu" in line and "mm/memory.c" in line for line in lines)
    assert all(line == line.rstrip("\n") and "\x1b" not in line for line in lines)
    steps = json.loads(pfviz("run", "hello-fault", "--json").stdout)["steps"]
    assert len(lines) == steps


@pytest.mark.parametrize("verb", ["play", "run"])
def test_a_scenario_may_come_through_standard_input(verb: str) -> None:
    text = pfviz("scenario", "show", "hello-fault").stdout
    done = pfviz(verb, "-", "--json", text=text)
    assert json.loads(done.stdout)["scenario"] == "stdin"
    assert json.loads(done.stdout)["faults"]["count"] == 4


def test_play_and_demo_without_a_terminal_print_the_summary() -> None:
    assert "4 faults" in pfviz("play", "hello-fault").stdout
    assert "mmap_lock app" in pfviz("demo").stdout


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = pfviz("run", "hello-fault", "--json", "-o", str(path))
    assert done.stdout == ""
    assert json.loads(path.read_text())["schema"] == "pfviz.run/1"


def test_compare_is_a_list_of_runs() -> None:
    done = pfviz("compare", "hello-fault", "--json")
    runs = json.loads(done.stdout)
    assert [run["mode"] for run in runs] == ["mmap_lock", "per-vma", "lockless"]
    assert len({run["digest"] for run in runs}) == 3
    assert "of mmap_lock" in pfviz("compare", "hello-fault").stdout


def test_compare_leaves_out_modes_that_a_kernel_cannot_have() -> None:
    runs = json.loads(pfviz("compare", "hello-fault", "--kernel", "6.1", "--json").stdout)
    assert [run["mode"] for run in runs] == ["mmap_lock", "lockless"]


def test_per_vma_locks_beat_mmap_lock_at_32_threads_and_the_reason_is_to_be_seen() -> None:
    done = pfviz("compare", "fault-storm", "--threads", "32", "--json")
    slow, fast, _ = json.loads(done.stdout)
    assert fast["threads"] == 32
    assert fast["throughput_per_s"] > 2 * slow["throughput_per_s"]
    line = slow["cache_lines"][0]
    assert line["name"] == "mmap_lock app"
    assert line["transfers"] > slow["faults"]["count"]


def test_check_says_what_holds() -> None:
    done = pfviz("check", "hello-fault", "stack-growth", "--json")
    assert done.exit_code == 0
    assert [one["holds"] for one in json.loads(done.stdout)] == [True, True]


def test_scenario_list_has_name_title_story_and_path() -> None:
    listed = json.loads(pfviz("scenario", "list", "--json").stdout)
    assert all(set(one) == {"name", "title", "story", "path"} for one in listed)
    assert all(Path(one["path"]).is_file() for one in listed)


def test_scenario_validate_names_file_and_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('schema_version = 1\ntitle = "x"\nkernl = "6.12"\n')
    done = pfviz("scenario", "validate", "hello-fault", str(bad), "--json")
    assert done.exit_code == 2
    good, wrong = json.loads(done.stdout)
    assert good["valid"]
    assert wrong["line"] == 3
    assert 'did you mean "kernel"?' in wrong["error"]


def test_the_schema_is_json_schema() -> None:
    schema = json.loads(pfviz("scenario", "schema").stdout)
    assert "Scenario" in json.dumps(schema)
    assert schema["title"] == "pfviz scenario"


def test_a_real_address_space_becomes_a_scenario_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "self.toml"
    done = pfviz("import", "maps", "self", "-o", str(path), "--monitor")
    assert done.exit_code == 0
    assert "VMAs" in done.stderr
    done = pfviz("run", str(path), "--json")
    assert done.exit_code == 0
    run = json.loads(done.stdout)
    assert run["faults"]["count"] > 20
    assert run["operations"]["smaps"]["count"] >= 1


def test_a_scenario_may_name_a_maps_file(tmp_path: Path) -> None:
    copy = (TRACES / "private-t2" / "maps-start.txt").read_text()
    (tmp_path / "copy.txt").write_text(copy)
    path = tmp_path / "mapped.toml"
    path.write_text(
        'schema_version = 1\ntitle = "x"\nmaps = "copy.txt"\n'
        '[[thread]]\nname = "a"\n[[thread.op]]\ndo = "write"\nat = "stack+1"\n'
    )
    run = json.loads(pfviz("run", str(path), "--json").stdout)
    assert run["faults"]["count"] == 1
    path.write_text(path.read_text().replace("stack+1", "stak"))
    done = pfviz("run", str(path))
    assert done.exit_code == 2
    assert 'did you mean "stack"?' in done.stderr


def test_trace_stats_are_the_statistics_of_the_capture() -> None:
    truth = json.loads((TRACES / "private-t2" / "truth.json").read_text())
    stats = json.loads(pfviz("trace", "stats", str(CAPTURE), "--json").stdout)
    assert stats["faults"] == truth["faults"]
    text = pfviz("trace", "stats", str(CAPTURE)).stdout
    assert f"{truth['faults']:,} faults" in text
    assert text.replace("µs", "us").isascii()


@pytest.mark.parametrize(
    "path", sorted(TRACES.glob("*/*.txt.gz")), ids=lambda path: path.parent.name
)
def test_every_capture_has_a_summary(path: Path) -> None:
    assert pfviz("play", str(path)).exit_code == 0


def test_a_capture_is_told_event_by_event() -> None:
    done = pfviz("play", str(CAPTURE), "--steps")
    assert "under VMA lock" in done.stdout
    by_name = pfviz("play", "redis-bgsave")
    assert "capture" in by_name.stdout


def test_completion_scripts_name_the_program() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_PFVIZ_COMPLETE" in pfviz("completion", shell).stdout


def test_doctor_finds_this_installation_whole() -> None:
    done = pfviz("doctor", "--json")
    assert done.exit_code == 0
    assert {one["what"] for one in json.loads(done.stdout)} >= {"python", "textual", "scenarios"}


def test_notes_are_printed_where_there_is_no_terminal() -> None:
    talk = str(Path(__file__).parents[2] / "scenarios/talks/page-faults-in-three-minutes.toml")
    printed = pfviz("notes", talk)
    assert printed.exit_code == 0
    assert "Page faults in three minutes (3 minutes)" in printed.stdout
    assert "Priority inversion" in printed.stdout
    wrong = pfviz("notes", "tlak")
    assert wrong.exit_code == 2
    assert "did you mean" in wrong.stderr


def test_a_talk_is_checked_and_validated_like_a_scenario(tmp_path: Path) -> None:
    talk = tmp_path / "talk.toml"
    talk.write_text(
        'schema_version = 1\ntitle = "t"\n[[scene]]\ntitle = "s"\nscenario = "hello-fault"\n'
        '[[scene.stop]]\nwhen = "io_begin"\nsay = "never"\n'
    )
    assert pfviz("scenario", "validate", str(talk)).exit_code == 0
    checked = pfviz("check", str(talk))
    assert checked.exit_code == 1
    assert "stop 1 at io_begin never comes" in checked.stdout
    talk.write_text(talk.read_text().replace("io_begin", "io_begn"))
    assert pfviz("scenario", "validate", str(talk)).exit_code == 2
    said = pfviz("check", str(talk))
    assert said.exit_code == 2
    assert f'{talk}:7: event "io_begn" is not known here' in said.stderr
