"""Players side by side: the same place in the workload, or the same time."""

from pfviz.tui.race import BY_TIME, Race
from pfviz.views.timeline import FAULT, OPERATION, STEP
from pfviz.views.workload_position import WorkloadPosition

from .runs import player


def race_of(*modes: str) -> Race:
    return Race([player(mode=mode) for mode in modes])


def test_all_have_done_as_much_as_the_leader() -> None:
    race = race_of("mmap_lock", "per-vma", "lockless")
    for _ in range(25):
        race.leader.by(FAULT, 1)
        race.align()
        done = [WorkloadPosition.of(one).operations for one in race.players]
        assert len(set(done)) == 1


def test_followers_move_between_the_ends_of_faults_too() -> None:
    race = race_of("mmap_lock", "per-vma")
    leader = race.leader
    places = set()
    for _ in range(200):
        leader.by(STEP, 1)
        race.align()
        places.add(race.players[1].index)
    ends = leader.run.timeline.count(leader.index, FAULT)
    assert len(places) > 2 * ends


def test_by_time_all_show_the_same_moment() -> None:
    race = race_of("mmap_lock", "lockless")
    race.by = BY_TIME
    race.leader.go(race.leader.run.timeline.nth(10, OPERATION))
    race.align()
    assert race.players[1].now_ns == race.leader.now_ns


def test_modes_part_in_the_first_operation_that_faults() -> None:
    race = race_of("mmap_lock", "per-vma")
    parted = race.first_divergence()
    assert parted is not None
    assert parted.first != parted.second
    assert race.leader.marks.parted == parted.index_first


def test_the_same_mode_never_parts() -> None:
    assert race_of("per-vma", "per-vma").first_divergence() is None


def test_a_follower_that_lags_is_computed_further() -> None:
    race = Race([player(whole=False, mode="mmap_lock"), player(whole=False, mode="per-vma")])
    before = len(race.players[1].run.timeline)
    for _ in range(50):
        if not race.work(0.02):
            break
    assert len(race.players[1].run.timeline) > before
