"""The driver of the last release in a process of its own, which imports that release's packages; its slots are threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from support import last_release
from support.control_plane.driver_threads import Script

PROGRAM = Path(__file__).with_name("driver_program.py")


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
        path = os.pathsep.join([str(sources), str(last_release.DATA)])
        # -P: beside the program there is this version's `driver_threads`.
        with log.open("a") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM)],
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
