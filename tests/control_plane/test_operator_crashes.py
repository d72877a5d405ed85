"""The operator is killed at any write, absent for a while, or running twice: the result is the same."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from support.control_plane.fault_proxy import (
    Fault,
    FaultProxy,
    Interference,
    When,
    description,
)
from support.control_plane.lab import FINISHED, Lab
from support.control_plane.operator_processes import OperatorProcess, OperatorThread

TRIALS = 3


@pytest.fixture(scope="module")
def proxy(control_plane: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:  # fmt: skip
    if control_plane.layout is None:
        pytest.skip("the cluster is not ours: its kubeconfig may hold any credentials")
    with FaultProxy(control_plane.kubeconfig) as proxy, pytest.MonkeyPatch.context() as patch:
        proxy.lead_operators(patch, tmp_path_factory.mktemp("proxy") / "kubeconfig")
        yield proxy


GENERATED = re.compile(r"^((?:configmaps|secrets)/.+)-[0-9a-f]{8,12}$")
"""Path of an object whose name ends with a generated part."""


def end_state(lab: Lab) -> dict[str, Any]:
    """Return the final objects, without times and generated values."""
    status = lab.status()
    conditions = {item["type"]: (item["status"], item["reason"], item["message"]) for item in status["conditions"]}  # fmt: skip
    trials = [
        {key: trial[key] for key in ("number", "state", "attempt", "metrics")}
        for batch in lab.batches()
        for trial in batch["status"]["trials"]
    ]
    return {
        "conditions": conditions,
        "counts": status["trials"],
        "best": status["bestTrial"],
        "state": (status["state"], status["progress"], status["observedGeneration"]),
        "trials": trials,
        "specs": [batch["spec"] for batch in lab.batches()],
        # Names of ConfigMaps and Secrets end with a generated part; a Secret whose creation was not answered stays.
        "left": sorted({GENERATED.sub(r"\1", path) for path in lab.left()}),
    }


def finish(lab: Lab) -> dict[str, Any]:
    lab.play_to_the_end(timeout_s=100)
    lab.wait(lambda: not lab.api.items("pods"), "the driver's pod is gone", timeout_s=60)
    return end_state(lab)


def run_with_a_fault(lab: Lab, fault: Fault) -> dict[str, Any]:
    """Run an experiment; where its writes are cut, another operator takes over."""
    operator = OperatorThread(lab.name)
    try:
        lab.create(trials=TRIALS)
        deadline = time.monotonic() + 100
        while not fault.cut.is_set() and not lab.status().get("completionTime"):
            assert operator.error is None
            assert time.monotonic() < deadline, lab.state()
            lab.play()
            time.sleep(0.1)
        if fault.at is not None:
            # The last write comes after the end.
            lab.wait(fault.cut.is_set, f"write {fault.at} is reached", timeout_s=60)
            operator.stop()
            fault.mend()
            operator = OperatorThread(lab.name)
        outcome = finish(lab)
    finally:
        operator.stop()
    assert operator.error is None
    return outcome


def test_killed_at_any_write_the_operator_goes_on_to_the_same_end(
    proxy: FaultProxy, control_plane: Cluster, helm: Helm, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(control_plane, helm, control_plane.namespace())
    undisturbed = Fault()
    proxy.faults[lab.name] = undisturbed
    expected = run_with_a_fault(lab, undisturbed)
    lab.close()
    assert expected["counts"]["succeeded"] == TRIALS
    writes = len(undisturbed.writes)
    plans: list[tuple[int, When]] = [(at, when) for at in range(writes) for when in ("before", "after")]  # fmt: skip
    labs = [Lab(control_plane, helm, control_plane.namespace()) for _ in plans]

    def run(lab: Lab, at: int, when: When) -> str:
        fault = Fault(at, when)
        proxy.faults[lab.name] = fault
        try:
            outcome = run_with_a_fault(lab, fault)
            lab.check_history()
        except AssertionError as error:
            return f"{description(fault)}: {error}"
        finally:
            lab.close()
        wrong = [key for key in expected if outcome[key] != expected[key]]
        made = fault.writes.count("POST pods 201")
        if wrong or made != 1:
            differences = {key: (expected[key], outcome[key]) for key in wrong}
            return f"{description(fault)}: {json.dumps(differences)}, {made} drivers"
        return ""

    try:
        with ThreadPoolExecutor(max_workers=8) as pool:
            failures = [text for text in pool.map(run, labs, *zip(*plans, strict=True)) if text]
    finally:
        for lab in labs:
            control_plane.delete_namespace(lab.name)
    with capsys.disabled():
        print(f"\n{writes} writes, {len(plans)} kills: {undisturbed.writes}")  # noqa: T201
    assert failures == []


def test_a_status_that_arrives_late_is_refused(
    proxy: FaultProxy, control_plane: Cluster, helm: Helm
) -> None:
    """As one that was under way when its operator was killed: the successor's is newer."""
    lab = Lab(control_plane, helm, control_plane.namespace())
    fault = proxy.faults[lab.name] = Fault()
    first = iter([Interference(late_s=3)])
    fault.interfere = lambda method, kind: (
        next(first, None) if (method, kind) == ("PATCH", "experiments") else None
    )
    operator = OperatorThread(lab.name)
    try:
        lab.create(trials=TRIALS)
        lab.play_to_the_end()
        lab.wait(lambda: fault.late, "the first status arrives")
        assert fault.late == ["PATCH experiments 409"]
        assert lab.status()["progress"] == f"{TRIALS}/{TRIALS}"
        lab.check_history()
    finally:
        operator.stop()
        lab.close()
        control_plane.delete_namespace(lab.name)


def test_a_deletion_that_no_watch_tells_of_is_noticed(
    proxy: FaultProxy, bare_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage the API server may not have the events that a watch missed: objects are listed again."""
    monkeypatch.setattr("sparksweep_operator.workers.RESYNC_S", 2.0)
    monkeypatch.setattr("sparksweep_operator.reconciler.REFRESH_AFTER", timedelta(seconds=1))
    lab = bare_lab
    fault = proxy.faults[lab.name] = Fault()
    operator = OperatorThread(lab.name)
    try:
        lab.create(trials=TRIALS)
        lab.wait_for_driver()
        lab.take_over()
        lab.wait(lambda: lab.condition("Running")["reason"] != "WaitingForDriver", "it runs")
        fault.cut.set()
        proxy.cut_connections(lab.name)
        lab.api.delete("pods", "digits-driver-0", gracePeriodSeconds=0)
        fault.gone += ["pods", "trialbatches", "experiments"]
        fault.mend()
        lab.wait_for_driver(number=1, timeout_s=40)
        lab.play_to_the_end()
    finally:
        operator.stop()


def test_two_operators_at_once_make_one_driver(proxy: FaultProxy, bare_lab: Lab) -> None:
    lab = bare_lab
    fault = proxy.faults[lab.name] = Fault()
    operators = [OperatorThread(lab.name), OperatorThread(lab.name)]
    try:
        lab.create(trials=TRIALS)
        outcome = finish(lab)
    finally:
        for operator in operators:
            operator.stop()
    assert [operator.error for operator in operators] == [None, None]
    assert fault.writes.count("POST pods 201") == 1
    assert fault.writes.count("POST trialbatches 201") == 1
    assert outcome["counts"]["succeeded"] == TRIALS
    assert len(fault.writes) <= 60, fault.writes


def test_a_killed_operator_process_is_followed_by_one_that_goes_on(
    control_plane: Cluster, bare_lab: Lab, tmp_path: Path
) -> None:
    lab = bare_lab
    operator = OperatorProcess(control_plane.kubeconfig, tmp_path / "log", [lab.name])
    operator.start()
    try:
        lab.create(trials=10)
        lab.wait_for_driver()
        lab.take_over()
        lab.play(most=4)
        operator.kill()
        lab.play(most=3)
        operator.start()
        lab.wait(lambda: lab.status()["progress"] == "7/10", "what was missed is counted")
        lab.play_to_the_end()
        assert lab.status()["trials"]["succeeded"] == 10
        assert {item["attempt"] for item in lab.batches()[0]["status"]["trials"]} == {1}
        assert operator.stop() == 0
        assert operator.troubles() == []
    finally:
        operator.kill()


def test_deleted_while_the_operator_is_down_an_experiment_leaves_nothing(
    control_plane: Cluster, bare_lab: Lab, tmp_path: Path
) -> None:
    lab = bare_lab
    operator = OperatorProcess(control_plane.kubeconfig, tmp_path / "log", [lab.name])
    operator.start()
    try:
        lab.create(trials=250)
        lab.wait_for_driver()
        lab.play()
    finally:
        operator.kill()
    lab.api.delete("experiments", "digits")
    lab.wait(lambda: not lab.left(), "nothing is left", timeout_s=30)


def test_an_api_server_that_is_away_is_waited_for(
    control_plane: Cluster, bare_lab: Lab, tmp_path: Path
) -> None:
    lab = bare_lab
    faults = control_plane.faults
    operator = OperatorProcess(control_plane.kubeconfig, tmp_path / "log", [lab.name])
    operator.start()
    try:
        lab.create(trials=6)
        lab.wait_for_driver()
        lab.take_over()
        lab.play(most=2)
        lab.wait(lambda: lab.status()["progress"] == "2/6", "two are counted")
        with faults.killed("apiserver"):
            began = time.monotonic()
            while time.monotonic() - began < 5:
                assert operator.is_healthy()
                time.sleep(0.5)
        # The new operator has no memo of the time before.
        lab.began = lab.api.version("experiments")
        lab.play(most=2)
        lab.wait(lambda: lab.status()["progress"] == "4/6", "it has caught up", timeout_s=40)
        lab.play_to_the_end()
        states = [item["state"] for item in lab.batches()[0]["status"]["trials"]]
        assert len(states) == 6
        assert set(states) <= set(FINISHED)
        assert operator.stop() == 0
    finally:
        operator.kill()
