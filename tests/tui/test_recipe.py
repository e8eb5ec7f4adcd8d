"""A run is made again from its recipe: the same events, or others from one decision on."""

from pfviz.tui.player import Player
from pfviz.tui.recipe import Recipe
from pfviz.tui.run import Run
from pfviz.views.timeline import FAULT, OPERATION
from pfviz.views.workload_position import WorkloadPosition

from .runs import player, recipe


def finished(made: Recipe) -> Run:
    run = made.start()
    while not run.finished:
        run.advance(1.0)
    return run


def test_the_same_recipe_gives_the_same_run() -> None:
    assert finished(recipe()).log.digest() == finished(recipe()).log.digest()


def test_another_choice_keeps_everything_before_it() -> None:
    first = finished(recipe())
    assert first.chooser is not None
    decision = first.chooser.after(first.origin + 200)
    assert decision is not None
    other = (decision.chosen + 1) % len(decision.names)
    second = finished(recipe().with_choice(decision.number, other))
    size = decision.position * 56
    assert first.log.rows[:size] == second.log.rows[:size]
    assert first.log.digest() != second.log.digest()
    assert second.chooser is not None
    assert second.chooser.decision(decision.number).chosen == other


def test_a_choice_made_again_takes_back_those_after_it() -> None:
    made = recipe().with_choice(3, 1).with_choice(7, 0).with_choice(5, 1)
    assert made.overrides.choices == ((3, 1), (5, 1))


def test_another_mode_forgets_choices_of_who_ran() -> None:
    changed = recipe().with_choice(3, 1).with_changes(mode="mmap_lock")
    assert not changed.overrides.choices


def test_a_kernel_without_vma_locks_has_no_such_mode() -> None:
    assert recipe(kernel="6.1", mode=None).modes() == ("mmap_lock", "lockless")
    assert recipe().modes() == ("mmap_lock", "per-vma", "lockless")


def test_a_policy_is_switched_and_switched_back() -> None:
    made = recipe().with_policy("merge", False)
    assert made.policy()["merge"] is False
    assert made.with_policy("merge", True).policy() == recipe().policy()
    assert len(made.with_policy("merge", True).overrides.policy) == 1


def test_another_mode_is_found_at_the_same_place_in_the_workload() -> None:
    made = player()
    made.go(made.run.timeline.nth(7, OPERATION))
    made.by(FAULT, 1)
    place = WorkloadPosition.of(made)
    assert place.operations >= 7
    other = player(mode="mmap_lock")
    position = place.find(other)
    assert position is not None
    other.go(position)
    assert WorkloadPosition.of(other).operations == place.operations


def test_a_place_that_is_not_computed_yet_is_waited_for() -> None:
    made = player()
    made.go(made.run.timeline.nth(15, OPERATION))
    place = WorkloadPosition.of(made)
    fresh = recipe(mode="lockless").start()
    other = Player.__new__(Player)
    other.run = fresh
    assert place.find(other) is None
    while not fresh.finished:
        fresh.advance(1.0)
    assert place.find(other) is not None
