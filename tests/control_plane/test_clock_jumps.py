"""The wall clock of operator and driver is set back and forth in the middle of a run: writes go on, and nothing ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from support.control_plane.driver_threads import Script
from support.control_plane.histories import TrialHistory
from support.control_plane.lab import Lab, experiment
from support.control_plane.operator_processes import OperatorThread
from support.control_plane.simulated_kubelet import SimulatedKubelet
from support.control_plane.stage import Stage
from support.wall_clock import WallClock

pytestmark = pytest.mark.chaos

HOUR = timedelta(hours=1)
SETTINGS = (HOUR, -HOUR, HOUR)
"""Offsets from the true time, one after the other."""
STEP = 6
"""Trials that run under each, and before the first one."""
TRIALS = STEP * (1 + len(SETTINGS))


@pytest.fixture
def lab(bare_lab: Lab) -> Iterator[Lab]:
    yield bare_lab
    TrialHistory(bare_lab).read()


@pytest.mark.timeout(120)
def test_setting_the_clock_holds_no_write_up_and_ends_nothing(
    rig: Stage, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WallClock(monkeypatch)
    assert "sparksweep_operator.reconciler" in clock.modules
    assert "sparksweep_trainer.driver.trial_service" in clock.modules
    tickets = threading.Semaphore(STEP)

    def seconds(_: object) -> float:
        assert tickets.acquire(timeout=60)
        return 0.01

    script = Script(seconds=seconds)
    operator = OperatorThread(lab.name)
    try:
        with SimulatedKubelet(lab.api, rig.drivers.url, lambda _: script) as kubelet:
            made = experiment(
                trials=TRIALS, activeDeadlineSeconds=1200, ttlSecondsAfterFinished=1200
            )
            lab.api.create("experiments", made)
            wait_for_ended(lab, STEP)
            for index, offset in enumerate(SETTINGS, start=1):
                clock.set(offset)
                if offset < timedelta(0):
                    # A process that starts now reads times that lie in the future.
                    operator.stop()
                    operator = OperatorThread(lab.name)
                tickets.release(STEP)
                wait_for_ended(lab, STEP * (index + 1))
            lab.wait(lambda: lab.status().get("completionTime"), "it ends")
            assert kubelet.errors == []
            assert len(kubelet.drivers) <= 1
    finally:
        operator.stop()
    assert operator.error is None
    status = lab.status()
    assert status["state"] == "Complete", status["conditions"]
    assert status["trials"]["succeeded"] == TRIALS
    numbers = [number for _, number, _ in script.plays]
    assert sorted(numbers) == list(range(1, TRIALS + 1)), "each trial runs once"
    assert {driver for driver, _, _ in script.plays} == {"digits-driver-0"}


def wait_for_ended(lab: Lab, trials: int) -> None:
    """Wait until so many trials are counted in the Experiment's status, a few seconds at most."""
    lab.wait(
        lambda: lab.status().get("trials", {}).get("succeeded", 0) >= trials,
        f"{trials} trials are counted",
        timeout_s=15,
    )
