"""The Spark driver: starts Spark, the trial server, and one long-lived Spark task for each slot.

Only this module and `spark_jobs` import pyspark. Spark schedules and watches the executors. The trial service assigns
trials to slots, `retry_policy` decides what runs again, and the slot manager decides how many slots there are.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway

from sparksweep_core.errors import SparkNotStarted
from sparksweep_trainer.driver import serial_filter
from sparksweep_trainer.driver.java_process import Connection, JavaEnded, JavaProcess
from sparksweep_trainer.driver.run_certificate import RunCertificate
from sparksweep_trainer.driver.slot_loss import Explain, Loss, without_explanation
from sparksweep_trainer.driver.slot_manager import SlotManager
from sparksweep_trainer.driver.spark_environment import (
    log_end,
    read_by_pyspark,
    spark_environment,
)
from sparksweep_trainer.driver.spark_errors import first_line_of_cause, text_of
from sparksweep_trainer.driver.spark_jobs import SparkJobs
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.slot.trial_client import Address
from sparksweep_trainer.trial.processes import descendants, send_signal

log = logging.getLogger(__name__)

SPARK_HOME = Path(pyspark.__file__).parent
"""Home of the Spark that came with pyspark, whatever other one the environment names."""

COMMON_CONF = {
    # A slot's task ends when the slot does: Spark must neither retry it, nor count its failures, nor run it twice.
    "spark.task.maxFailures": "1",
    "spark.speculation": "false",
    "spark.excludeOnFailure.enabled": "false",
    # One Python process a slot, and none left behind for the next.
    "spark.python.worker.reuse": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A local Spark makes a secret by itself; on a cluster the settings name a file.
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.saslFallback": "false",
}


@dataclass(frozen=True)
class DriverSettings:
    """Settings to start Spark with."""

    app_name: str
    """Name of the Spark application."""
    master: str
    """Spark's master: ``local[N]`` or ``k8s://...``."""
    log_file: Path | None = None
    """File for Spark's own output; None: the output of this process."""
    host: str = "127.0.0.1"
    """Address of this machine that executors connect to."""
    port: int = 0
    """Port of the trial server; 0: any."""
    tls: bool = False
    """True if the trial server speaks TLS: others can read the network between it and its slots."""
    patience_s: float = 5.0
    """Seconds for which a slot goes on while the trial server does not answer."""
    end_patience_s: float = 5.0
    """Seconds that slots, Spark and Java may each take to end."""
    java: JavaProcess | None = None
    """A Java that was started before; None: Spark's own script starts JAVA_HOME's, or the one on the PATH."""
    conf: Mapping[str, str] = field(default_factory=dict)
    """Further Spark settings; they override the common ones."""


class Driver:
    """A Spark application whose tasks are slots of the trial service. A context manager."""

    def __init__(
        self,
        service: TrialService,
        settings: DriverSettings,
        *,
        files: FileStore | None = None,
        explain: Explain = without_explanation,
        discard: Callable[[str], None] | None = None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            service: the trials.
            settings: Spark's settings.
            files: where slots' files are stored; None: slots keep them.
            explain: gives the reason for a lost slot.
            discard: called with the name of an executor whose slot sends nothing, to end what is left there; None: Spark
                runs on this machine.
            give_up: asked while Java starts; once it returns True, the driver is left without Spark and slots.
        """
        self._service = service
        self._files = files
        self._give_up = give_up
        self._settings = settings
        self._explain = explain
        self._discard = discard
        self._server: TrialServer | None = None
        self._context: SparkContext | None = None
        self._gateway: Any = None
        self._java = settings.java
        self._withheld: dict[str, str] = {}
        self._slots: SlotManager | None = None
        self._application_id = ""

    def __enter__(self) -> Driver:
        """Start the trial server, Spark and the slots.

        Raises:
            SparkNotStarted: Spark or its Java does not start.
        """
        certificate = RunCertificate.make() if self._settings.tls else None
        server = self._server = TrialServer(
            self._service,
            files=self._files,
            host=self._settings.host,
            port=self._settings.port,
            certificate=certificate,
        )
        try:
            self._context = self._start_spark()
        except BaseException:
            self.close()
            raise
        if self._context is None:
            return self

        def address(slot: int) -> Address:
            return Address(
                host=self._settings.host,
                port=server.port,
                token=server.token(slot),
                patience_s=self._settings.patience_s,
                certificate=None if certificate is None else certificate.text,
            )

        self._application_id = str(self._context.applicationId)
        jobs = SparkJobs(self._context, address)
        self._slots = SlotManager(
            self._service, jobs, explain=self._explain, discard=self._end_silent
        )
        self._slots.start()
        return self

    @property
    def application_id(self) -> str:
        """Spark's ID of the application, which its executors' pods are labelled with; "" before it has started."""
        return self._application_id

    @property
    def is_healthy(self) -> bool:
        """True while Spark runs: without it no slot starts again."""
        context = self._context
        if context is None or self._java is None or self._java.process.poll() is not None:
            return False
        try:
            return not context._jsc.sc().isStopped()
        except Exception as error:
            log.warning("Spark does not answer whether it runs: %s", text_of(error))
            return False

    def lose(self, node: str, loss: Loss) -> None:
        """Record that an executor is gone, before Spark does."""
        if self._slots is not None:
            self._slots.lose(node, loss)

    def _end_silent(self, node: str, pid: int) -> None:
        """End the process of a slot that sends nothing: Spark leaves a stopped one alone when its job is cancelled."""
        if self._discard is not None:
            self._discard(node)
        elif self._java is not None and pid in descendants(self._java.process.pid):
            send_signal([pid], signal.SIGKILL)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Order the slots to leave, then stop Spark and its JVM. Trials that still run are killed."""
        self._service.close()
        if self._slots is not None:
            self._slots.close(self._settings.end_patience_s)
            self._slots = None
        if self._context is not None and self._settings.java is not None:
            _halt(self._context)
            self._context = None
        if self._context is not None:
            # In a thread, because it may wait for executors that don't answer.
            stopping = threading.Thread(target=self._context.stop, name="stop-spark", daemon=True)
            stopping.start()
            stopping.join(timeout=self._settings.end_patience_s)
            self._context = None
        self._stop_java()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _start_spark(self) -> SparkContext | None:
        """Start Spark; return None if `give_up` returned True before Java was ready."""
        conf = SparkConf(loadDefaults=False)
        conf.setAppName(self._settings.app_name).setMaster(self._settings.master)
        for key, value in {**COMMON_CONF, **self._settings.conf}.items():
            conf.set(key, value)
        filter_objects(conf, master=self._settings.master)
        # Slots run this very Python, whatever `python3` is first on the PATH.
        environment = spark_environment(
            os.environ,
            spark_home=SPARK_HOME,
            python=sys.executable,
            java_home=None,
        )
        self._withheld = read_by_pyspark(os.environ)
        for name in self._withheld:
            del os.environ[name]
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        try:
            self._java = self._java or self._launch_java(conf, environment)
            connection = self._java.connection(self._give_up)
            if connection is None:
                return None
            self._gateway = _gateway_to(connection)
            return self._make_context(conf)
        except (OSError, JavaEnded, PySparkException, Py4JError) as error:
            raise self._not_started(first_line_of_cause(error)) from error

    def _launch_java(self, conf: SparkConf, environment: Mapping[str, str]) -> JavaProcess:
        settings = [word for key, value in conf.getAll() for word in ("--conf", f"{key}={value}")]
        command = [str(SPARK_HOME / "bin" / "spark-submit"), *settings, "pyspark-shell"]
        return JavaProcess(command, log_file=self._settings.log_file, environment=environment)

    def _not_started(self, why: str) -> SparkNotStarted:
        log_file = self._settings.log_file
        where = "its output is in this log" if log_file is None else f"its log is {log_file}"
        end = log_end(log_file)
        return SparkNotStarted(
            f"Spark does not start: {why}; {where}" + (f", which ends with:\n{end}" if end else "")
        )

    def _make_context(self, conf: SparkConf) -> SparkContext:
        # PySpark registers converters of SQL's types for the whole process. Asking the one for NumPy arrays imports
        # pyspark.testing, and that imports pandas, which takes 0.9 s; nothing here goes to Java as an array.
        client = self._gateway._gateway_client
        client.converters = [
            converter
            for converter in client.converters
            if not type(converter).__module__.startswith("pyspark.sql.")
        ]
        previous_handler = signal.getsignal(signal.SIGINT)
        context = SparkContext(conf=conf, gateway=self._gateway)
        if threading.current_thread() is threading.main_thread():
            # In the main thread PySpark puts a handler of its own here, which raises KeyboardInterrupt.
            signal.signal(signal.SIGINT, previous_handler)
        return context

    def _stop_java(self) -> None:
        # A Java that PySpark is not connected to does not look at its standard input yet.
        patience_s = 0.0 if self._gateway is None else self._settings.end_patience_s
        if self._gateway is not None:
            self._gateway.shutdown()
            self._gateway = None
            # PySpark keeps the gateway of a process's first context for its next one.
            SparkContext._gateway = None
            SparkContext._jvm = None
        if self._java is not None:
            self._java.close(patience_s)
            self._java = None
        os.environ.update(self._withheld)
        self._withheld = {}


def filter_objects(conf: SparkConf, *, master: str) -> None:
    """Add the filters of received Java objects to the options of the driver's and the executors' Java.

    A Java that runs already has the options of its own command.
    """
    own = serial_filter.MESSAGES_AND_TASKS if master.startswith("local") else serial_filter.MESSAGES
    filters = {
        "spark.driver.extraJavaOptions": own,
        "spark.executor.extraJavaOptions": serial_filter.MESSAGES_AND_TASKS,
    }
    for key, pattern in filters.items():
        options = conf.get(key, "") or ""
        conf.set(key, f"{options} {serial_filter.java_option(pattern)}".strip())


def _gateway_to(connection: Connection) -> Any:
    """Return PySpark's gateway to a Java that listens."""
    # As for a program that spark-submit has started, where Java comes first, too.
    variables = {
        "PYSPARK_GATEWAY_PORT": str(connection.port),
        "PYSPARK_GATEWAY_SECRET": connection.secret,
    }
    os.environ.update(variables)
    try:
        return launch_gateway()  # type: ignore[no-untyped-call]
    finally:
        for name in variables:
            del os.environ[name]


def _halt(context: SparkContext) -> None:
    """End Java at once. Stopping Spark first takes a second, and has no use where no executor outlives Java."""
    jvm = context._jvm
    SparkContext._active_spark_context = None
    # The answer never comes.
    with suppress(Exception):
        if jvm is not None:
            jvm.java.lang.Runtime.getRuntime().halt(0)
