"""The driver of another release, whose packages a process of its own imports; its slots are threads there.

Run as a program it is that process: it reads variables, URL and duration as JSON from its standard input, and prints each trial that it
begins.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support.control_plane.driver_threads import DriverThread, Script, settings_in, shorten_waits

TESTS = Path(__file__).parents[2]
POLL_S = 0.05


class DriverProcess:
    """A driver in a process, from construction until it ends."""

    def __init__(
        self,
        environment: dict[str, str],
        server: str,
        script: Script,
        *,
        sources: Path,
        trial_s: float,
        log: Path,
    ) -> None:
        """Start it.

        Args:
            environment: the pod's variables.
            server: URL of the API server, without credentials.
            script: gets the plays of its trials.
            sources: folder of the packages to import.
            trial_s: seconds that each trial takes.
            log: file for its log.
        """
        self._script = script
        self._log = log
        path = os.pathsep.join([str(sources), str(TESTS)])
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.control_plane.driver_processes"],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        start = {"environment": environment, "server": server, "trial_s": trial_s}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(start))
        self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                driver, number, attempt = json.loads(line)
                with self._script.lock:
                    self._script.plays.append((driver, number, attempt))

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int:
        """Exit code of the process."""
        return self._process.wait()

    @property
    def error(self) -> AssertionError | None:
        """Its output, if it has ended by an exception."""
        if self._process.poll() in (None, 0):
            return None
        return AssertionError(self._log.read_text())

    def lose_a_slot(self) -> None:
        """End a slot as when its executor is lost."""
        self._process.send_signal(signal.SIGUSR1)

    def stop(self, timeout_s: float = 30) -> None:
        """End it as a signal does."""
        self._process.terminate()
        self._process.wait(timeout_s)
        self._reader.join(timeout_s)


class _PrintingList(list[tuple[str, int, int]]):
    """A list of plays that prints what is added."""

    def append(self, play: tuple[str, int, int]) -> None:
        super().append(play)
        sys.stdout.write(json.dumps(play) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Run the driver that standard input describes; return its exit code."""
    start: dict[str, Any] = json.load(sys.stdin)
    shorten_waits(pytest.MonkeyPatch())
    script = Script(seconds=lambda _: start["trial_s"], plays=_PrintingList())
    driver = DriverThread(settings_in(start["environment"], start["server"]), script)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=driver.stop).start())
    signal.signal(signal.SIGUSR1, lambda *_: driver.lose_a_slot())
    while not driver.has_ended:
        time.sleep(POLL_S)
    if driver.error is not None:
        raise driver.error
    return driver.exit_code


if __name__ == "__main__":
    sys.exit(main())
