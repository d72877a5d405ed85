"""At most one driver of an experiment counts: the one with the highest number.

A driver whose pod could not be reached may come back when another one has taken over. Every status it writes is for the
version that it has read, and every version that the later driver wrote carries its name: so the earlier one can't write
anything without having read that name, and ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sparksweep_core.contract.names import driver_number


class Fence:
    """Whether this driver is still the one that counts. For many threads; once it is not, it never is again."""

    def __init__(self, driver: str, *, replaced: Callable[[str], None]) -> None:
        """`replaced` is called, once, with the name of the driver that has taken over."""
        self.driver = driver
        self.number = driver_number(driver) or 0
        self._replaced = replaced
        self._lock = threading.Lock()
        self._down = False

    def holds(self, writer: str | None) -> bool:
        """Whether this driver may go on, having read a status that `writer` wrote."""
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
        """Whether another driver has taken over."""
        with self._lock:
            return self._down
