"""The driver of an experiment in a thread: the real one but for Spark, whose executors are threads that play trials."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sparksweep_core.api import TrialReason, TrialState
from sparksweep_trainer.driver.slot_loss import Loss, SlotFailed
from sparksweep_trainer.driver.slot_manager import SlotManager
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes import application
from sparksweep_trainer.kubernetes.api_client import Endpoint
from sparksweep_trainer.kubernetes.application import Application, End
from sparksweep_trainer.kubernetes.settings import ClusterSettings, load
from sparksweep_trainer.protocol import Assignment, Heartbeat, Outcome, Report, SlotHello
from sparksweep_trainer.slot.trial_client import Address, DriverGone, TrialClient

PATIENCE_S = 0.5


def score(parameters: dict[str, str]) -> float:
    """Return the metric of a trial, a function of its parameters."""
    return sum((float(value) - 3.25) ** 2 for value in parameters.values())


@dataclass
class Script:
    """The plays of an experiment's trials, by whatever driver, and what they are to do."""

    seconds: Callable[[Assignment], float] = lambda _: 0.0
    outcome: Callable[[Assignment], TrialReason] = lambda _: TrialReason.COMPLETED
    plays: list[tuple[str, int, int]] = field(default_factory=list)
    """Driver, number and attempt of each trial that was begun."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Slots:
    """Implements `SlotJobs` by threads."""

    def __init__(self, driver: str, script: Script, address: Address) -> None:
        self._driver = driver
        self._script = script
        self._address = address
        self._cancelled: dict[int, threading.Event] = {}

    def start(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        cancelled = self._cancelled[slot] = threading.Event()
        threading.Thread(
            target=self._run, args=(slot, cancelled, ended), name=f"slot-{slot}", daemon=True
        ).start()

    def cancel(self, slot: int) -> None:
        self._cancelled[slot].set()

    def lose_one(self) -> None:
        """End a slot as when its executor is lost."""
        for slot, cancelled in list(self._cancelled.items()):
            if not cancelled.is_set():
                self.cancel(slot)
                return

    def _run(
        self,
        slot: int,
        cancelled: threading.Event,
        ended: Callable[[SlotFailed | None], None],
    ) -> None:
        client = TrialClient(self._address)
        failed: SlotFailed | None = None
        try:
            client.hello(SlotHello(slot=slot, node=f"executor-{slot}", pid=1))
            while not cancelled.is_set():
                order = client.next(slot)
                if order.order == "leave":
                    break
                if order.order == "check":
                    client.passed(slot)
                elif order.order == "run" and order.assignment is not None:
                    self._play(slot, order.assignment, client, cancelled)
        except DriverGone:
            pass
        finally:
            client.close()
            if cancelled.is_set():
                failed = SlotFailed("the executor is lost", executor_lost=True)
            del self._cancelled[slot]
            ended(failed)

    def _play(
        self, slot: int, assignment: Assignment, client: TrialClient, cancelled: threading.Event
    ) -> None:
        with self._script.lock:
            self._script.plays.append((self._driver, assignment.number, assignment.attempt))
        began, state = time.monotonic(), TrialState.SUCCEEDED
        reason = self._script.outcome(assignment)
        end = began + self._script.seconds(assignment)
        beat = Heartbeat(slot=slot, number=assignment.number, attempt=assignment.attempt)
        asked = self._heartbeat(beat)
        while (left := end - time.monotonic()) > 0:
            if cancelled.wait(min(left, 0.05)):
                return
            if asked.is_set():
                state, reason = TrialState.STOPPED, TrialReason.INTERRUPTED
                break
        if state is TrialState.SUCCEEDED and reason is not TrialReason.COMPLETED:
            state = TrialState.FAILED
        now = datetime.now(UTC)
        succeeded = state is TrialState.SUCCEEDED
        outcome = Outcome(
            state=state,  # type: ignore[arg-type]
            reason=reason,
            metrics={"score": score(assignment.parameters)} if succeeded else {},
            message="" if succeeded else f"the trial ended: {reason}",
            start_time=now,
            completion_time=now,
            duration_seconds=time.monotonic() - began,
        )
        client.report(
            Report(slot=slot, number=assignment.number, attempt=assignment.attempt, outcome=outcome)
        )

    def _heartbeat(self, beat: Heartbeat) -> threading.Event:
        """Ask in a thread of its own for the order to stop; return the event of that order."""
        stop = threading.Event()

        def ask() -> None:
            client = TrialClient(self._address)
            with suppress(DriverGone):
                if client.heartbeat(beat).order == "stop":
                    stop.set()
            client.close()

        threading.Thread(target=ask, daemon=True).start()
        return stop


class DriverWithoutSpark:
    """Has the interface of `sparksweep_trainer.driver.spark.Driver`; slots are threads."""

    is_healthy = True

    def __init__(self, service: TrialService, name: str, script: Script) -> None:
        self.application_id = name
        self._service = service
        self._server = TrialServer(service)
        address = Address("127.0.0.1", self._server.port, self._server.token, PATIENCE_S)
        self.slots = _Slots(name, script, address)
        self._manager = SlotManager(service, self.slots, first_restart_s=0.05)
        self._manager.start()

    def lose(self, node: str, loss: Loss) -> None:
        self._manager.lose(node, loss)

    def close(self) -> None:
        self._service.close()
        self._manager.close(2.0)
        self._server.close()


class _Application(Application):
    def __init__(self, settings: ClusterSettings, script: Script) -> None:
        self._script = script
        super().__init__(settings)

    def _start_spark(self) -> None:
        self._driver = cast(Any, DriverWithoutSpark(self._service, self._settings.driver, self._script))  # fmt: skip


class DriverThread:
    """A driver's `Application`, from construction until it ends."""

    def __init__(self, settings: ClusterSettings, script: Script) -> None:
        self.name = settings.driver
        self.end: End | None = None
        self.error: BaseException | None = None
        self._application = _Application(settings, script)
        self._thread = threading.Thread(target=self._run, name=settings.driver, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.end = self._application.run()
        except BaseException as error:
            self.error = error

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def exit_code(self) -> int:
        """Exit code of the program that it stands for."""
        return 0 if self.end is None else self.end.exit_code

    def lose_a_slot(self) -> None:
        """End a slot as when its executor is lost."""
        driver = cast(Any, self._application._driver)
        if driver is not None:
            driver.slots.lose_one()

    def stop(self, timeout_s: float = 30) -> None:
        """End it as a signal does; its requests may be cut off."""
        self._application.end(End.TERMINATED)
        self._thread.join(timeout_s)
        assert self.has_ended, f"{self.name} does not end"


def settings_in(environment: Mapping[str, str], server: str) -> ClusterSettings:
    """Return the settings that a driver reads in its pod, with executors that are no pods.

    Args:
        environment: the pod's variables.
        server: URL of the API server, without credentials.
    """
    return dataclasses.replace(
        load(environment),
        master="local[2]",
        endpoint=Endpoint(server=server),
        run_directory=None,
        storage_uri=None,
    )


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Shorten the waits of drivers in threads, whose slots answer at once."""
    for name, seconds in {"FLUSH_S": 0.3, "INTERRUPT_S": 0.5, "POLL_S": 0.1, "LINGER_S": 2.0}.items():  # fmt: skip
        patch.setattr(application, name, seconds)
