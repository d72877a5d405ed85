"""An order to end the running trial, from another thread: it wakes the supervisor's selector at once."""

from __future__ import annotations

import os
import threading


class StopSignal:
    """Set once, from any thread; readable as a file descriptor when set. Closed by its owner after the attempt."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def is_set(self) -> bool:
        """Whether the order was given."""
        return self._event.is_set()

    def set(self) -> None:
        """Give the order; after `close`, nobody is there to hear it."""
        with self._lock:
            self._event.set()
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        """Readable when set."""
        return self._descriptor

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
