"""Panes at every size: nothing overlaps, nothing is lost, the focused pane is always seen."""

from hypothesis import given
from hypothesis import strategies as st

from pfviz.views.layout import PANES, Needs, plan

sizes = st.tuples(st.integers(1, 320), st.integers(1, 120))
needs = st.builds(Needs, st.integers(0, 300), st.integers(0, 5000), st.integers(0, 500))


@given(sizes, st.sampled_from(PANES), st.booleans(), needs)
def test_every_screen_is_filled_exactly(
    size: tuple[int, int], focused: str, zoomed: bool, wanted: Needs
) -> None:
    width, height = size
    made = plan(width, height, focused, zoomed, wanted)
    if made.kind == "tiny":
        return
    bars = made.header_lines + made.tab_lines + made.sentence_lines + made.hint_lines
    assert sum(lines for lines, _ in made.rows) + bars == height
    for lines, row in made.rows:
        assert lines >= 3
        assert sum(cells for _, cells in row) == width
    assert focused in made.visible
    assert len(made.visible) == len(set(made.visible))


def test_the_named_sizes_have_the_named_panes() -> None:
    wanted = Needs(8, 12, 4)
    assert plan(200, 60, "threads", False, wanted).visible == PANES
    assert plan(120, 40, "threads", False, wanted).visible == PANES
    assert plan(80, 24, "threads", False, wanted).visible == ("threads", "locks")
    assert plan(80, 24, "counters", False, wanted).visible == ("threads", "counters")
    assert plan(40, 10, "tree", False, wanted).visible == ("tree",)
    assert plan(1, 1, "tree", False, wanted).kind == "tiny"


def test_a_maximised_pane_is_alone() -> None:
    assert plan(200, 60, "tree", True, Needs()).visible == ("tree",)


def test_many_threads_get_more_lanes_than_few() -> None:
    few = plan(120, 40, "threads", False, Needs(2, 8, 2)).rows[0][0]
    many = plan(120, 40, "threads", False, Needs(64, 8, 2)).rows[0][0]
    assert many > few


def test_at_80_by_24_seven_threads_all_get_a_lane_and_the_legend() -> None:
    lanes = plan(80, 24, "locks", False, Needs(7, 8, 2)).rows[0][0] - 2
    assert lanes >= 7 + 1
    assert plan(80, 24, "locks", False, Needs(16, 8, 2)).rows[0][0] == 8, "too many: two equals"


def test_a_roomy_screen_has_lanes_that_are_two_lines_high_if_all_can_be() -> None:
    few = plan(200, 60, "locks", False, Needs(5, 8, 2))
    assert few.lane_lines == 2
    assert few.rows[0][0] - 2 >= 5 * 3 + 2
    assert plan(120, 40, "locks", False, Needs(5, 8, 2)).lane_lines == 1
