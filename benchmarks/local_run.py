"""Benchmark: CPU time that a local run spends on each trial, besides the trial itself, against the number of trials.

    python benchmarks/local_run.py [--trials 200 2000 20000]

Threads take the part of Spark's slots, and a trial ends at once: what remains is the loop that plans, the ledger, the
journal and the run directory. Each number of trials has a process of its own. Printed: CPU milliseconds a trial from the
start of the loop to the end of the run, seconds in all, and the growth of the process's memory (RSS).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sparksweep._local import runner
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep_core.api import Experiment, Trial, TrialReason, TrialState
from sparksweep_core.validation.document import parse_experiment
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.protocol import Outcome, Report, SlotHello

SLOTS = 4


class Slots:
    """Takes the place of Spark: slots are threads, and a trial's result is one of its parameters."""

    def __init__(self, service: TrialService, *_: object, **__: object) -> None:
        self._service = service
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,)) for slot in range(SLOTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._service.close()
        for thread in self._threads:
            thread.join()

    def _serve(self, slot: int) -> None:
        service = self._service
        service.hello(SlotHello(slot=slot, node="here", pid=1))
        while True:
            woken = threading.Event()
            order = service.next(slot, woken.set)
            if order is None:
                woken.wait()
            elif order.order == "leave":
                return
            elif order.order == "check":
                service.code_check.accept(slot)
            elif order.assignment is not None:
                given, now = order.assignment, datetime.now(UTC)
                outcome = Outcome(
                    state=TrialState.SUCCEEDED,
                    reason=TrialReason.COMPLETED,
                    metrics={"loss": float(given.parameters["x0"])},
                    start_time=now,
                    completion_time=now,
                    duration_seconds=0.0,
                )
                service.report(
                    Report(slot=slot, number=given.number, attempt=given.attempt, outcome=outcome)
                )


class Observer:
    """Shows nothing."""

    def phase(self, text: str) -> None:
        """Do nothing."""

    def trial_changed(self, trial: Trial) -> None:
        """Do nothing."""

    def trial_reported(self, trial: Trial) -> None:
        """Do nothing."""

    def status_changed(self, experiment: Experiment) -> None:
        """Do nothing."""


def experiment_of(trials: int) -> Experiment:
    """Return a random search over five parameters."""
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "many"},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {"algorithmName": "random"},
                "parallelTrialCount": SLOTS,
                "maxTrialCount": trials,
                "tensorboard": {"enabled": False},
                "parameters": [
                    {
                        "name": f"x{index}",
                        "parameterType": "double",
                        "feasibleSpace": {"min": "0", "max": "1"},
                    }
                    for index in range(5)
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )


def rss_mib() -> float:
    """Return the memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(trials: int) -> None:
    """Run that many trials, and print a line of figures."""
    replaced: Any = runner
    replaced.Driver = Slots
    replaced.EarlyCheck = lambda *_: nullcontext()
    experiment = experiment_of(trials)
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder) / "run")
        directory.begin(experiment, RunRecord())
        java: Any = None
        run = runner.LocalRun(
            experiment, directory, home=Path(folder), observer=Observer(), java=java
        )
        memory, cpu, wall = rss_mib(), time.process_time(), time.monotonic()
        status = run.run().status
        cpu, wall, memory = time.process_time() - cpu, time.monotonic() - wall, rss_mib() - memory
        directory.unlock()
    assert status is not None
    assert status.trials.succeeded == trials, status
    print(
        f"{trials:8d} trials  {1000 * cpu / trials:6.2f} ms CPU a trial  {wall:7.1f} s  RSS +{memory:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Measure each number of trials in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000, 20_000])
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        measure(options.trials[0])
        return
    for trials in options.trials:
        command = [sys.executable, __file__, "--part", "--trials", str(trials)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
