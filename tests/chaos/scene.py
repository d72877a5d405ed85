"""The scene: a namespace with one experiment at a time, an operator, its drivers, and a proxy for each to the API server."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from cluster.client import Cluster
from cluster.helm import Helm
from sparksweep_core.api import TrialReason
from sparksweep_trainer.protocol import Assignment
from support.control_plane.driver_threads import Script
from support.control_plane.fault_proxy import Fault, FaultProxy
from support.control_plane.kube_api import Refused
from support.control_plane.lab import Lab, experiment
from support.control_plane.operator_processes import OperatorThread
from support.control_plane.simulated_kubelet import SimulatedKubelet

ALGORITHMS = ("grid", "random", "differential-evolution")
SEQUENTIAL_TRIALS = 20
"""Trials, times the number of parallel ones, of a search that goes on from outcomes."""
LONGEST_TRIAL_S = 1.0
FAILING = 0.1
"""Share of the trials that fail, whatever attempt it is."""


class Scene:
    """One namespace with all parts, until closed."""

    name = "digits"

    def __init__(
        self,
        cluster: Cluster,
        helm: Helm,
        *,
        operators: FaultProxy,
        drivers: FaultProxy,
        seed: int,
        is_alone: bool,
    ) -> None:
        self.is_alone = is_alone
        self.draw = random.Random(f"experiments {seed}")
        self.cluster = cluster
        self.lab = Lab(cluster, helm, cluster.namespace())
        self.operator_fault, self.driver_fault = Fault(), Fault()
        self.proxies = ((operators, self.operator_fault), (drivers, self.driver_fault))
        for proxy, fault in self.proxies:
            proxy.faults[self.lab.name] = fault
        self.scripts: dict[str, Script] = {}
        self._lock = threading.Lock()
        self.kubelet = SimulatedKubelet(self.lab.api, drivers.url, self._script)
        self._operator: OperatorThread | None = None

    def __enter__(self) -> Scene:
        self.kubelet.__enter__()
        self.start_operator()
        return self

    def __exit__(self, *error: object) -> None:
        for _, fault in self.proxies:
            fault.mend()
        if self._operator is not None:
            self._operator.stop()
        self.kubelet.__exit__(*error)
        self.lab.close()
        self.cluster.delete_namespace(self.lab.name)

    def start_operator(self) -> None:
        self._operator = OperatorThread(self.lab.name)

    def stop_operator(self) -> None:
        if self._operator is not None:
            self._operator.stop()
            assert self._operator.error is None, self._operator.error
            self._operator = None

    def create_experiment(self) -> dict[str, Any]:
        """Create the next experiment of the seed; return it as the API server has it."""
        draw = self.draw
        trials = draw.choice((5, 40, 130, 250))
        algorithm = draw.choice(ALGORITHMS)
        parallel = draw.randint(1, 6)
        if algorithm == "differential-evolution":
            # Each proposal waits for outcomes, which are written once a second.
            trials = min(trials, SEQUENTIAL_TRIALS * parallel)
        document = experiment(self.name, trials=trials, parallelTrialCount=parallel)
        spec = document["spec"]
        spec["algorithm"] = {"algorithmName": algorithm}
        spec["maxFailedTrialCount"] = trials
        spec["trialTemplate"]["maxRetries"] = draw.choice((0, 1))
        if algorithm != "grid":
            spec["maxTrialCount"] = trials
            spec["parameters"][0]["feasibleSpace"] = {"min": "1", "max": "100000"}
        created: dict[str, Any] = until(lambda: self.lab.api.create("experiments", document))
        self.scripts[created["metadata"]["uid"]] = _script(draw.random())
        return created

    def replace_experiment(self, *, later: bool) -> None:
        """Delete the experiment and create another one of the same name."""
        until(lambda: self.lab.api.delete("experiments", self.name))
        if later:
            self.lab.wait(lambda: not self._owned(), "all of it is deleted", timeout_s=60)
        self.create_experiment()

    def _owned(self) -> list[str]:
        return [path for path in self.lab.left() if not path.startswith("experiments/")]

    def _script(self, uid: str) -> Script:
        # The pod may be there before the answer to the Experiment's creation.
        deadline = time.monotonic() + 10
        while uid not in self.scripts and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.scripts[uid]


def _script(seed: float) -> Script:
    """Return the play of an experiment: a trial's time depends on its number and attempt, its failure on its number."""

    def seconds(assignment: Assignment) -> float:
        draw = random.Random(f"{seed} {assignment.number} {assignment.attempt}")
        return draw.random() ** 4 * LONGEST_TRIAL_S

    def outcome(assignment: Assignment) -> TrialReason:
        fails = random.Random(f"{seed} {assignment.number}").random() < FAILING
        return TrialReason.EXCEPTION if fails else TrialReason.COMPLETED

    return Script(seconds, outcome)


def until(request: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Repeat a request until it is answered: the API server may be away, or an object of that name be there still."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return request()
        except (Refused, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
