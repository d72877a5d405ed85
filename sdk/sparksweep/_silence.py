"""Warnings switched off for a moment, in one thread at a time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_switching = threading.RLock()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore warnings while the context lasts.

    The filters belong to the process: two threads that change and restore them at the same time would leave them
    changed, or read the linecache module's files while the other drops them.
    """
    with _switching, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
