"""Fencing: only the driver with the highest number may write, so that an experiment has one driver that counts.

A driver whose pod was unreachable may come back after another one has taken over. Each of its writes is for the
resource version that it has read, and every version since the takeover carries the later driver's name. So the
earlier driver can't write without having read that name, and ends when it does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sparksweep_core.contract.names import driver_number


class Fence:
    """Tells whether this driver is still the current one. Thread-safe; once replaced, a driver stays replaced."""

    def __init__(self, driver: str, *, replaced: Callable[[str], None]) -> None:
        """Call `replaced` once, with the name of the driver that has taken over."""
        self.driver = driver
        self.number = driver_number(driver) or 0
        self._replaced = replaced
        self._lock = threading.Lock()
        self._down = False

    def holds(self, writer: str | None) -> bool:
        """Return True if this driver may go on after reading a status that `writer` wrote."""
        number = None if writer is None else driver_number(writer)
        with self._lock:
            if self._down:
                return False
            if writer is None or number is None or number <= self.number:
                return True
            self._down = True
        self._replaced(writer)
        return False

    @property
    def is_down(self) -> bool:
        """True if another driver has taken over."""
        with self._lock:
            return self._down
