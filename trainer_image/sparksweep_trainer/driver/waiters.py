"""Slots' requests that are held back until there may be an order: callbacks instead of threads that wait."""

from __future__ import annotations

from collections.abc import Callable

Wake = Callable[[], None]
"""Called once, under the service's lock, so it must neither block nor ask the service."""


class Waiters:
    """Requests that wait for the same thing, the oldest first. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._waiting: dict[Wake, None] = {}

    def add(self, wake: Wake) -> None:
        """Add a request; one that waits already keeps its place."""
        self._waiting.setdefault(wake)

    def discard(self, wake: Wake) -> bool:
        """Remove a request that waits no more; return False if it did not wait, or was woken."""
        if wake not in self._waiting:
            return False
        del self._waiting[wake]
        return True

    def notify(self, count: int = 1) -> None:
        """Wake the oldest requests, `count` at most."""
        for wake in list(self._waiting)[:count]:
            del self._waiting[wake]
            wake()

    def notify_all(self) -> None:
        """Wake all requests."""
        self.notify(len(self._waiting))
