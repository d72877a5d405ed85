"""Experiments from Python on real nodes: functions of this very file, which no image has."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparksweep import experiment
from sparksweep._result import Result
from support.algorithms import algorithm_runs
from support.e2e.e2e_cluster import Namespace
from support.messages import SWAPPED_BOUNDS

pytestmark = [pytest.mark.nodes, pytest.mark.filterwarnings(f"ignore:{SWAPPED_BOUNDS}")]

BOUNDS = {"learning_rate": [0.001, 0.0001], "dropout": [0.45, 0.7]}
"""Of Hops' documentation, the first pair in the wrong order as it is there."""
SMALL: dict[str, Any] = {"cpu": "200m", "memory": "640Mi", "parallel": 2, "progress": False}
TABLE = random.Random(0).randbytes(100_000)
"""Makes a function long, though not too long for the Experiment itself: it needs no right on ConfigMaps."""


@pytest.fixture
def here(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the arguments that send an experiment to the namespace, with the rights of ``sparksweep-edit`` alone."""
    monkeypatch.setenv("KUBECONFIG", str(namespace.kubeconfig_of_an_editor()))
    return {"backend": "kubernetes", "namespace": namespace.name, **SMALL}


def training(learning_rate: float, dropout: float) -> dict[str, float]:
    import os

    from sparksweep import hdfs, report, tensorboard

    found = (
        hdfs.project_path(),
        os.environ["CUDA_VISIBLE_DEVICES"],
        os.path.isdir(tensorboard.logdir()),
    )
    # No assert here: pytest makes one of its own of it, which needs pytest where it runs.
    if found != ("/data/", "", True):
        raise RuntimeError(str(found))
    accuracy = 1 - abs(learning_rate - 0.0004) * 500 - abs(dropout - 0.5)
    report(1, accuracy=accuracy)
    return {"accuracy": accuracy, "size": len(TABLE)}


def flagged(size: object, flag: object, name: str) -> float:
    if not isinstance(size, int) or not (flag is True or flag is None):
        raise RuntimeError(f"{size!r} {flag!r}")
    return size + len(name)


def check_evolution(result: Result, local: Result) -> None:
    table = result.trials
    assert len(table) == 5 * 5
    assert set(table["state"]) == {"Succeeded"}
    rates = table["parameters.learning_rate"]
    assert rates.nunique() >= 10
    assert rates.between(0.0001, 0.001).all()
    assert table["parameters.dropout"].between(0.45, 0.7).all()
    assert 0.0001 <= result.best_params["learning_rate"] <= 0.001
    assert result.best_metrics["size"] == 100_000
    assert result.best_value == table["metrics.accuracy"].max()
    assert table["node"].nunique() <= 2, "a pod for each slot, not for each trial"
    # A generation is what it is on this machine: a function of the seed and of what came before.
    points = ["parameters.learning_rate", "parameters.dropout"]
    assert local.trials[points].equals(table[points])


def test_the_searches_of_a_notebook_run_on_the_cluster_side_by_side(
    namespace: Namespace, here: dict[str, Any], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    def evolve() -> Result:
        return experiment.evolutionary_search(
            "spark", training, BOUNDS, direction="max", generations=5, popsize=5, seed=3,
            optimization_key="accuracy", env={"SPARKSWEEP_PROJECT_PATH": "/data"}, **here,
        )  # fmt: skip

    def enumerate_flags() -> Result:
        space = {"size": [1, 10], "flag": [True, None], "name": ["a", "bcd"]}
        return experiment.grid_search(flagged, space, "min", **here)

    def keep_the_contract(algorithm: str) -> Result:
        small = {key: SMALL[key] for key in ("cpu", "memory")}
        made = algorithm_runs.experiment(algorithm, **small)
        return made.submit(namespace=namespace.name).wait(progress=False)

    algorithms = ("random", "asynchronous", "generational")
    with ThreadPoolExecutor(3) as pool:
        evolved, flags = pool.submit(evolve), pool.submit(enumerate_flags)
        runs = {name: pool.submit(keep_the_contract, name) for name in algorithms}
        local = experiment.evolutionary_search(
            training_alike, BOUNDS, generations=5, popsize=5, seed=3, backend="local",
            directory=tmp_path / "run", progress=False,
        )  # fmt: skip
    for name, run in runs.items():
        algorithm_runs.check(name, run.result())
    check_evolution(evolved.result(), local)
    table = flags.result().trials
    assert table["metrics.metric"].tolist() == [2, 4, 2, 4, 11, 13, 11, 13]
    assert table["parameters.flag"].tolist() == [True, True, None, None] * 2
    figure(f"from Python, on nodes: {evolved.result()!r}, {flags.result()!r}")
    names = [item["metadata"]["name"] for item in namespace.items("configmaps")]
    assert not [name for name in names if name.endswith("-function")]


def training_alike(learning_rate: float, dropout: float) -> float:
    """Return the accuracy of `training`, without the parts that need the cluster."""
    return 1 - abs(learning_rate - 0.0004) * 500 - abs(dropout - 0.5)


IN_A_POD = """
from sparksweep import experiment

def training(x):
    return -abs(x - 7.5) - x / 1000

result = experiment.grid_search(
    training, {"x": [5, 6, 7, 8]}, direction="max", cpu="200m", memory="640Mi", parallel=2, name="inside", progress=False
)
print("best", result.best_params, result.experiment.metadata.namespace)
"""


def test_inside_a_cluster_an_experiment_runs_there_by_itself(namespace: Namespace) -> None:
    rights = [
        "--verb=create,get,list",
        "--resource=experiments.sparksweep.dev,trialbatches.sparksweep.dev",
    ]
    namespace.kubectl("create", "serviceaccount", "notebook")
    namespace.kubectl("create", "role", "notebook", *rights)
    account = f"--serviceaccount={namespace.name}:notebook"
    namespace.kubectl("create", "rolebinding", "notebook", "--role=notebook", account)
    # Any image with sparksweep's `client` extra does.
    (operator,) = namespace.cluster.operator_pods()
    container = operator["spec"]["containers"][0]
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "notebook"},
            "spec": {
                "serviceAccountName": "notebook",
                "restartPolicy": "Never",
                "securityContext": operator["spec"]["securityContext"],
                "containers": [
                    {
                        "name": "notebook",
                        "image": container["image"],
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python", "-c", IN_A_POD],
                        "securityContext": container["securityContext"],
                    }
                ],
            },
        }
    )
    namespace.wait_for(
        lambda: namespace.get("pods", "notebook")["status"].get("phase") in ("Succeeded", "Failed"),
        "the notebook's pod ends",
    )
    assert namespace.logs("notebook").strip() == f"best {{'x': 7}} {namespace.name}"
