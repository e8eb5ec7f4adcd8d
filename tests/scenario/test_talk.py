"""Talk files: what is read from one, and what its author is told who misspelt something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pfviz.scenario import talk_load
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.load import listing, load
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.talk import Stop, Talk
from pfviz.scenario.talk_schema import json_schema

GOOD = """\
schema_version = 1
title = "t"
minutes = 10
[[scene]]
title = "words"
say = "hello"
[[scene]]
title = "a run"
minutes = 4
scenario = "fault-storm"
mode = "mmap_lock"
policy = { merge = false }
threads = 4
panes = ["threads", "locks"]
from = "2us"
[[scene.stop]]
when = "page_fault_user #20"
say = "first"
[[scene.stop]]
at = "20us"
say = "second"
focus = "tree"
speed = "3us"
[[scene.stop]]
at = "end"
panes = ["latency"]
[[scene]]
title = "two"
scenario = "fault-storm"
compare = ["6.4 per-vma", "merge=false"]
cues = "scenario"
[[scene]]
title = "matrix"
matrix = { kind = "anon_write", kernel = "6.1" }
[[scene.stop]]
kernel = "6.4"
say = "cell"
"""


def read(text: str = GOOD) -> Talk:
    return talk_load.parse(text, "/nowhere/ok.toml")


def complaint(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return str(caught.value).removeprefix("/nowhere/ok.toml:")


def test_scenes_get_what_they_say_and_a_share_of_the_minutes() -> None:
    talk = read()
    assert [scene.minutes for scene in talk.scenes] == [2.0, 4.0, 2.0, 2.0]
    words, run, two, matrix = talk.scenes
    assert words.runs == ()
    assert words.stops == ()
    assert run.runs == (Overrides(mode="mmap_lock", threads=4, policy=(("merge", False),)),)
    assert (run.begin_ns, run.begin_when) == (2000, "")
    assert two.labels == ("6.4 per-vma", "merge=false")
    assert two.runs[0] == Overrides(kernel="6.4", mode="per-vma")
    assert two.runs[1] == Overrides(policy=(("merge", False),))
    assert matrix.begin.kernel == "6.1"
    assert talk.begins_min(two) == 6.0


def test_what_a_stop_does_not_say_stays_as_it_was() -> None:
    run = read().scenes[1]
    first, second, last = (run.view(run.stops[:count]) for count in (1, 2, 3))
    assert (first.say, first.panes, first.focus) == ("first", ("threads", "locks"), "threads")
    assert (second.panes, second.focus) == (("threads", "tree"), "tree")
    assert (last.say, last.panes, last.focus) == ("second", ("latency",), "latency")
    assert last.speed_ns == 3000
    assert run.stops[2].is_end


def test_panes_and_focus_last_until_a_stop_says_others_and_notes_do_not() -> None:
    scene = replace(read().scenes[1], panes=("threads", "locks", "tree"), focus="threads")
    stops = (
        Stop("a", note="say this", panes=("counters", "latency"), focus="latency"),
        Stop("b"),
        Stop("c", focus="counters"),
        Stop("d", panes=("latency",)),
    )
    views = [scene.view(stops[:count]) for count in range(1, 5)]
    both = ("counters", "latency")
    assert [view.panes for view in views] == [both, both, both, ("latency",)]
    assert [view.focus for view in views] == ["latency", "latency", "counters", "latency"]
    assert [view.note for view in views] == ["say this", "", "", ""]


def test_a_scenario_s_question_is_asked_as_its_file_has_it() -> None:
    asked = 0
    for name in (one.name for one in listing()):
        scenario = load(name)
        alone = {one.ask: one for one in talk_load.alone(scenario, Overrides()).questions}
        for question in scenario.question:
            one = alone.get(question.ask)
            if one is not None:
                assert one.answers[one.right - 1] == question.answers[question.right - 1]
                asked += 1
    assert asked


def test_the_cues_of_a_scenario_are_those_of_the_run_and_then_its_end() -> None:
    two = read().scenes[2]
    assert all(stop.is_cue for stop in two.stops[:-1])
    assert two.stops[-1].is_end
    assert not any("since 6.17" in stop.say for stop in two.stops), "this is 6.4"
    assert [asked.is_of_scenario for asked in two.questions] == [True]


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('title = "words"', 'titel = "words"',
         '5: key "titel" is not known here; did you mean "title"?'),
        ('scenario = "fault-storm"\nmode', 'scenario = "fault-strom"\nmode',
         '10: scenario "fault-strom" is neither a file nor the name of a scenario; '
         'did you mean "fault-storm"?'),
        ('mode = "mmap_lock"', 'mode = "mmap-lock"',
         '11: mode = "mmap-lock" is not known here; did you mean "mmap_lock"?'),
        ('mode = "mmap_lock"', 'kernel = "6.1"\nmode = "per-vma"', '12: '),
        ("merge = false", "merg = false",
         '12: policy "merg" is not known here; did you mean "merge"?'),
        ("merge = false", 'merge = "no"', '12: merge cannot be "no"'),
        ('panes = ["threads", "locks"]', 'panes = ["threads", "lock"]',
         '14: panes = "lock" is not known here; did you mean "locks"?'),
        ('panes = ["threads", "locks"]', 'panes = ["locks", "locks"]', '14: pane "locks" is named'),
        ('from = "2us"', 'from = "2"', '15: event "2" is not known here'),
        ('when = "page_fault_user #20"', 'when = "page_fault_usr #20"',
         '17: event "page_fault_usr" is not known here; did you mean "page_fault_user"?'),
        ('at = "20us"', 'at = "20"', "20: at is not a time: write it in quotes"),
        ('at = "20us"', 'at = "20us"\nwhen = "io_end"', "19: say when: either `at`"),
        ('at = "20us"', 'kind = "anon_write"\nat = "20us"', "20: kind is for scenes of the matrix"),
        ('"6.4 per-vma"', '"6.4 pervma"',
         '30: "pervma" is no mode, no kernel and no policy; did you mean "per-vma"?'),
        ('kind = "anon_write"', 'kind = "anon_wrte"',
         '34: kind "anon_wrte" is not known here; did you mean "anon_write"?'),
        ('kernel = "6.4"', 'kernel = "6.41"',
         '36: kernel "6.41" is not known here; did you mean "6.4"?'),
        ('kernel = "6.4"', 'when = "io_end"', "35: in the matrix a stop is a cell"),
        ('say = "hello"', 'say = "hello"\nmode = "per-vma"', "7: mode needs a scenario"),
        ("minutes = 10", "minutes = 3", "3: minutes = 3, but the scenes have 4 minutes together"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line_with_a_way_out(good: str, bad: str, said: str) -> None:
    assert good in GOOD
    assert complaint(GOOD.replace(good, bad, 1)).startswith(said)


def test_a_talk_is_known_by_its_scenes_or_by_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = tmp_path / "pfviz" / "talks" / "my-own-talk.toml"
    own.parent.mkdir(parents=True)
    own.write_text(GOOD.replace('title = "t"', 'title = "t"\nname = "mine"', 1))
    assert talk_load.is_talk("mine")
    assert talk_load.is_talk("my-own-talk")
    assert talk_load.is_talk(str(own))
    assert talk_load.open_talk("mine").path == str(own)
    assert not talk_load.is_talk("fault-storm")
    with pytest.raises(ScenarioError, match='did you mean "mine"'):
        talk_load.open_talk("mien")


def test_a_scenario_by_path_is_looked_for_from_where_the_talk_is(tmp_path: Path) -> None:
    text = 'schema_version = 1\ntitle = "t"\n[[scene]]\ntitle = "a"\nscenario = "sub/one.toml"\n'
    (tmp_path / "sub").mkdir()
    (tmp_path / "talk.toml").write_text(text)
    with pytest.raises(ScenarioError, match=r"talk.toml:5: .*there is no such file"):
        talk_load.open_talk(str(tmp_path / "talk.toml"))
    (tmp_path / "sub" / "one.toml").write_text(
        'schema_version = 1\ntitle = "x"\n[[thread]]\nname = "a"\n[[thread.op]]\ndo = "exit"\n'
    )
    talk = talk_load.open_talk(str(tmp_path / "talk.toml"))
    assert talk.scenes[0].scenario == str(tmp_path / "sub" / "one.toml")
    assert talk.scenarios[talk.scenes[0].scenario].title == "x"


def test_editors_get_every_key() -> None:
    scene = json_schema()["$defs"]["SceneTable"]["properties"]
    assert {"from", "compare", "matrix", "stop", "question"} <= set(scene)
