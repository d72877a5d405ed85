"""Experiments from Python on real nodes: functions of this very file, which no image has."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from e2e_cluster import Namespace

from sparksweep import experiment, search
from sparksweep.result import Result

pytestmark = [pytest.mark.nodes, pytest.mark.filterwarnings("ignore:min was more than max")]

BOUNDS = {"learning_rate": [0.001, 0.0001], "dropout": [0.45, 0.7]}
"""Of Hops' documentation, the first pair in the wrong order as it is there."""
SMALL: dict[str, Any] = {"cpu": "200m", "memory": "640Mi", "parallel": 2, "progress": False}
TABLE = random.Random(0).randbytes(400_000)
"""Makes a function too long for the Experiment itself."""


@pytest.fixture
def here(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that send an experiment to the namespace."""
    monkeypatch.setenv("KUBECONFIG", str(namespace.cluster.cluster.kubeconfig))
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


def flagged(size: int, flag: bool | None, name: str) -> float:
    if not isinstance(size, int) or not (flag is True or flag is None):
        raise RuntimeError(f"{size!r} {flag!r}")
    return size + len(name)


def check_evolution(result: Result) -> None:
    table = result.trials
    assert len(table) == 5 * 5
    assert set(table["state"]) == {"Succeeded"}
    rates = table["parameters.learning_rate"]
    assert rates.nunique() >= 10
    assert rates.between(0.0001, 0.001).all()
    assert table["parameters.dropout"].between(0.45, 0.7).all()
    assert 0.0001 <= result.best_params["learning_rate"] <= 0.001
    assert result.best_metrics["size"] == 400_000
    assert result.best_value == table["metrics.accuracy"].max()
    assert table["node"].nunique() <= 2, "a pod for each slot, not for each trial"


def test_the_searches_of_the_notebook_run_on_the_cluster_side_by_side(
    namespace: Namespace, here: dict[str, Any], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    def evolve(mode: str) -> Result:
        return experiment.evolutionary_search(
            "spark", training, BOUNDS, direction="max", generations=5, popsize=5, seed=3, mode=mode,
            optimization_key="accuracy", env={"SPARKSWEEP_PROJECT_PATH": "/data"}, **here,
        )  # fmt: skip

    def draw() -> Result:
        space = {
            "size": search.int_uniform(1, 1000, log=True),
            "flag": [True, None],
            "name": ["a", "bcd"],
        }
        return experiment.random_search(flagged, space, "min", samples=12, seed=5, **here)

    with ThreadPoolExecutor() as pool:
        generational = pool.submit(evolve, "generational")
        asynchronous = pool.submit(evolve, "asynchronous")
        drawn = pool.submit(draw).result()
        results = [generational.result(), asynchronous.result()]
    for result in results:
        check_evolution(result)
    # A generation on the cluster is what it is on this machine: a function of the seed and of what came before.
    batches = namespace.items("trialbatches", f"sparksweep.dev/experiment={results[0].experiment.metadata.name}")  # fmt: skip
    assert [len(batch["spec"]["trials"]) for batch in batches] == [5] * 5
    local = experiment.evolutionary_search(
        training_alike,
        BOUNDS,
        generations=5,
        popsize=5,
        seed=3,
        backend="local",
        directory=tmp_path / "run",
        progress=False,
    )
    points = ["parameters.learning_rate", "parameters.dropout"]
    assert local.trials[points].equals(results[0].trials[points])
    assert drawn.best_value == drawn.trials["metrics.metric"].min()
    assert set(drawn.trials["parameters.flag"]) == {True, None}
    assert len(drawn.trials) == 12
    figure(f"from Python, on nodes: {results[0]!r}, {results[1]!r}, {drawn!r}")
    owned = [
        item for item in namespace.items("configmaps") if "-function" in item["metadata"]["name"]
    ]
    assert [item["metadata"]["ownerReferences"][0]["kind"] for item in owned] == ["Experiment"] * 2


def training_alike(learning_rate: float, dropout: float) -> float:
    """What `training` returns for accuracy, without what it finds on the cluster."""
    return 1 - abs(learning_rate - 0.0004) * 500 - abs(dropout - 0.5)
