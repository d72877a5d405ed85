"""Signal from another thread that ends the running trial: it wakes the supervisor's selector at once."""

from __future__ import annotations

import os
import threading


class StopSignal:
    """Flag that any thread may set, and a selector can wait for. Closed by its owner after the attempt."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def is_set(self) -> bool:
        """True if the signal was set."""
        return self._event.is_set()

    def set(self) -> None:
        """Set the signal; after `close` it wakes no selector."""
        with self._lock:
            self._event.set()
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        """Return the descriptor, which is readable once the signal is set; -1 after `close`."""
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
