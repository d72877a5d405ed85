"""etcd is restored from a copy in the middle of a run: operator and driver go on from there by themselves."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.control_plane.driver_threads import Script
from support.control_plane.histories import TrialHistory
from support.control_plane.kube_api import Refused
from support.control_plane.lab import Lab, experiment
from support.control_plane.operator_processes import OperatorThread
from support.control_plane.simulated_kubelet import SimulatedKubelet
from support.control_plane.stage import Stage

pytestmark = [pytest.mark.chaos, pytest.mark.alone]

BEFORE, AFTER, REST = 6, 30, 12
"""Trials that end before the copy is made, after it, and after it was restored besides those that run again."""
TRIALS = BEFORE + AFTER + REST


@pytest.fixture
def lab(rig: Stage) -> Iterator[Lab]:
    lab = Lab(rig.cluster, rig.helm, rig.cluster.namespace())
    try:
        yield lab
    finally:
        lab.close()
        rig.cluster.delete_namespace(lab.name)


def wait_for_succeeded(lab: Lab, trials: int) -> None:
    lab.wait(
        lambda: lab.status().get("trials", {}).get("succeeded", 0) >= trials,
        f"{trials} trials are counted",
    )


@pytest.mark.timeout(180)
def test_operator_and_driver_go_on_from_a_restored_etcd(
    rig: Stage, lab: Lab, tmp_path: Path
) -> None:
    layout, faults = rig.cluster.rig.layout, rig.cluster.faults
    data, copy = layout.run / "etcd", tmp_path / "etcd"
    tickets = threading.Semaphore(BEFORE)

    def seconds(_: object) -> float:
        assert tickets.acquire(timeout=120)
        return 0.01

    script = Script(seconds=seconds)
    operator = OperatorThread(lab.name)
    try:
        with SimulatedKubelet(lab.api, rig.drivers.url, lambda _: script) as kubelet:
            lab.api.create("experiments", experiment(trials=TRIALS))
            wait_for_succeeded(lab, BEFORE)
            with faults.frozen("etcd"):
                shutil.copytree(data, copy)
            tickets.release(AFTER)
            lab.api.create("experiments", experiment("later", suspend=True))
            lab.wait_for_condition("Suspended", name="later")
            wait_for_succeeded(lab, BEFORE + AFTER)
            faults.kill("apiserver")
            faults.kill("etcd")
            shutil.rmtree(data)
            shutil.copytree(copy, data)
            faults.processes.start_again("etcd")
            faults.start("apiserver")
            with pytest.raises(Refused):
                lab.api.get("experiments", "later")
            assert lab.status()["trials"]["succeeded"] < BEFORE + AFTER
            lab.wait_for_driver(number=1, timeout_s=60)
            tickets.release(2 * TRIALS)
            lab.wait(lambda: lab.status().get("completionTime"), "it ends", timeout_s=60)
            assert kubelet.errors == []
    finally:
        operator.stop()
    assert operator.error is None
    status = lab.status()
    assert status["state"] == "Complete", status["conditions"]
    assert status["trials"]["succeeded"] == TRIALS
    TrialHistory(lab).read()
    drivers = {driver for driver, _, _ in script.plays}
    assert drivers == {"digits-driver-0", "digits-driver-1"}
    runs = Counter(number for _, number, _ in script.plays)
    assert set(runs) == set(range(1, TRIALS + 1))
    assert max(runs.values()) <= 2, "what the restored state lacks runs once more"
