"""Results of an experiment: its trials as tables, by its name, during the run and after."""

from __future__ import annotations

import io
import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from cluster.client import KubectlError
from sparksweep._kube.sync_client import SyncClient
from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_commands import CommandLine, Followed
from support.e2e.e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes


@pytest.fixture
def command(namespace: Namespace) -> CommandLine:
    return CommandLine(namespace)


def test_trials_and_the_best_of_them_are_read_by_the_experiments_name(
    namespace: Namespace, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace.apply(experiment("tables", trials=8))
    namespace.wait_until_finished("tables")
    rows = json.loads(command("trials", "tables", "-o", "json").stdout)
    assert [row["number"] for row in rows] == list(range(1, 9))
    assert {row["state"] for row in rows} == {"Succeeded"}
    header, *lines = command("trials", "tables", "-o", "csv").stdout.splitlines()
    assert header.startswith("number,state,attempt,")
    assert len(lines) == 8
    assert "Succeeded" in command("trials", "tables").stdout
    best = yaml.safe_load(command("best", "tables", "-o", "yaml").stdout)
    assert best["trial"] == 7
    assert best["parameters"] == {"x": 7}

    table = pq.read_table(io.BytesIO(command.bytes("trials", "tables", "-o", "parquet")))
    assert table.column("parameters.x").to_pylist() == list(range(1, 9))
    # The same table is in the run directory, where status.results says it is.
    pod, _, directory = namespace.status("tables")["results"].partition(":")
    assert (pod, directory[:26]) == ("pod/tables-driver-0", "/var/lib/sparksweep/tables")
    monkeypatch.setenv("KUBECONFIG", str(namespace.cluster.cluster.kubeconfig))
    from sparksweep._runs.cluster_run import ClusterRunReader

    run = ClusterRunReader(SyncClient(), "tables", namespace.name)
    namespace.wait_for(
        lambda: not namespace.running("tables", "driver"), "the driver's container ends"
    )
    data = run.read("results.parquet", 0)
    run.close()
    assert data is not None
    assert pq.read_table(io.BytesIO(data)).equals(table)


REPORTS = """
import time
from sparksweep.context import report

def training(x):
    for epoch in range(3):
        report(epoch, score=x * epoch)
        time.sleep(5)
    return 2.0 * x
"""


def ask(address: str, path: str, body: object = None) -> Any:
    request = urllib.request.Request(
        f"{address}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_s17_tensorboard_shows_every_trial_while_it_runs_and_after(
    namespace: Namespace, command: CommandLine, figure: Callable[[str], None]
) -> None:
    namespace.apply(experiment("board", trials=6, source=REPORTS))
    namespace.wait_for(lambda: namespace.status("board").get("tensorboard"), "its address is known")
    address = namespace.status("board")["tensorboard"]
    assert address == f"http://board-tensorboard.{namespace.name}.svc:6006/"
    followed = Followed(command, "tensorboard", "board", "--port", "0")
    found = namespace.wait_for(
        lambda: re.search(r"http://127\.0\.0\.1:\d+/", "".join(followed.lines)),
        "the port is open",
    )
    here = found[0]

    def rows() -> list[Any]:
        experiment = ask(here, "data/plugin/hparams/experiment", {"experimentName": ""})
        assert [info["name"] for info in experiment["hparamInfos"]] == ["x"]
        metrics = [info["name"] for info in experiment["metricInfos"]]
        question = {
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING"],
            "colParams": [{"hparam": "x"}, *({"metric": name} for name in metrics)],
            "startIndex": 0,
            "sliceSize": 50,
        }
        groups = ask(here, "data/plugin/hparams/session_groups", question)
        return list(groups.get("sessionGroups", []))

    namespace.wait_for(lambda: len(rows()) >= 2, "trials that run are shown")
    reported = namespace.wait_for(
        lambda: [
            trial["reported"] for trial in namespace.trials("board").values() if "reported" in trial
        ],
        "what a running trial reports is in its status",
    )
    assert all(set(item["metrics"]) == {"score"} and item["step"] in (0, 1, 2) for item in reported)
    assert not namespace.status("board").get("completionTime"), "they are shown while it runs"
    namespace.wait_until_finished("board")
    namespace.wait_for(lambda: not namespace.running("board", "driver"), "the driver ends")

    def values() -> dict[int, float]:
        return {
            int(row["hparams"]["x"]): row["metricValues"][0]["value"]
            for row in rows()
            if row.get("metricValues")
        }

    assert not any("reported" in trial for trial in namespace.trials("board").values())
    expected = {x: 2.0 * x for x in range(1, 7)}
    namespace.wait_for(lambda: values() == expected, "every trial has its metric")
    plotted = ask(here, "data/plugin/scalars/scalars?run=0003&tag=score")
    # The last metrics take the place of what was reported for the last step.
    assert [(step, value) for _, step, value in plotted] == [(0, 0), (1, 3), (2, 6)]
    proxy = f"/api/v1/namespaces/{namespace.name}/services/board-tensorboard:6006/proxy/data/runs"
    assert "0006" in json.loads(namespace.kubectl("get", "--raw", proxy)), "the Service leads there"
    figure(f"{len(rows())} rows of the HParams table, {len(plotted)} points of trial 3's score")
    followed.stop()


def test_without_tensorboard_there_is_no_service_and_no_address(
    namespace: Namespace, command: CommandLine
) -> None:
    off = {"tensorboard": {"enabled": False}}
    namespace.apply(experiment("plain", trials=2, source=pausing(0.1), spec=off))
    status = namespace.wait_until_finished("plain")
    assert "tensorboard" not in status
    with pytest.raises(KubectlError, match="not found"):
        namespace.kubectl("get", "service", "plain-tensorboard")
    refused = command("tensorboard", "plain", "--port", "0")
    assert refused.returncode == 2
    assert "spec.tensorboard.enabled is false" in refused.stderr
