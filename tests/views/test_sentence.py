"""The lines under the panes: who gets how many of them."""

from pfviz.views.cues import Caption
from pfviz.views.look import Look
from pfviz.views.painters import Scene
from pfviz.views.rows import plain
from pfviz.views.sentence import paint_sentence
from pfviz.views.timeline import Timeline
from tests.views import logs

CAPTION = "Here a monitor reads smaps, as one does every few seconds, and loses its CPU. " * 3


def scene() -> Scene:
    timeline = Timeline(logs.monitor().log)
    return Scene(timeline.at(len(timeline)), timeline, Look(selected=0))


def test_a_caption_never_cuts_the_end_of_who_waits_for_whom() -> None:
    for lines in (3, 4):
        rows = plain(paint_sentence(scene(), "", Caption(CAPTION), 80, lines)).splitlines()
        assert rows[0].startswith("◇ Here a monitor")
        assert " ".join(rows[-2:]).startswith("app-0 waits: smaps has held mmap_lock")
        assert rows[-1].rstrip().endswith("queues too.")


def test_at_80_by_24_a_caption_of_two_lines_and_the_sentence_both_have_room() -> None:
    rows = plain(paint_sentence(scene(), "", Caption(CAPTION[:150]), 80, 4)).splitlines()
    assert "…" not in "".join(rows)


def test_a_caption_whose_moment_has_passed_says_so_and_is_dim() -> None:
    past = paint_sentence(scene(), "", Caption("A reader comes.", is_past=True), 80, 4)
    fresh = paint_sentence(scene(), "", Caption("A reader comes."), 80, 4)
    assert plain(past).startswith("◇ earlier: A reader comes.")
    assert {style for text, style in past[0] if text.strip()} == {"dim"}
    assert "strong" in {style for _, style in fresh[0]}
