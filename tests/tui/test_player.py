"""The player moves a cursor over a run: playing, stepping, searching, stopping, deciding."""

from pfviz.sim import event
from pfviz.tui.go_to import errand_to
from pfviz.tui.player import Player
from pfviz.views.timeline import CUE, EVENT, FAULT, HANDOVER, STEP

from .runs import capture, player, race, said


def play(made: Player, seconds: float, frames_per_s: int = 15) -> None:
    """Let so much of the viewer's time pass while the engine computes ahead."""
    if not made.playing:
        made.toggle()
    for _ in range(round(seconds * frames_per_s)):
        made.work(0.01)
        made.tick(1 / frames_per_s)


def test_a_run_begins_with_its_world_set_up() -> None:
    made = player()
    assert made.now_ns == 0
    assert [task.name for task in made.frame.people()] == ["toucher1", "toucher2", "mapper"]
    assert any(vma.name == "block" for vma in made.frame.vmas.values())


def test_playing_moves_the_cursor_by_the_speed() -> None:
    made = player()
    made.rung = 6
    began_ns = made.now_ns
    made.toggle()
    made.tick(0.1)
    made.tick(0.1)
    # The first stretch of user time is longer than the viewer should wait: it may be skipped.
    assert made.now_ns >= began_ns + made.speed_ns * 0.2 - 1
    assert made.index == made.run.timeline.index_at(made.now_ns)


def test_the_first_speed_shows_single_steps() -> None:
    made = player(whole=False)
    assert made.run.step_ns < made.speed_ns < made.run.step_ns * 100
    assert made.speed_ns == player(whole=False).speed_ns


def test_a_stretch_without_events_is_skipped() -> None:
    made = player()
    made.rung = 3
    made.toggle()
    skipped_ns = 0
    for _ in range(30):
        made.tick(0.1)
        skipped_ns += made.skipped_ns
    # At 10 ns a second the first microsecond of user mode would last for minutes.
    assert skipped_ns > 500
    assert made.index > made.run.origin


def test_playing_reaches_the_end_and_says_so() -> None:
    made = player()
    made.rung = 15
    for _ in range(200):
        if made.at_end:
            break
        if not made.playing:  # A cue may have paused.
            made.toggle()
        made.tick(1.0)
    assert made.at_end
    assert not made.playing
    assert "ends here" in said(made)


def test_a_step_back_undoes_a_step_forward() -> None:
    made = player()
    for _ in range(40):
        made.by(STEP, 1)
    here = made.index
    shown = made.frame.copy()
    made.by(STEP, 1)
    assert made.index > here
    made.by(STEP, -1)
    assert made.index == here
    assert made.frame == shown


def test_every_unit_goes_there_and_back() -> None:
    made = player()
    for unit in (STEP, EVENT, FAULT, HANDOVER):
        made.go_start()
        made.by(unit, 1)
        made.by(unit, 1)
        second = made.index
        made.by(unit, 1)
        assert made.index > second, unit
        made.by(unit, -1)
        assert made.index == second, unit


def test_nothing_comes_before_the_start() -> None:
    made = player()
    made.by(STEP, -1)
    assert made.index == made.run.origin
    assert "start of the run" in said(made)
    made.by(HANDOVER, -1)
    assert made.index == made.run.origin


def test_looking_back_is_the_past_and_playing_returns() -> None:
    made = player()
    for _ in range(30):
        made.by(STEP, 1)
    assert not made.in_past
    made.by(STEP, -1)
    made.by(STEP, -1)
    assert made.in_past
    play(made, 3.0)
    assert not made.in_past


def test_the_end_key_leaves_the_past_before_it_goes_to_the_end() -> None:
    made = player()
    for _ in range(30):
        made.by(STEP, 1)
    present = made.index
    made.go_start()
    made.go_end()
    assert made.index == present
    made.go_end()
    assert made.at_end


def test_an_errand_waits_for_the_engine() -> None:
    made = player(whole=False)
    made.look_for(errand_to("op 900", made))
    assert made.errand is not None
    while made.errand is not None:
        made.work(0.01)
    assert made.run.timeline.count(made.index, "operation") == 900


def test_what_never_comes_is_not_looked_for_for_ever() -> None:
    made = player(whole=False)
    made.search("sigbus_never_happens")
    while made.errand is not None:
        made.work(0.05)
    assert "ends without" in said(made)


def test_a_pausing_cue_stops_the_play_at_its_moment() -> None:
    made = player()
    made.rung = 13
    play(made, 20)
    cue = made.run.cues.found()[1]
    assert cue.pause
    assert made.index == cue.position
    assert not made.playing


def test_cues_are_gone_through_in_both_directions() -> None:
    made = player()
    first, second = made.run.cues.found()
    made.by(CUE, 1)
    assert made.index == first.position
    made.by(CUE, 1)
    assert made.index == second.position
    made.by(CUE, -1)
    assert made.index == first.position


def test_a_search_goes_to_the_hit_and_back() -> None:
    made = player()
    made.search("mapper munmap")
    first = made.index
    row = made.run.log.row(first - 1)
    assert row[1] in (event.OP_BEGIN, event.STEP, event.MA_OP, event.MA_WRITE)
    made.found(1)
    assert made.index > first
    made.found(-1)
    assert made.index == first
    assert "Hit 1 of" in said(made)


def test_a_breakpoint_stops_the_play() -> None:
    made = player()
    meaning = made.marks.add_breakpoint("step vma_start_write")
    assert "vma_start_write" in meaning
    made.rung = 11
    play(made, 30)
    step = made.frame.tasks[made.frame.step_task].step
    assert made.run.log.steps[step].function == "vma_start_write"
    assert "Stopped" in said(made)


def test_bookmarks_are_gone_round() -> None:
    made = player()
    for _ in range(3):
        made.by(FAULT, 1)
        made.toggle_bookmark()
    marks = list(made.marks.bookmarks)
    made.next_bookmark()
    assert made.index == marks[0]
    made.next_bookmark()
    assert made.index == marks[1]
    made.toggle_bookmark()
    assert made.marks.bookmarks == [marks[0], marks[2]]


def test_a_decision_is_asked_for_where_it_comes() -> None:
    made = player()
    asked = []
    made.next_decision(asked.append)
    assert len(asked) == 1
    assert len(asked[0].names) >= 2
    assert made.index == asked[0].position


def test_a_capture_is_played_by_events_and_backwards() -> None:
    made = Player(capture())
    while not made.run.finished:
        made.run.advance(1.0)
    for _ in range(50):
        made.by(STEP, 1)
    here = made.index
    shown = made.frame.copy()
    made.by(STEP, 1)
    made.by(STEP, -1)
    assert made.index == here
    assert made.frame == shown
    made.by(FAULT, 1)
    assert made.index > here


def test_nobody_can_choose_in_a_capture() -> None:
    words: list[str] = []
    made = Player(capture(), words.append)
    made.next_decision(lambda _: None)
    assert "happened already" in words[-1]


def test_the_engine_computes_in_slices() -> None:
    run = race()
    before = len(run.log)
    run.advance(0.0)
    assert len(run.log) - before < 2_000
    assert not run.finished
