"""The matrix as JSON, as lines and as a table that fits the terminal."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli
from pfviz.mm.releases import RELEASES
from pfviz.mm.thread import VMA_LOCK
from pfviz.report import matrix as report
from pfviz.report.matrix import Asked
from pfviz.scenario import matrix
from pfviz.scenario.fault_code import CODES, Story, code_of
from pfviz.scenario.fault_kinds import BY_ID, KINDS
from pfviz.scenario.matrix import KERNELS
from pfviz.views.rows import cell_width


def pfviz(*words: str, columns: int | None = None) -> Result:
    env = {} if columns is None else {"COLUMNS": str(columns)}
    return CliRunner().invoke(cli, words, env=env, catch_exceptions=False)


def test_the_json_has_every_cell_and_who_sent_the_faults_back() -> None:
    done = json.loads(pfviz("matrix", "--json").stdout)
    assert done["kernels"] == list(KERNELS)
    assert done["kinds"] == [kind.id for kind in KINDS]
    for kind in done["kinds"]:
        assert list(done["cells"][kind]) == list(KERNELS)
        for name in KERNELS:
            one = matrix.cell(kind, name)
            assert done["cells"][kind][name] == one.code
            assert done["checks"][kind].get(name, "") == one.check
    assert done["cells"]["file_read_miss"]["6.12"] == "V(io)>M"
    assert done["checks"]["driver"]["6.12"] == "vmf_can_call_fault"


def test_the_json_of_some_kernels_and_kinds_has_just_those() -> None:
    done = json.loads(pfviz("matrix", "--json", "--kernel", "6.7", "--kernel", "6.10",
                            "--kind", "anon_write_first").stdout)  # fmt: skip
    assert done["cells"] == {"anon_write_first": {"6.7": "M", "6.10": "T"}}
    assert done["checks"] == {
        "anon_write_first": {"6.7": "lock_vma_under_rcu", "6.10": "__vmf_anon_prepare"}
    }


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    asked = Asked(width=width)
    lines = report.table_lines(asked) + report.kernel_lines("6.7", asked)
    for kind in ("file_read_miss", "anon_write_first", "driver"):
        lines += report.kind_lines(kind, asked)
    assert max(map(cell_width, lines)) <= width


@pytest.mark.parametrize("width", [80, 120, None])
def test_every_cell_is_in_the_table_in_whatever_blocks(width: int | None) -> None:
    lines = report.table_lines(Asked(width=width))
    heads = [line for line in lines if line.startswith(" " * 20)]
    spans = [name for line in heads for name in line.split() if name != "--kind"]
    named = [end for span in spans for end in (span.partition("-")[0], span.rpartition("-")[2])]
    assert named[0] == "6.0"
    assert named[-1] == "beyond"
    assert named == sorted(named, key=KERNELS.index)
    rows = [line for line in lines if line.startswith("  read: the zero page")]
    rows = [row.removesuffix("anon_read_zero") for row in rows]
    codes = [code for row in rows for code in row.removeprefix("  read: the zero page").split()]
    assert codes == [matrix.cell("anon_read_zero", span.partition("-")[0]).code for span in spans]


def test_at_120_columns_all_kernels_stand_side_by_side() -> None:
    lines = report.table_lines(Asked(width=120))
    assert [line.split()[-1] for line in lines if line.startswith(" " * 20)] == ["beyond"]


def test_the_ids_of_rows_have_a_column_where_there_is_room_and_a_line_elsewhere() -> None:
    for width in (None, 150):
        lines = report.table_lines(Asked(width=width))
        assert all(any(line.endswith(f"  {kind.id}") for line in lines) for kind in KINDS)
        assert max(map(cell_width, lines)) <= 150
    narrow = report.table_lines(Asked(width=120))
    assert not any(line.endswith("  file_read_miss") for line in narrow)
    assert "pfviz matrix --plain" in narrow[-1]


def test_kernels_share_a_column_only_if_no_row_tells_them_apart() -> None:
    heads = report.table_lines(Asked(("anon_write",)))[0].split()
    assert heads == ["6.0-6.1", "6.4-7.2", "beyond", "--kind"]


def test_the_legend_explains_each_code_that_came_up_and_no_other() -> None:
    lines = report.table_lines(Asked(("anon_write", "file_read_miss")))
    said = [line.split("  ")[0] for line in lines[lines.index("") + 1 :]]
    assert said == ["X", "M", "V", "V>M", "V(io)>M", "L"]
    assert set(CODES) > set(said)


def test_a_row_that_goes_back_and_forth_says_which_kernels_were_read() -> None:
    for lines in (report.table_lines(), report.kind_lines("stack_growth")):
        assert lines[-2] == ""
        assert lines[-1].startswith("below the stack: 6.1 is 6.1.192, ")
        assert "6.4 is 6.4.0" in lines[-1]
    assert "6.1.192" not in report.table_lines(Asked(("stack_growth",), ("6.4", "6.5")))[-1]
    assert not any("6.4.0" in line for line in report.table_lines(Asked(("anon_write",))))


def test_a_change_is_true_of_every_row_that_it_moves() -> None:
    changes = {change.value: change.what for release in RELEASES for change in release.changes
               if change.knob == "file_under_vl"}  # fmt: skip
    # file_read_miss goes from M to V>M, and then to V(io)>M: it tries, and does not stay.
    assert matrix.cell("file_read_miss", "6.6").code == "V>M"
    assert changes["map_pages"].startswith("file faults try the VMA lock, and stay under it if")
    assert "stay" not in changes["full"]
    # A fault of the kernel counts no vma_lock_abort: it never tries.
    assert matrix.cell("kernel_mode", "6.12").code == "M"
    assert CODES["M"].endswith("or not even tried")


def test_one_kind_is_told_kernel_by_kernel_with_the_commits_that_changed_it() -> None:
    text = pfviz("matrix", "--kind", "file_read_miss").stdout
    lines = text.splitlines()
    assert lines[:2] == ["Files: read that needs the disk", "file read miss, I/O needed"]
    assert [line.split()[0] for line in lines if line[2:].startswith(KERNELS)] == list(KERNELS)
    for commit in ("f5617ffeb450", "5d74b2ab2c15"):
        assert commit in text
    assert "do_read_fault: ->fault under the VMA lock (6.6)" in text


def test_one_kernel_is_told_with_what_it_changed() -> None:
    text = pfviz("matrix", "--kernel", "6.5").stdout
    assert text.startswith("Linux 6.5 (August 2023)")
    assert "What it changed against 6.4" in text
    assert "below the stack: M(read) to M(write) (c2508ec5a58d, 9471f1f2f502)" in text
    assert "no cell of the matrix" in pfviz("matrix", "--kernel", "6.8").stdout


def test_a_policy_changes_the_cells_that_it_is_about_and_the_table_says_so() -> None:
    held = json.loads(
        pfviz("matrix", "--json", "--kernel", "6.12", "--policy", "io_wait=hold").stdout
    )
    plain = json.loads(pfviz("matrix", "--json", "--kernel", "6.12").stdout)
    changed = {kind for kind in plain["kinds"] if held["cells"][kind] != plain["cells"][kind]}
    files = {"file_read_miss", "shared_write_miss"}
    monitors = {"uffd_missing", "uffd_wp", "uffd_minor"}
    assert changed == files | monitors | {"swap_async"}
    assert held["cells"]["file_read_miss"]["6.12"] == "V"
    assert held["policy"] == {"io_wait": "hold"}
    text = pfviz("matrix", "--kernel", "6.12", "--policy", "io_wait=hold").stdout
    assert "io_wait = hold changes 6 of" in text
    assert "the lock is held while a device works" in text
    assert "merge = false changes no cell" in pfviz("matrix", "--policy", "merge=false").stdout


def test_a_fault_that_never_ends_has_a_code_that_says_so() -> None:
    waiting = Story(regimes=[VMA_LOCK], begun_ns=5)
    assert code_of(waiting, has_vma_lock=True) == "never"
    waiting.ended_ns = 9
    assert code_of(waiting, has_vma_lock=True) == "V"


def test_a_monitor_that_is_asked_with_the_lock_held_needs_no_new_start() -> None:
    asked = Asked(("uffd_missing",), ("6.12",), (("io_wait_userfaultfd", "hold"),))
    assert report.matrix_object(asked)["cells"] == {"uffd_missing": {"6.12": "V"}}


def test_several_kernels_are_shown_side_by_side() -> None:
    lines = pfviz("matrix", "--kernel", "6.6", "--kernel", "6.7").stdout.splitlines()
    assert lines[0].split() == ["6.6", "6.7", "--kind"]


def test_plain_is_one_line_for_each_cell() -> None:
    lines = pfviz("matrix", "--plain").stdout.splitlines()
    assert len(lines) == len(KINDS) * len(KERNELS)
    assert "driver\t6.12\tV>M\tvmf_can_call_fault\tdriver without map_pages" in lines
    assert all(line.count("\t") == 4 for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "file_reed_miss"), 'did you mean "file_read_miss"?'),
        (("--kernel", "6.11"), 'the nearest is "6.10" of 6.0'),
        (("--kernel", "beyont"), 'did you mean "beyond"?'),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(words: tuple[str, ...], said: str) -> None:
    done = pfviz("matrix", *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_cell_is_played_by_the_name_of_its_kind() -> None:
    run = json.loads(pfviz("run", "file_read_miss", "--kernel", "6.6", "--json").stdout)
    assert run["scenario"] == "file_read_miss"
    assert run["vmstat"]["vma_lock_retry"] == 1
    assert pfviz("run", "file_read_mis").exit_code == 2


def test_no_text_holds_a_character_that_acts_on_a_terminal() -> None:
    text = pfviz("matrix").stdout + pfviz("matrix", "--kernel", "7.2").stdout
    assert all(line.isprintable() for line in text.splitlines())
    assert all(BY_ID[kind.id].title for kind in KINDS)
