"""The operator as a process, or as a thread of the tests where many are needed at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from sparksweep_core.contract.ports import OPERATOR_HEALTH_PATH, OPERATOR_READY_PATH
from sparksweep_operator.handlers import run_operator
from sparksweep_operator.settings import Settings
from support.control_plane.lab import wait_for

# No node has so many CPUs: the drivers' pods stay pending, whatever else runs on the cluster.
SETTINGS = Settings(trainer_image="docker.io/sparksweep/trainer:dev", driver_cpu="1000")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class OperatorProcess:
    """``python -m sparksweep_operator``.

    Args:
        kubeconfig: credentials and address of the API server.
        log: file that its output is added to.
        namespaces: namespaces to watch; empty for all.
        driver_cpu: CPUs that each driver requests.
        sources: folder of packages that come before the installed ones; None: the installed ones.
        ready_path: path of the probe that tells when it is ready.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        namespaces: Sequence[str] = (),
        *,
        driver_cpu: str = SETTINGS.driver_cpu,
        sources: Path | None = None,
        ready_path: str = OPERATOR_READY_PATH,
    ) -> None:
        self.kubeconfig = kubeconfig
        self.driver_cpu = driver_cpu
        self.log = log
        self.namespaces = namespaces
        self.sources = sources
        self.ready_path = ready_path
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it has reconciled what exists."""
        arguments = [word for name in self.namespaces for word in ("-n", name)]
        self.url = f"http://127.0.0.1:{self.port}{OPERATOR_HEALTH_PATH}"
        options = ["--log-format", "text", "--liveness", self.url]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sparksweep_operator", *arguments, *options],
                env={
                    **os.environ,
                    **({} if self.sources is None else {"PYTHONPATH": str(self.sources)}),
                    "KUBECONFIG": str(self.kubeconfig),
                    "SPARKSWEEP_TRAINER_IMAGE": SETTINGS.trainer_image,
                    "SPARKSWEEP_DRIVER_CPU": self.driver_cpu,
                },
                stdout=output,
                stderr=output,
            )
        wait_for(self.is_ready, "the operator is ready", timeout_s=60, state=self.output)

    def is_healthy(self) -> bool:
        """Return True if the liveness probe succeeds."""
        return self._answers(self.url)

    def is_ready(self) -> bool:
        """Return True if the readiness probe succeeds."""
        return self._answers(self.url.replace(OPERATOR_HEALTH_PATH, self.ready_path))

    def _answers(self, url: str) -> bool:
        process = self._process
        assert process is not None
        assert process.poll() is None, self.output()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def output(self) -> str:
        return self.log.read_text()

    def troubles(self) -> list[str]:
        """Return log lines about defects of the operator, as opposed to a request that failed once."""
        words = (" ERROR ", "Traceback", "inconsistencies", "unexpected", "Task was destroyed")
        lines = [line for line in self.output().splitlines() if "will retry" not in line]
        return [line for line in lines if any(word in line for word in words)]


class OperatorThread:
    """The operator in a thread: once its requests no longer pass, only their effects remain."""

    def __init__(self, namespace: str) -> None:
        """Serve a namespace. The kubeconfig is the environment's."""
        self._namespace = namespace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "the operator does not end"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.error = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await run_operator(SETTINGS, namespaces=[self._namespace], liveness=None, stop=self._stop)
