"""Dice with a plain-integer state (splitmix64), so that a world with dice can be copied."""

from __future__ import annotations

from dataclasses import dataclass

_MASK = (1 << 64) - 1


@dataclass(slots=True)
class Rng:
    """Splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, the same on every machine."""

    state: int

    def next(self) -> int:
        """The next 64-bit number."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        """A number in [0, bound)."""
        assert bound > 0
        return self.next() % bound

    def fork(self, salt: int) -> Rng:
        """Independent dice for a part of the world, so that parts do not disturb each other."""
        return Rng((self.state ^ (salt * 0xD1B54A32D192ED03)) & _MASK)
