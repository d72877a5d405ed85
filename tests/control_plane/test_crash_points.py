"""The operator or the driver is killed at each of its writes, for each algorithm: the experiment ends the same.

Three variants of each: the request is lost, its answer is lost, or its answer is lost and whoever goes on reads the API
server's state of before. The driver is the real one, with threads in the place of Spark.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import pytest

from support.control_plane.driver_threads import Script, score
from support.control_plane.fault_proxy import Fault, When, description
from support.control_plane.histories import TrialHistory
from support.control_plane.lab import Lab, experiment
from support.control_plane.operator_processes import OperatorThread
from support.control_plane.simulated_kubelet import SimulatedKubelet
from support.control_plane.stage import Stage

pytestmark = pytest.mark.chaos

TRIALS = 6
WORKERS = 8
ALL = os.environ.get("SPARKSWEEP_TEST_CRASHES") == "all"
"""True: all three variants of each kill. Otherwise the grid has all, other algorithms one variant at each write in turn."""

Role = Literal["operator", "driver"]

ALGORITHMS: dict[str, dict[str, Any]] = {
    "grid": {"algorithmName": "grid"},
    "random": {"algorithmName": "random"},
    "rand-1-bin": {
        "algorithmName": "differential-evolution",
        "algorithmSettings": [{"name": "strategy", "value": "rand1bin"}],
    },
    "adaptive": {
        "algorithmName": "differential-evolution",
        "algorithmSettings": [{"name": "strategy", "value": "adaptive"}],
    },
    "screened": {"algorithmName": "differential-evolution"},
    "generational": {
        "algorithmName": "differential-evolution",
        "algorithmSettings": [
            {"name": "mode", "value": "generational"},
            {"name": "population", "value": "5"},
        ],
    },
}
REPEATABLE = ("grid", "random", "generational")
"""Algorithms whose trials do not depend on the order in which earlier ones end."""


def document(algorithm: str) -> dict[str, Any]:
    made = experiment(
        trials=TRIALS, algorithm=copy.deepcopy(ALGORITHMS[algorithm]), parallelTrialCount=2
    )
    spec = made["spec"]
    spec["objective"]["type"] = "minimize"
    if algorithm != "grid":
        spec["maxTrialCount"] = TRIALS
        spec["algorithm"].setdefault("algorithmSettings", [])
        spec["algorithm"]["algorithmSettings"].append({"name": "seed", "value": "7"})
        spec["parameters"][0]["feasibleSpace"] = {"min": "1", "max": "1000"}
    return made


class Run:
    """One experiment, whose operator or driver is killed at one write."""

    def __init__(self, rig: Stage, algorithm: str) -> None:
        self.lab = Lab(rig.cluster, rig.helm, rig.cluster.namespace())
        self.rig = rig
        self.algorithm = algorithm
        self.faults = {"operator": Fault(), "driver": Fault()}
        rig.operators.faults[self.lab.name] = self.faults["operator"]
        rig.drivers.faults[self.lab.name] = self.faults["driver"]
        self.script = Script()

    def play(self, role: Role, fault: Fault) -> dict[str, Any]:
        """Run to the end with a fault; return the end's state."""
        self.faults[role].at, self.faults[role].when = fault.at, fault.when
        fault = self.faults[role]
        operator = OperatorThread(self.lab.name)
        try:
            with SimulatedKubelet(
                self.lab.api, self.rig.drivers.url, lambda _: self.script
            ) as kubelet:
                self.lab.api.create("experiments", document(self.algorithm))
                deadline = time.monotonic() + 100
                while not (self._has_ended() and self._is_over(fault)):
                    assert operator.error is None
                    assert time.monotonic() < deadline, self.lab.state()
                    if fault.cut.is_set():
                        if role == "operator":
                            operator.stop()
                        else:
                            for driver in kubelet.drivers:
                                kubelet.kill(driver)
                        fault.mend()
                        if role == "operator":
                            operator = OperatorThread(self.lab.name)
                    time.sleep(0.05)
                assert kubelet.errors == []
        finally:
            operator.stop()
        assert operator.error is None
        return self._end_state()

    @staticmethod
    def _is_over(fault: Fault) -> bool:
        """Return True if the chosen write has been cut, or does not come.

        The operator's last writes come after the end. A driver makes one write more or less as its trials' times fall.
        """
        return fault.at is None or not fault.cut.wait(1)

    def _has_ended(self) -> bool:
        return bool(self.lab.status().get("completionTime")) and not self.lab.api.items("pods")

    def _end_state(self) -> dict[str, Any]:
        """Return the final objects without times, generated values and numbers of attempts."""
        status = self.lab.status()
        trials = {
            trial["number"]: (trial["state"], trial["reason"], trial["metrics"])
            for batch in self.lab.batches()
            for trial in batch["status"]["trials"]
        }
        specs = {
            trial["number"]: trial["parameters"]
            for batch in self.lab.batches()
            for trial in batch["spec"]["trials"]
        }
        assert trials.keys() == specs.keys()
        for number, (_, _, metrics) in trials.items():
            assert metrics == {"score": score(specs[number])}, number
        best = min(metrics["score"] for _, _, metrics in trials.values())
        assert status["bestTrial"]["objective"] == best
        conditions = {
            item["type"]: (item["status"], item["reason"]) for item in status["conditions"]
        }
        same = {
            "conditions": conditions,
            "counts": status["trials"],
            "state": (status["state"], status["progress"]),
            "left": self._left(),
            "numbers": sorted(trials),
        }
        repeatable = {"trials": trials, "specs": specs, "best": best}
        return same | (repeatable if self.algorithm in REPEATABLE else {})

    def _left(self) -> list[str]:
        """Return the kinds of the objects that exist. Each driver that is begun leaves a Secret until the deletion."""
        kinds = [path.partition("/")[0] for path in self.lab.left()]
        return sorted({"secrets"}.intersection(kinds)) + sorted(
            kind for kind in kinds if kind != "secrets"
        )

    def close(self) -> None:
        self.lab.close()
        self.rig.cluster.delete_namespace(self.lab.name)


def run_once(rig: Stage, algorithm: str, role: Role, at: int | None, when: When) -> tuple[dict[str, Any], Run]:  # fmt: skip
    run = Run(rig, algorithm)
    try:
        outcome = run.play(role, Fault(at, when))
        run.lab.check_history()
        TrialHistory(run.lab).read()
    finally:
        run.close()
    return outcome, run


@pytest.mark.timeout(900)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_at_any_write_operator_and_driver_go_on_to_the_same_end(
    rig: Stage, algorithm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, undisturbed = run_once(rig, algorithm, "operator", None, "before")
    assert expected["counts"]["succeeded"] == TRIALS
    plays = Counter(number for _, number, _ in undisturbed.script.plays)
    assert set(plays.values()) == {1}
    kills: list[tuple[Role, int, When]] = [
        (role, at, when)
        for role in get_args(Role)
        for at in range(len(undisturbed.faults[role].writes))
        for variant, when in enumerate(get_args(When))
        if algorithm == "grid" or ALL or at % 3 == variant
    ]

    def kill(role: Role, at: int, when: When) -> str:
        label = f"{algorithm}: {role} killed {when} write {at}"
        try:
            outcome, run = run_once(rig, algorithm, role, at, when)
        except AssertionError as error:
            return f"{label}: {error}"
        wrong = {key: (expected[key], outcome[key]) for key in expected if outcome[key] != expected[key]}  # fmt: skip
        drivers = run.faults["operator"].writes.count("POST pods 201")
        most = 2 if role == "driver" else 1
        if wrong or drivers > most:
            return (
                f"{label}: {json.dumps(wrong)}, {drivers} drivers, {description(run.faults[role])}"
            )
        return ""

    with ThreadPoolExecutor(WORKERS) as pool:
        failures = [text for text in pool.map(kill, *zip(*kills, strict=True)) if text]
    with capsys.disabled():
        counts = {role: len(fault.writes) for role, fault in undisturbed.faults.items()}
        print(f"\n{algorithm}: {len(kills)} kills at the writes of {counts}")  # noqa: T201
    assert not failures, "\n".join(failures)
