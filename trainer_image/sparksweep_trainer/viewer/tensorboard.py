"""TensorBoard over all trials: a process of its own, restarted when it ends.

TensorBoard is a program here, not a library: nothing imports it, and its process alone parses trials' event files.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sparksweep_core.backoff import Backoff

log = logging.getLogger(__name__)

FIRST_RESTART_S = 2.0
LONGEST_RESTART_S = 60.0
RELOAD_S = 10
"""Seconds between two reloads of events."""

# Keeps TensorBoard from importing TensorFlow, which takes ten seconds and 400 MiB and has no use here.
_PROGRAM = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
from tensorboard.main import run_main
sys.argv[0] = "tensorboard"
sys.exit(run_main())
"""


def command(directory: Path, port: int, *, title: str, host: str | None = None) -> list[str]:
    """Return the command line of a TensorBoard that listens on one address, or on all of the pod's addresses."""
    address = ["--bind_all"] if host is None else ["--host", host]
    options = [*address, "--port", str(port), "--reload_interval", str(RELOAD_S)]
    return [
        sys.executable, "-c", _PROGRAM, "--logdir", str(directory), "--window_title", title, *options,
    ]  # fmt: skip


class RestartingProcess:
    """A program that is restarted whenever it ends, until closed."""

    def __init__(
        self, arguments: Sequence[str], *, first_restart_s: float = FIRST_RESTART_S
    ) -> None:
        self._arguments = arguments
        self._backoff = Backoff(first_restart_s, LONGEST_RESTART_S)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="tensorboard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the program."""
        with self._lock:
            self._closing.set()
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if self._closing.is_set():
                    return
                self._process = subprocess.Popen(self._arguments, stdin=subprocess.DEVNULL)
            code = self._process.wait()
            delay_s = self._backoff.next_s()
            if not self._closing.is_set():
                log.warning("TensorBoard has ended (%d); again in %.0f s", code, delay_s)
            self._closing.wait(delay_s)
