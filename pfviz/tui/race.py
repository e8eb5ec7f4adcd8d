"""Several players of the same workload as one: lined up by operations done, or by time.

The first player leads: keys act on it, and the others are brought to where they have done as much
work (or to the same time).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pfviz.views.compare import Alignment, Divergence
from pfviz.views.timeline import OPERATION
from pfviz.views.workload_position import WorkloadPosition, as_far

from .player import Player

BY_OPERATIONS: Final = "operations"
BY_TIME: Final = "time"
FAULTS_AHEAD: Final = 12
SEARCHED_EVENTS: Final = 60_000
"""So far the runs are computed in any case, to find where they part."""


class Race:
    """Players side by side; the first one leads."""

    def __init__(self, players: Sequence[Player]) -> None:
        assert players
        self.players = tuple(players)
        self.by = BY_OPERATIONS
        self.alignment = Alignment([player.run.timeline for player in players])
        self.divergence: Divergence | None = None
        self._compared = 0

    @property
    def leader(self) -> Player:
        """The player that keys act on."""
        return self.players[0]

    def align(self) -> None:
        """Bring the followers to where the leader stands, as far as their runs are known."""
        leader = self.leader
        if self.by == BY_TIME:
            for player in self.players[1:]:
                now_ns = min(leader.now_ns, max(player.run.known_ns, 0))
                _place(player, player.run.timeline.index_at(now_ns), now_ns)
            return
        for player in self.players[1:]:
            index = as_far(player, leader)
            _place(player, index, player.run.timeline.time_at(index))

    def work(self, seconds: float) -> bool:
        """Compute ahead for the leader and for whoever cannot keep up; whether more is to do."""
        more = self.leader.work(seconds)
        for player in self.players[1:]:
            if self.behind(player):
                player.run.advance(seconds)
                more = more or self.behind(player)
        return more

    def behind(self, player: Player) -> bool:
        """Whether a follower's run must be computed further to keep up with the leader."""
        run, leader = player.run, self.leader
        if run.finished:
            return False
        if self.divergence is None and len(run.timeline) < SEARCHED_EVENTS:
            return True
        if self.by == BY_TIME:
            return run.known_ns < leader.now_ns + leader.speed_ns
        ahead = WorkloadPosition.of(leader).further(FAULTS_AHEAD)
        return ahead.find(player) is None

    def first_divergence(self) -> Divergence | None:
        """The first operation that the first two do differently, looked for until there is one."""
        known = sum(player.run.count(OPERATION) for player in self.players[:2])
        if self.divergence is None and len(self.players) > 1 and known > self._compared:
            self._compared = known
            self.alignment.extend()
            self.divergence = self.alignment.first_divergence()
            if self.divergence is not None:
                self.leader.marks.parted = self.divergence.index_first
        return self.divergence


def _place(player: Player, index: int, now_ns: int) -> None:
    player.playing = False
    player.index = max(index, player.run.origin)
    player.now_ns = now_ns
    player.present = max(player.present, index)
