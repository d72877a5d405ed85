"""The trials of a run that run on this machine at the same time, each in a slot of its own."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class RunningTrial:
    """One of them, while the block lasts: it shares a lock on the directory of the trials."""

    def __init__(self, directory: Path) -> None:
        """Take the directory of the trials, which exists."""
        self._directory = directory
        self._lock = -1

    def __enter__(self) -> RunningTrial:
        self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._share()
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._lock)

    def is_alone(self) -> bool:
        """Return True if no other trial runs now; False, too, where a file system has no locks."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            # A lock that can't be converted is lost.
            self._share()
        return True

    def _share(self) -> None:
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_SH)
