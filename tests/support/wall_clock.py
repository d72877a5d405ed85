"""A wall clock that a test sets, for all of sparksweep's modules in this process. The monotonic clock goes on."""

from __future__ import annotations

import datetime as library
import sys
import time
from datetime import datetime, timedelta, tzinfo

import pytest


class WallClock:
    """Takes the place of `datetime.now` and `time.time`, by the true time and an offset."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta(0)
        clock, true_time = self, time.time

        class Settable(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Settable:
                return datetime.now(tz) + clock.offset  # type: ignore[return-value]

        self.modules: list[str] = []
        """Modules that read the wall clock from here."""
        for name, module in list(sys.modules.items()):
            if name.startswith("sparksweep") and vars(module).get("datetime") is library.datetime:
                patch.setattr(module, "datetime", Settable)
                self.modules.append(name)
        patch.setattr(time, "time", lambda: true_time() + clock.offset.total_seconds())

    def set(self, offset: timedelta) -> None:
        """Set the clock to the true time and an offset."""
        self.offset = offset
