"""TensorBoard over all trials: a process of its own, started again when it ends.

It is a program here, not a library: nothing of it is imported, and what trials wrote is parsed in its process alone.
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
"""Seconds between two looks for new events."""

# Without TensorFlow, which it would import if it is there: that takes ten seconds and 400 MiB, for nothing.
_PROGRAM = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
from tensorboard.main import run_main
sys.argv[0] = "tensorboard"
sys.exit(run_main())
"""


def command(directory: Path, port: int, *, title: str) -> list[str]:
    """The command line of a TensorBoard that all of the pod's addresses lead to."""
    options = ["--bind_all", "--port", str(port), "--reload_interval", str(RELOAD_S)]
    return [
        sys.executable, "-c", _PROGRAM, "--logdir", str(directory), "--window_title", title, *options,
    ]  # fmt: skip


class KeptRunning:
    """Keeps a program running until closed."""

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
        """End it."""
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
