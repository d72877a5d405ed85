"""The slot: the body of one long-lived Spark task. It asks for a trial, runs it, reports its outcome, and asks again.

A Spark task for each trial would cost 110 ms, and Spark would count its failures by its own rules. A slot costs two
requests a trial, and ends only when there is no more work, or when the driver is gone.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from sparksweep_core.api.reasons import TrialState
from sparksweep_trainer.protocol import Assignment, Heartbeat, Outcome, Refusal, Report, SlotHello
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner
from sparksweep_trainer.slot.trial_client import Address, DriverGone, TrialClient
from sparksweep_trainer.slot.uploader import FileUploader
from sparksweep_trainer.trial.removal import remove_tree

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SlotTask:
    """Task that Spark sends to a slot: plain values, so that no object of the driver is pickled with it."""

    slot: int
    address: Address

    def __call__(self, partition: Iterable[int]) -> None:
        """Run the slot to its end. Spark calls this with the partition, whose one element is not used."""
        for _ in partition:
            run_slot(self.slot, self.address)


def run_slot(slot: int, address: Address) -> None:
    """Run trials until the driver lets the slot leave, or is gone."""
    client = TrialClient(address)
    try:
        program = client.hello(SlotHello(slot=slot, node=socket.gethostname(), pid=os.getpid()))
        file_client = TrialClient(address) if program.sends_files else None
        with (
            TrialRunner(program, slot=slot, owns_process=True) as runner,
            _Heartbeats(slot, address) as heartbeats,
        ):
            _serve(slot, client, runner, heartbeats, file_client)
    except DriverGone as error:
        # Not an error of this task: Spark would log a stack trace for a run that was ended on purpose.
        log.warning("slot %d ends: %s", slot, error)
    finally:
        client.close()


def _serve(
    slot: int,
    client: TrialClient,
    runner: TrialRunner,
    heartbeats: _Heartbeats,
    file_client: TrialClient | None,
) -> None:
    kept: Path | None = None
    while True:
        order = client.next(slot)
        if order.order == "leave":
            return
        if order.order == "check":
            message = runner.check()
            if message is None:
                client.passed(slot)
            else:
                client.refuse(Refusal(slot=slot, message=message))
        elif order.order == "run" and order.assignment is not None:
            assignment = order.assignment
            directory = runner.directory(assignment.number)
            if file_client is not None and kept is not None and kept != directory:
                # Another slot has that trial's next attempt.
                remove_tree(kept)
            outcome = _run(assignment, slot, runner, heartbeats, file_client)
            may_go_on = outcome.state is TrialState.FAILED and runner.may_retry
            kept = directory if may_go_on and not assignment.is_last else None
            client.report(
                Report(
                    slot=slot,
                    number=assignment.number,
                    attempt=assignment.attempt,
                    outcome=outcome,
                )
            )
            if file_client is not None:
                # The driver has the files; those of hundreds of trials must not fill the executor's disk.
                if kept is None:
                    remove_tree(directory)
                runner.clear(kept=[] if kept is None else [kept])


def _run(
    assignment: Assignment,
    slot: int,
    runner: TrialRunner,
    heartbeats: _Heartbeats,
    file_client: TrialClient | None,
) -> Outcome:
    """Run an attempt and send its files: all of them before its outcome, after which the driver takes none."""
    directory = runner.directory(assignment.number)
    uploader = (
        nullcontext()
        if file_client is None
        else FileUploader(file_client, directory, slot=slot, assignment=assignment)
    )
    with uploader:
        outcome = runner.run(assignment, heartbeats.begin(assignment))
        heartbeats.end()
    return outcome


class _Heartbeats:
    """A thread that asks the driver whether the running trial is to go on, and sets its stop signal if not."""

    def __init__(self, slot: int, address: Address) -> None:
        self._slot = slot
        self._client = TrialClient(address)
        self._condition = threading.Condition()
        self._current: tuple[Assignment, StopSignal] | None = None
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, name=f"slot-{slot}-heartbeats", daemon=True
        )

    def __enter__(self) -> _Heartbeats:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._condition:
            self._closed = True
            self._current = None
            self._condition.notify_all()
        # The thread may wait for an answer for seconds more: it is a daemon, and ends with the task's process.

    def begin(self, assignment: Assignment) -> StopSignal:
        """Begin to ask about an attempt, and return the signal that ends it."""
        stop = StopSignal()
        with self._condition:
            self._current = (assignment, stop)
            self._condition.notify_all()
        return stop

    def end(self) -> None:
        """Stop asking: the attempt has ended."""
        with self._condition:
            if self._current is not None:
                self._current[1].close()
            self._current = None
            self._condition.notify_all()

    def _run(self) -> None:
        while (current := self._await_attempt()) is not None:
            assignment, stop = current
            if self._order_for(assignment) == "stop":
                self._stop(stop)

    def _await_attempt(self) -> tuple[Assignment, StopSignal] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._current is not None)
            return None if self._closed else self._current

    def _order_for(self, assignment: Assignment) -> str:
        try:
            return self._client.heartbeat(
                Heartbeat(slot=self._slot, number=assignment.number, attempt=assignment.attempt)
            ).order
        except DriverGone as error:
            log.warning("trial %d is stopped: %s", assignment.number, error)
            return "stop"

    def _stop(self, stop: StopSignal) -> None:
        with self._condition:
            # The answer may come after the attempt's end, when the next one already runs.
            if self._current is not None and self._current[1] is stop:
                stop.set()
                self._condition.wait_for(
                    lambda: self._current is None or self._current[1] is not stop
                )
