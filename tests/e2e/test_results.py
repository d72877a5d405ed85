"""What an experiment leaves: its trials as tables, by its name, while it runs and after."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
import yaml
from e2e_cluster import Namespace
from e2e_commands import CommandLine
from e2e_experiments import experiment

from sparksweep_operator.kube.blocking import BlockingGateway

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
    from sparksweep.reading.cluster_run import ClusterRunView

    run = ClusterRunView(BlockingGateway(), "tables", namespace.name)
    namespace.wait_for(
        lambda: not namespace.running("tables", "driver"), "the driver's container ends"
    )
    data = run.read("results.parquet", 0)
    run.close()
    assert data is not None
    assert pq.read_table(io.BytesIO(data)).equals(table)
