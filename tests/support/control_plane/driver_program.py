"""Program: a driver whose packages, and whose `driver_threads`, are those of the last release.

It reads variables, URL and the trials' duration as JSON from its standard input, and prints each trial that it begins. It
imports nothing of the tests' other helpers, which need this version's packages.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
import threading
import time
from typing import Any

import pytest

POLL_S = 0.05


class _PrintingList(list[tuple[str, int, int]]):
    """A list of plays that prints what is added."""

    def append(self, play: tuple[str, int, int]) -> None:
        super().append(play)
        sys.stdout.write(json.dumps(play) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Run the driver that standard input describes; return its exit code."""
    start: dict[str, Any] = json.load(sys.stdin)
    threads = importlib.import_module("driver_threads")
    threads.shorten_waits(pytest.MonkeyPatch())
    script = threads.Script(seconds=lambda _: start["trial_s"], plays=_PrintingList())
    driver = threads.DriverThread(
        threads.settings_in(start["environment"], start["server"]), script
    )
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=driver.stop).start())
    signal.signal(signal.SIGUSR1, lambda *_: driver.lose_a_slot())
    while not driver.has_ended:
        time.sleep(POLL_S)
    if driver.error is not None:
        raise driver.error
    code: int = driver.exit_code
    return code


if __name__ == "__main__":
    sys.exit(main())
