"""What a person reads who misspelt something."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfviz.mm.presets import PRESETS
from pfviz.scenario import load as loading
from pfviz.scenario.errors import ScenarioError, nearest, version_hint
from pfviz.scenario.load import load, parse

KERNELS = "6.0, 6.1, 6.4, 6.5, 6.6, 6.7, 6.8, 6.9, 6.10, 6.12, 6.15, 6.17, 6.18, 7.2, beyond"
GOOD = """\
schema_version = 1
title = "x"
kernel = "6.12"
[policy]
merge = true
[[vma]]
name = "heap"
pages = 4
[[thread]]
name = "a"
[[thread.op]]
do = "read"
at = "heap+1"
[[cue]]
at = "20us"
caption = "c"
[[expect]]
that = "faults.count > 0"
"""


def complaint(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "ok.toml")
    return str(caught.value)


def test_a_good_file_is_read() -> None:
    scenario = parse(GOOD, "ok.toml")
    assert scenario.vma[0].name == "heap"
    assert scenario.thread[0].op[0].at == "heap+1"  # type: ignore[union-attr]


def test_what_mremap_puts_in_a_slot_is_a_place() -> None:
    moved = 'do = "mremap"\nat = "heap"\npages = 2\nnew_pages = 4\nslot = "new"\n[[thread.op]]\n'
    text = GOOD.replace('do = "read"\nat = "heap+1"', f'{moved}do = "read"\nat = "new+3"')
    assert len(parse(text, "ok.toml").thread[0].op) == 2


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("pages = 4", "pagse = 4", '8: key "pagse" is not known here; did you mean "pages"?'),
        ('kernel = "6.12"', 'kernle = "6.12"',
         '3: key "kernle" is not known here; did you mean "kernel"?'),
        ('do = "read"', 'do = "raed"', '12: do = "raed" is not known here; did you mean "read"?'),
        ('at = "heap+1"', 'at = "haep+1"',
         '13: "haep" is neither a VMA nor a slot; did you mean "heap"?'),
        ('do = "read"\nat = "heap+1"',
         'do = "mremap"\nat = "heap"\npages = 2\nnew_pages = 4\nto = "haep+8"',
         '16: "haep" is neither a VMA nor a slot; did you mean "heap"?'),
        ('at = "heap+1"', 'att = "heap+1"',
         '13: key "att" is not known here; did you mean "at"?'),
        ('at = "20us"', 'at = "20"',
         '15: at is not a time: write it in quotes, with a unit: "20us", "1.5ms", "3s"'),
        ('at = "20us"', "at = 20", "15: at should be text in quotes, not a whole number"),
        ('at = "20us"', 'when = "page_fault_usr"',
         '15: event "page_fault_usr" is not known here; did you mean "page_fault_user"?'),
        ('at = "20us"', 'when = "lock_acquired lokc=3"',
         '15: event "lock_acquired" has no field "lokc"; did you mean "lock"?'),
        ('caption = "c"', 'caption = "c"\nmodes = ["pervma"]',
         '17: modes = "pervma" is not known here; did you mean "per-vma"?'),
        ('caption = "c"', 'caption = "c"\nkernels = ["6.12", "6.11"]',
         f'17: kernel "6.11" is not known here; the nearest is "6.10" of {KERNELS}'),
        ('caption = "c"', 'caption = "c"\nkernels = ["6.0", "6.1"]\nmodes = ["per-vma"]',
         '18: no kernel of 6.0, 6.1 can run in mode "per-vma"'),
        ('at = "20us"', "", '14: say when: either `at` (a time) or `when` (an event), not both'),
        ('at = "heap+1"', "", '11: key "at" is missing in [[thread.op]]'),
        ("faults.count", "fault.count",
         '18: "fault" is not a key of a run; did you mean "faults"?'),
        ("> 0", ">", "18: `faults.count >` is not an expression"),
        ("pages = 4", "pages = 0", "8: pages: expected a number >= 1"),
        ("pages = 4", 'pages = "4"', "8: pages should be a whole number, not text in quotes"),
        ('title = "x"\n', "", '1: key "title" is missing at the top of the file'),
        ("[[thread.op]]", "[[thread.opp]]",
         '11: key "opp" is not known here; did you mean "op"?'),
        ('kernel = "6.12"', 'kernel = "6.13"',
         f'3: kernel "6.13" is not known here; the nearest is "6.12" of {KERNELS}'),
        ('kernel = "6.12"', 'kernel = "6.1"\nmode = "per-vma"',
         "4: Linux 6.1 has no per-VMA locks; use mode mmap_lock or lockless, or a kernel from "
         "6.4 on"),
        ('title = "x"', 'title = "x"\nmode = "pervma"',
         '3: mode = "pervma" is not known here; did you mean "per-vma"?'),
        ('title = "x"', 'title = "x"\nmachine = "sever"',
         '3: machine "sever" is not known here; did you mean "server"? (or a size such as 2x16)'),
        ("merge = true", 'io_wait = "hld"',
         '5: io_wait = "hld" is not known here; did you mean "hold"?'),
        ("merge = true", "merge = 1", "5: merge should be true or false, not a whole number"),
        ('[[thread.op]]\ndo = "read"\nat = "heap+1"',
         '[thread.workload]\nname = "page_fault_shared"\natt = "heap"',
         '13: key "att" is not known here; did you mean "at"?'),
        ('[[thread.op]]\ndo = "read"\nat = "heap+1"', 'workload = "page_fault_1"',
         '11: workload "page_fault_1" is not known here; did you mean "page_fault1"?'),
        ('[[thread.op]]\ndo = "read"\nat = "heap+1"', 'workload = "page_fault_shared"',
         '11: workload "page_fault_shared" must be told where: [thread.workload] with name and '
         "at"),
        ('name = "a"', 'name = "a"\nrepeat = 0',
         '9: thread "a" never ends: give it background = true, or give the scenario an until'),
        ('name = "a"', 'name = "a"\ncpu = 99',
         '11: cpu = 99, but machine "laptop" has CPUs 0 to 7'),
        ("pages = 4", "pages = 4\nstart = 5", "9: 0x5 is not the start of a page"),
        ("[[thread]]", '[[vma]]\nname = "heap"\npages = 1\n[[thread]]',
         '10: there are two [[vma]] with the name "heap"'),
        ('"heap+1"', '"heap+1', "13: not TOML: Illegal character '\\n'"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_file_line_key_and_a_way_out(
    good: str, bad: str, said: str
) -> None:
    assert good in GOOD
    assert complaint(GOOD.replace(good, bad, 1)) == f"ok.toml:{said}"


def test_overlapping_vmas_are_refused() -> None:
    placed = GOOD.replace("pages = 4", "pages = 4\nstart = 0x10000000")
    other = '[[vma]]\nname = "b"\npages = 1\nstart = 0x10003000\n[[thread]]'
    assert complaint(placed.replace("[[thread]]", other, 1)) == (
        'ok.toml:13: VMA "b" begins inside of "heap"'
    )


def test_a_message_holds_no_character_that_acts_on_a_terminal() -> None:
    said = complaint(GOOD.replace('do = "read"', 'do = "re\\u001b[31mad"'))
    assert "\x1b" not in said
    assert said.isprintable()


def test_a_deeply_nested_file_gives_no_traceback() -> None:
    with pytest.raises(ScenarioError):
        parse("a = " + "[" * 5000 + "]" * 5000, "deep.toml")


def test_files_that_are_no_text_are_unreadable(tmp_path: Path) -> None:
    junk = tmp_path / "junk.toml"
    junk.write_bytes(b"title = 'x'\n\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"junk\.toml:2: is not text") as caught:
        load(str(junk))
    assert caught.value.exit_code == 3
    with pytest.raises(ScenarioError, match="is a folder") as caught:
        load(str(tmp_path) + "/")
    assert caught.value.exit_code == 3


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match='did you mean "hello-fault"'):
        load("helo-fault")


def test_own_scenarios_are_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "pfviz" / "scenarios"
    folder.mkdir(parents=True)
    (folder / "hello-fault.toml").write_text(GOOD)
    (folder / "broken.toml").write_text("title = 3")
    assert load("hello-fault").title == "x"
    listed = {one.name: one for one in loading.listing()}
    assert listed["hello-fault"].path == str(folder / "hello-fault.toml")
    assert listed["broken"].error


def test_a_misspelt_fault_of_the_matrix_is_answered_with_it() -> None:
    with pytest.raises(ScenarioError, match=r'did you mean "file_read_miss"\?'):
        loading.find("fil_read_miss")
    with pytest.raises(ScenarioError, match=r'did you mean "hello-fault"\?'):
        loading.find("helo")


def test_a_list_that_is_too_long_says_how_much_is_left_out() -> None:
    with pytest.raises(ScenarioError, match=r", and [0-9]+ more$"):
        loading.find("zzz")


@pytest.mark.parametrize(
    ("word", "choices", "near"),
    [
        ("per_vma", ("per-vma", "mmap_lock"), "per-vma"),
        ("MMAP-LOCK", ("per-vma", "mmap_lock"), "mmap_lock"),
        ("lock", ("lockless", "per-vma"), "lockless"),
        ("zebra", ("per-vma",), None),
    ],
)
def test_the_nearest_word(word: str, choices: tuple[str, ...], near: str | None) -> None:
    assert nearest(word, choices) == near


@pytest.mark.parametrize(
    ("asked", "near"),
    [("6.13", "6.12"), ("6.2", "6.1"), ("6.11", "6.10"), ("6.14", "6.12"), ("5.15", "6.0"),
     ("7.1", "6.18"), ("8.0", "7.2"), ("6.19", "6.18"), ("v6.12", "6.12"), ("6.12.5", "6.12"),
     ("6.4-rc3", "6.4")],
)  # fmt: skip
def test_the_nearest_kernel_is_the_newest_that_is_not_newer(asked: str, near: str) -> None:
    assert f'the nearest is "{near}"' in version_hint(asked, PRESETS)


@pytest.mark.parametrize(
    ("asked", "near"),
    [("6.66", "6.6"), ("6.44", "6.4"), ("6.122", "6.12"), ("v6.77", "6.7"), ("6.181", "6.18")],
)
def test_a_number_that_no_kernel_has_is_a_typo_of_how_it_begins(asked: str, near: str) -> None:
    assert version_hint(asked, PRESETS) == f'; did you mean "{near}"?'
    # Nothing begins so: then the number decides, as it does for 6.19.
    assert 'the nearest is "6.0"' in version_hint("5.99", PRESETS)


def test_kernels_are_named_oldest_first_and_what_is_beyond_them_last() -> None:
    for word in ("6.13", "wombat"):
        assert version_hint(word, sorted(PRESETS)).endswith(f"of {KERNELS}")
    assert version_hint("beyont", PRESETS) == '; did you mean "beyond"?'


def test_what_is_no_version_is_answered_as_a_word() -> None:
    assert version_hint("latest", ["6.0", "6.1"]) == "; it is one of 6.0, 6.1"
