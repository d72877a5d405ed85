"""The life of a driver pod: takes over, starts Spark, and runs until it must end."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from sparksweep_core.api.trials import Trial
from sparksweep_core.api_server.errors import KubeError, Restored
from sparksweep_core.contract.driver_config import EXECUTOR_POD_FILE, POD_TEMPLATE_SETTING
from sparksweep_core.contract.labels import experiment_selector
from sparksweep_core.contract.ports import METRICS_PORT, TRIAL_SERVER_PORT
from sparksweep_core.errors import SparkNotStarted, Unreadable
from sparksweep_trainer.driver.slot_loss import Explain, Loss, without_explanation
from sparksweep_trainer.driver.spark import Driver, DriverSettings
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes import prometheus
from sparksweep_trainer.kubernetes.api_client import ApiClient, batches_path, pods_path
from sparksweep_trainer.kubernetes.batches import Batches
from sparksweep_trainer.kubernetes.executor_probe import ExecutorProbe
from sparksweep_trainer.kubernetes.executor_template import write_template
from sparksweep_trainer.kubernetes.executor_watch import ExecutorWatch
from sparksweep_trainer.kubernetes.executor_watch import selector as executor_selector
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import Informer
from sparksweep_trainer.kubernetes.run_files import RunFiles
from sparksweep_trainer.kubernetes.settings import ClusterSettings
from sparksweep_trainer.kubernetes.status_writer import StatusWriter

log = logging.getLogger(__name__)

LINGER_S = 10.0
"""Seconds that an idle slot stays while more work may come."""
PATIENCE_S = 60.0
"""Seconds that a slot goes on while this driver does not answer. It covers pauses; the driver's end ends the executors
anyway."""
INTERRUPT_S = 3.0
"""Seconds for slots to report the ends of their trials when the driver must end, beside the grace period of these. All
steps of its end but that period take less than `DRIVER_GRACE_S`."""
END_S = 2.0
"""Seconds that slots, Spark and Java may each take to end."""
FLUSH_S = 2.0
"""Seconds to write the last statuses."""
COPY_S = 300.0
"""Seconds to copy the last files when the experiment is over and nothing waits for the driver."""
POLL_S = 0.5
"""Seconds between two health checks."""


class End(Enum):
    """Reason why a driver ends."""

    TERMINATED = "a signal asked for it"
    REPLACED = "another driver has taken over"
    DELETED = "the experiment is being deleted"
    OVER = "the experiment has ended"
    FAILED = "it failed"

    @property
    def exit_code(self) -> int:
        """Exit code of the process."""
        return 1 if self is End.FAILED else 0


_INTERRUPTED = {
    # The driver learns of neither: its pod is deleted.
    End.TERMINATED: "stopped by the Experiment's suspension, or with its driver's pod; it starts again",
    End.REPLACED: "stopped with its driver, which another one replaces; it starts again",
    End.FAILED: "stopped with its driver, which failed; it starts again",
}
"""Messages of trials that ran when the driver ended."""


class Application:
    """The driver of one experiment."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._end: End | None = None
        self._is_replaced = False
        self.last_words = ""
        """Reason for the pod's status if it is not the program's own fault; empty otherwise."""
        self._fence = Fence(settings.driver, replaced=self._replaced)
        objective = settings.program.objective
        self._writer = StatusWriter(
            ApiClient(settings.endpoint),
            namespace=settings.namespace,
            fence=self._fence,
            objective=objective.objective_metric_name if objective else None,
            on_error=self._failed,
        )
        self._files = RunFiles.of(settings, self._writer.report)
        self._service = TrialService(
            settings.program,
            record=self._record,
            added=self._added,
            slots=1,
            linger_s=LINGER_S,
        )
        self._batches = Batches(
            self._service,
            self._writer,
            self._fence,
            connect=lambda: ApiClient(settings.endpoint),
            gone=self._gone,
            closed=lambda: self.end(End.OVER),
            on_error=self._failed,
        )
        self._executors = self._executor_watch()
        self._probe = ExecutorProbe(settings, is_without=self._is_without_executors)
        self._driver: Driver | None = None

    def end(self, why: End) -> None:
        """End the driver, for the first reason given; from any thread, but from no signal handler."""
        self._end = self._end or why
        self._stop.set()

    def run(self) -> End:
        """Run until `end` is called; return the reason.

        Raises:
            Unreadable: this version does not understand a batch that it was to take over.
        """
        version = self._batches.take_over(
            batches_path(self._settings.namespace),
            experiment=self._settings.experiment,
            stop=self._stop,
        )
        if self._stop.is_set():
            return self._end or End.TERMINATED
        watches = self._watches(version)
        for watch in watches:
            watch.start()
        self._batches.claims.start()
        self._writer.start()
        if self._files is not None:
            self._files.start()
        self._start_sweeping()
        self._start_metrics()
        # In a thread, because Java takes seconds to start, and the driver may have to end meanwhile.
        threading.Thread(target=self._start_spark, name="start-spark", daemon=True).start()
        self._monitor()
        end = self._end or End.TERMINATED
        log.info("the driver ends: %s", end.value)
        for watch in watches:
            watch.close()
        self._batches.claims.close()
        self._leave()
        if self._files is not None and self._files.problem is not None:
            # No status tells of it any more.
            self.last_words = self.last_words or self._files.problem
        return end

    # ------------------------------------------------------------------ the parts

    def _executor_watch(self) -> ExecutorWatch | None:
        prefix = self._settings.executor_prefix
        if prefix is None:
            return None
        return ExecutorWatch(
            prefix=prefix,
            driver_number=self._fence.number,
            memory=self._settings.program.trial_template.resources.memory,
            lose=self._lose_executor,
            give_up=self._service.code_check.give_up,
            has_registered=self._service.has_registered,
        )

    def _watches(self, version: str | None) -> list[Informer]:
        """Return the watches: of the batches from the version at which they were taken over, and of executors' pods."""
        settings = self._settings
        watches = [
            Informer(
                settings.endpoint,
                batches_path(settings.namespace),
                self._batches,
                selector=experiment_selector(settings.experiment),
                version=version or None,
                on_error=self._failed,
            )
        ]
        if self._executors is not None:
            watches.append(
                Informer(
                    settings.endpoint,
                    pods_path(settings.namespace),
                    self._executors,
                    selector=executor_selector(settings.experiment),
                    on_error=self._failed,
                )
            )
        return watches

    def _start_sweeping(self) -> None:
        if self._executors is not None:
            api = ApiClient(self._settings.endpoint)
            threading.Thread(
                target=self._executors.run,
                args=(api, self._settings.namespace),
                kwargs={"stop": self._stop, "then": self._probe.step},
                name="sweep-executors",
                daemon=True,
            ).start()

    def _start_metrics(self) -> None:
        def is_healthy() -> bool:
            return self._driver is not None and self._driver.is_healthy

        # Until the process ends. At every address of the pod, so that a port can be forwarded to it, too.
        if self._executors is not None:
            registry = prometheus.driver_registry(
                self._service, self._writer, is_healthy=is_healthy
            )
            prometheus.serve("", METRICS_PORT, registry)

    def _start_spark(self) -> None:
        explain: Explain = (
            without_explanation if self._executors is None else self._executors.explain
        )
        try:
            driver_settings = self._driver_settings()
            files = None if self._files is None else self._files.files
            driver = Driver(
                self._service,
                driver_settings,
                files=files,
                explain=explain,
                discard=None if self._executors is None else self._executors.discard,
            )
            driver.__enter__()
        except SparkNotStarted as error:
            if not self._stop.is_set():
                log.error("%s", error)
                self._failed(error)
            return
        except Exception as error:
            if not self._stop.is_set():
                log.exception("Spark does not start")
                self._failed(error)
            return
        self._driver = driver
        log.info("Spark runs as %s", driver.application_id)

    def _driver_settings(self) -> DriverSettings:
        settings = self._settings
        return DriverSettings(
            app_name=f"sparksweep {settings.experiment}",
            master=settings.master,
            host=settings.host,
            port=TRIAL_SERVER_PORT if self._executors is not None else 0,
            tls=True,
            patience_s=PATIENCE_S,
            end_patience_s=END_S,
            conf={**settings.conf, **self._first_executors(), **self._executor_template()},
        )

    def _executor_template(self) -> dict[str, str]:
        """Return the setting of the executors' pod template, with the Secret of this driver in it."""
        secret = self._settings.spark_secret
        template = self._settings.conf.get(POD_TEMPLATE_SETTING)
        if secret is None or template is None:
            return {}
        target = Path(tempfile.mkdtemp(prefix="sparksweep-executor-")) / EXECUTOR_POD_FILE
        write_template(Path(template), target, spark_secret=secret)
        return {POD_TEMPLATE_SETTING: str(target)}

    def _first_executors(self) -> dict[str, str]:
        """Return settings by which Spark requests the first executors while it starts, not seconds later in steps of
        1, 2, 4.
        """
        if self._settings.conf.get("spark.dynamicAllocation.enabled") != "true":
            return {}
        return {"spark.dynamicAllocation.initialExecutors": str(self._service.slots_wanted)}

    def _monitor(self) -> None:
        """Wait for the end; meanwhile put a refusal of the trial code into the status, and end if Spark has."""
        refused = False
        while not self._stop.wait(POLL_S):
            refusal = self._service.code_check.refusal
            if refusal is not None and not refused:
                refused = True
                self._writer.refuse(refusal)
            self._writer.set_problem(self._problem())
            if self._driver is not None and not self._driver.is_healthy:
                # Without Spark this driver is of no use. The operator starts another one.
                log.error("Spark has ended")
                self.end(End.FAILED)

    def _problem(self) -> str | None:
        """Return the trouble that a user should know of; None without any."""
        files = None if self._files is None else self._files.problem
        return self._writer.refusal or self._probe.problem or files

    def _is_without_executors(self) -> bool:
        """Return True if no executor exists, though Spark runs and trials need one."""
        if self._executors is None or self._driver is None:
            return False
        return not self._executors.has_executors and self._service.slots_wanted > 0

    # ------------------------------------------------------------------ what happens

    def _added(self, trials: Sequence[Trial]) -> None:
        """Pass on new trials. Called under the trial service's lock."""
        if self._files is not None:
            self._files.add(trials)

    def _record(self, changed: Sequence[Trial]) -> None:
        """Pass on changed trials. Called under the trial service's lock."""
        self._writer.record([trial.status for trial in changed])
        if self._files is not None:
            self._files.record(changed)

    def _lose_executor(self, name: str, loss: Loss) -> None:
        if self._driver is not None:
            self._driver.lose(name, loss)

    def _replaced(self, by: str) -> None:
        log.warning("%s has taken over", by)
        self._is_replaced = True
        self.end(End.REPLACED)

    def _gone(self, batch: str) -> None:
        log.info("batch %s is gone", batch)
        self.end(End.DELETED)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Unreadable | Restored):
            self.last_words = str(error)
        self.end(End.FAILED)

    # ------------------------------------------------------------------ the end

    def _leave(self) -> None:
        """Give the executors back and write the last statuses."""
        end = self._end or End.TERMINATED
        self._service.interrupt(_INTERRUPTED.get(end, f"stopped with its driver: {end.value}"))
        began = time.monotonic()
        version = -1
        while self._driver is not None and self._service.running:
            if time.monotonic() - began >= INTERRUPT_S + self._trials_grace_s:
                break
            version = self._service.wait(version, 0.1)
        # Trials that still run end with their executors.
        self._service.abandon()
        driver = self._driver
        if driver is not None:
            application = driver.application_id
            driver.close()
            self._remove_executors(application)
        self._writer.close(flush_s=FLUSH_S)
        if self._files is not None:
            over = self._end is End.OVER
            self._files.close(flush_s=FLUSH_S, copy_s=COPY_S if over else FLUSH_S)

    @property
    def _trials_grace_s(self) -> float:
        """Seconds for which running trials may save what they have; none if nothing of theirs counts any more."""
        is_in_vain = self._is_replaced or self._end in (End.REPLACED, End.FAILED)
        return 0.0 if is_in_vain else self._settings.trials_grace_s

    def _remove_executors(self, application: str) -> None:
        if self._executors is None:
            return
        query = {"labelSelector": f"spark-app-selector={application}"}
        with ApiClient(self._settings.endpoint, timeout_s=FLUSH_S) as api:
            try:
                api.request("DELETE", pods_path(self._settings.namespace), query=query)
            except KubeError as error:
                # Executors end by themselves, and their pods are owned by this driver's pod.
                log.warning("the executors' pods are not removed: %s", error)
