"""The SDK's client on a real API server: the objects that it creates, and its errors."""

from __future__ import annotations

import random
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.client import Cluster
from sparksweep import Experiment
from sparksweep._result import Result
from sparksweep.client import Client
from sparksweep.errors import (
    ClusterUnavailable,
    ExperimentExists,
    ExperimentFailed,
    ExperimentNotFound,
    ExperimentRefused,
    Forbidden,
)
from sparksweep_core.validation.reading import own_version
from support.control_plane.lab import Lab

GRID = {"x": [1, 2, 3]}


@pytest.fixture
def connected(bare_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Provide a namespace without an operator, and the kubeconfig that has every right in it."""
    monkeypatch.setenv("KUBECONFIG", str(bare_lab.cluster.kubeconfig))
    return bare_lab


def training(x: int) -> int:
    return x


def test_a_submitted_experiment_is_the_document_and_can_be_found_again(connected: Lab) -> None:
    made = Experiment(training, GRID, name="digits").submit(namespace=connected.name)
    assert made.where == f"{connected.name}/digits"
    stored = connected.api.get("experiments", "digits")
    assert stored["spec"] == made.to_dict()["spec"]
    assert stored["metadata"]["annotations"] == {"sparksweep.dev/version": own_version()}
    with Client(connected.name) as client:
        assert [experiment.metadata.name for experiment in client.experiments()] == ["digits"]
        assert client.trials("digits") == []
        client.change("digits", suspend=True)
        assert client.get("digits").spec.suspend
        with pytest.raises(ExperimentExists, match=r'experiments.*"digits" already exists'):
            Experiment(training, GRID, name="digits").submit(namespace=connected.name)
        client.delete("digits")
        with pytest.raises(ExperimentNotFound, match='"digits" not found'):
            client.get("digits")
    with pytest.raises(ExperimentNotFound, match='"digits" not found'):
        Experiment.get("digits", namespace=connected.name)


def test_code_that_is_too_long_is_a_config_map_that_goes_with_its_experiment(
    connected: Lab,
) -> None:
    data = random.Random(0).randbytes(400_000)
    large = Experiment(lambda x: x + len(data), GRID, name="large")
    large.submit(namespace=connected.name)
    stored = connected.api.get("experiments", "large")
    source = stored["spec"]["trialTemplate"]["source"]["configMap"]
    code = connected.api.get("configmaps", source["name"])
    assert len(code["data"][source["key"]]) > 500_000
    owner = code["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("Experiment", stored["metadata"]["uid"])
    # Nothing is left of one that is refused.
    with pytest.raises(ExperimentExists):
        Experiment(lambda x: x + len(data) + 1, GRID, name="large").submit(namespace=connected.name)
    assert connected.api.get("configmaps", source["name"])["data"] == code["data"]


def test_what_the_api_server_refuses_it_says_in_its_own_words(connected: Lab) -> None:
    Experiment(training, GRID, name="digits").submit(namespace=connected.name)
    with (
        Client(connected.name) as client,
        pytest.raises(ExperimentRefused, match="parallelTrialCount"),
    ):
        client.change("digits", parallelTrialCount=0)
    with pytest.raises(ExperimentNotFound, match='namespaces "no-such-place" not found'):
        Experiment(training, GRID).submit(namespace="no-such-place")


def test_a_missing_right_is_named(
    connected: Lab, control_plane: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    control_plane.kubectl("-n", connected.name, "create", "serviceaccount", "nobody")
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig_as("nobody", connected.name)))
    with pytest.raises(Forbidden, match=r"nobody.*cannot create resource .experiments"):
        Experiment(training, GRID, name="digits").submit(namespace=connected.name)
    with pytest.raises(Forbidden, match=r"cannot get resource .experiments"):
        Experiment.get("digits", namespace=connected.name)


def test_where_no_api_server_is_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterUnavailable, match="no cluster is configured"):
        Client()
    (tmp_path / "dead").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u, namespace: ml}}]\nusers: [{name: u, user: {}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "dead"))
    with Client() as client:
        assert client.namespace == "ml"
        with pytest.raises(ClusterUnavailable, match="no answer from the API server"):
            client.get("digits")


def play_while_waiting(lab: Lab, experiment: Experiment) -> Future[Result]:
    """Play the driver's part while another thread waits for the end."""
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(experiment.wait, progress=False, timeout=60)
        lab.wait_for_driver()
        lab.take_over()
        lab.play_to_the_end()
    return waited


def test_a_wait_follows_the_experiment_to_its_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(lab.cluster.kubeconfig))
    experiment = Experiment(training, GRID, name="digits", objective="score")
    result = play_while_waiting(lab, experiment.submit(namespace=lab.name)).result()
    assert result.trials["state"].tolist() == ["Succeeded"] * 3
    assert result.best_value == result.trials["metrics.score"].max()
    assert result.logdir is None
    again = Experiment.get("digits", namespace=lab.name).wait(progress=False)
    assert again.best_params == result.best_params
    assert again.experiment.status == result.experiment.status


def test_an_experiment_that_fails_raises_with_its_result(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(lab.cluster.kubeconfig))
    experiment = Experiment(training, GRID, name="digits", objective="score", deadline_seconds=4)
    experiment.submit(namespace=lab.name)
    # A driver that has not taken over by the deadline is not needed any more.
    lab.wait_for_driver()
    lab.take_over()
    lab.wait(lambda: lab.batches()[-1]["spec"].get("stop"), "the deadline stops the batch")
    with pytest.raises(ExperimentFailed, match="DeadlineExceeded") as caught:
        play_while_waiting(lab, experiment).result()
    assert len(caught.value.result.trials) == 3
