"""The Spark driver: starts Spark, the trial server, and one long-lived Spark task for each slot.

The only importer of pyspark. Spark places and watches the executors; which trial runs where, what counts as a failure
and what runs again is the trial service's business.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pyspark import InheritableThread, SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway

from sparksweep_trainer.client import Address
from sparksweep_trainer.server import TrialServer
from sparksweep_trainer.service import TrialService
from sparksweep_trainer.slot import SlotTask

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0
"""Longest pause before a slot that keeps ending at once is started again."""

COMMON_CONF = {
    # A slot's task ends when the slot does: Spark must neither repeat it, nor count it, nor run it twice.
    "spark.task.maxFailures": "1",
    "spark.speculation": "false",
    "spark.excludeOnFailure.enabled": "false",
    # One Python process a slot, and none left behind for the next.
    "spark.python.worker.reuse": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@dataclass(frozen=True)
class DriverSettings:
    """How to start Spark."""

    app_name: str
    """Name of the Spark application."""
    master: str
    """Spark's master: ``local[N]`` or ``k8s://...``."""
    slots: int
    """How many trials run at once."""
    log_file: Path
    """Where Spark's own output goes."""
    host: str = "127.0.0.1"
    """Address of this machine that executors reach."""
    patience_s: float = 5.0
    """How long a slot goes on when the trial server does not answer."""
    java_home: Path | None = None
    """The Java to use; None: JAVA_HOME, or the one on the PATH."""
    conf: Mapping[str, str] = field(default_factory=dict)
    """Further Spark settings; they win over the common ones."""


class Driver:
    """A Spark application whose tasks are slots of the trial service. A context manager."""

    def __init__(self, service: TrialService, settings: DriverSettings) -> None:
        self._service = service
        self._settings = settings
        self._server: TrialServer | None = None
        self._context: SparkContext | None = None
        self._gateway: Any = None
        self._output: IO[bytes] | None = None
        self._slots: list[threading.Thread] = []
        self._closing = threading.Event()

    def __enter__(self) -> Driver:
        self._server = TrialServer(self._service, host=self._settings.host)
        try:
            self._context = self._start_spark()
        except BaseException:
            self.close()
            raise
        address = Address(
            host=self._settings.host,
            port=self._server.port,
            token=self._server.token,
            patience_s=self._settings.patience_s,
        )
        for slot in range(self._settings.slots):
            thread = InheritableThread(
                target=self._keep_slot, args=(slot, address), name=f"slot-{slot}", daemon=True
            )
            thread.start()
            self._slots.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the slots leave, then stop Spark and its JVM. Trials that still run are killed."""
        self._closing.set()
        self._service.close()
        for thread in self._slots:
            thread.join(timeout=self._settings.patience_s)
        if self._context is not None:
            self._context.stop()
            self._context = None
        self._stop_java()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _start_spark(self) -> SparkContext:
        conf = SparkConf(loadDefaults=False)
        conf.setAppName(self._settings.app_name).setMaster(self._settings.master)
        for key, value in {**COMMON_CONF, **self._settings.conf}.items():
            conf.set(key, value)
        # Slots run this very Python, whatever `python3` is first on the PATH.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        if self._settings.java_home is not None:
            os.environ["JAVA_HOME"] = str(self._settings.java_home)
        # Java's output goes to a file of its own: standard output belongs to the command's result.
        self._output = self._settings.log_file.open("ab")
        self._gateway = launch_gateway(  # type: ignore[no-untyped-call]
            conf, {"stdout": self._output, "stderr": subprocess.STDOUT, "start_new_session": True}
        )
        heeded = signal.getsignal(signal.SIGINT)
        context = SparkContext(conf=conf, gateway=self._gateway)
        if threading.current_thread() is threading.main_thread():
            # In the main thread PySpark puts a handler of its own here, which raises KeyboardInterrupt.
            signal.signal(signal.SIGINT, heeded)
        return context

    def _stop_java(self) -> None:
        if self._gateway is not None:
            process: subprocess.Popen[bytes] = self._gateway.proc
            self._gateway.shutdown()
            # Java ends when its standard input does.
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout=self._settings.patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._gateway = None
            # PySpark keeps the gateway of a process's first context for its next one.
            SparkContext._gateway = None
            SparkContext._jvm = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def _keep_slot(self, slot: int, address: Address) -> None:
        """Run one slot's Spark task, again whenever it ends before its time."""
        pause_s = 0.5
        while not self._closing.is_set():
            context = self._context
            if context is None:
                return
            try:
                context.parallelize([slot], 1).foreachPartition(SlotTask(slot, address))
            except Exception as error:
                # Spark raises one type for a lost executor, a killed Python process and a stopped context alike.
                if self._closing.is_set():
                    return
                log.warning("slot %d was lost: %s", slot, _first_line(error))
                self._service.lose(slot, "Its executor was lost.")
                self._closing.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            self._service.lose(slot, "Its slot ended.")
            return


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
