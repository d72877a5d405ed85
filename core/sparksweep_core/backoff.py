"""Exponential backoff: the delay before each try of something that keeps failing. Without a clock or randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

_MAX_EXPONENT = 64
"""Keeps ``factor ** failures`` finite; every delay has reached its maximum long before."""


@dataclass
class Backoff:
    """Delays that grow by a factor from `initial_s` to `maximum_s`. Not thread-safe: its owner holds a lock."""

    initial_s: float
    """Seconds before the first retry."""
    maximum_s: float
    """Longest delay in seconds, before jitter."""
    factor: float = 2.0
    """Ratio of each delay to the one before."""
    jitter: float = 0.0
    """Share of a delay that `uniform` may add or take away, so that clients don't retry in step."""
    uniform: Callable[[float, float], float] | None = None
    """Source of the jitter, such as ``random.uniform``; None for delays without jitter."""
    _failures: int = field(default=0, init=False)

    def delay_s(self, failures: int) -> float:
        """Return the delay in seconds after `failures` earlier failures (0 for the first retry), without jitter."""
        return min(self.maximum_s, self.initial_s * self.factor ** min(failures, _MAX_EXPONENT))

    def next_s(self, minimum_s: float = 0.0) -> float:
        """Return the delay in seconds before the next try, at least `minimum_s`, and lengthen the one after it."""
        delay_s = self.delay_s(self._failures)
        self._failures += 1
        if self.uniform is not None:
            delay_s *= self.uniform(1.0 - self.jitter, 1.0 + self.jitter)
        return max(minimum_s, delay_s)

    def reset(self) -> None:
        """Start again from `initial_s`, after a success."""
        self._failures = 0
