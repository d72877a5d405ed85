"""A user's first steps: `kubectl apply` of the example, here with a volume and a store, and TensorBoard open."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from playwright.sync_api import Page, expect

from support.e2e.browser import page
from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_commands import CommandLine, Followed
from support.object_store import KEYS, ObjectStore, object_store

pytestmark = pytest.mark.nodes

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits-grid.yaml"
SEEDS_ORDER = [
    ("0.001", "0.45"), ("0.001", "0.7"), ("0.0005", "0.45"), ("0.0005", "0.7"), ("0.0001", "0.45"), ("0.0001", "0.7"),
]  # fmt: skip


@pytest.fixture
def store(namespace: Namespace) -> Iterator[ObjectStore]:
    """Provide an S3 API at the address of the cluster's API server, which pods reach too, and its keys in a Secret."""
    layout = namespace.cluster.cluster.layout
    if layout is None:
        pytest.skip("the cluster is not on this machine, which its pods may not reach")
    with object_store(layout.api_address) as running:
        keys = {**KEYS, "AWS_ENDPOINT_URL": f"http://{running.endpoint}", "AWS_REGION": "us-east-1"}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "store"},
            "stringData": keys,
        }
        namespace.apply(secret)
        yield running


def example_with(storage: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["spec"]["storage"] = storage
    return document


def look_at_tensorboard(address: str, here: Page, screenshot: Path) -> None:
    """Check TensorBoard in a browser: the curves of every trial, and a row for each in the table of hyperparameters."""
    here.goto(f"{address}#timeseries")
    for number in range(1, 7):
        expect(here.get_by_text(f"{number:04d}").first).to_be_visible(timeout=60_000)
    expect(here.get_by_text("epoch_accuracy").first).to_be_visible(timeout=60_000)
    here.screenshot(path=screenshot.with_name("curves.png"))
    here.goto(f"{address}#hparams")
    here.reload()
    for value in ("learning_rate", "dropout", "accuracy", "Number of matching session groups: 6"):
        expect(here.get_by_text(value).first).to_be_visible(timeout=60_000)
    for number in range(1, 7):
        expect(here.get_by_text(f"{number:04d}").first).to_be_visible(timeout=60_000)
    here.screenshot(path=screenshot)


def test_the_digits_grid_ends_with_the_same_best_as_a_local_run(
    namespace: Namespace,
    shared_volume: Path,
    store: ObjectStore,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    claim = {"claimName": "shared"}
    storage = {"persistentVolumeClaim": claim, "uri": "s3://bucket/runs", "secretName": "store"}
    namespace.apply(example_with(storage))
    tables: dict[tuple[object, object], str] = {}

    def finished() -> bool:
        status = namespace.status("digits-grid")
        shown = (status.get("state"), status.get("progress"))
        if shown not in tables:
            tables[shown] = namespace.kubectl("get", "experiments.sparksweep.dev")
        return bool(status.get("completionTime"))

    with namespace.watched("digits-grid"):
        namespace.wait_for(
            lambda: namespace.status("digits-grid").get("tensorboard"), "TensorBoard is up"
        )
        board = Followed(CommandLine(namespace), "tensorboard", "digits-grid", "--port", "0")
        request.addfinalizer(board.stop)
        address = namespace.wait_for(
            lambda: re.search(r"http://127[.]0[.]0[.]1:\d+/", "".join(board.lines)),
            "its port is open",
        )[0]
        namespace.wait_for(lambda: namespace.ended("digits-grid"), "a trial has ended")
        with page() as here:
            here.goto(f"{address}#hparams")
            expect(here.get_by_text("0001").first).to_be_visible(timeout=60_000)
        namespace.wait_for(finished, "digits-grid ends", timeout_s=300)
    figure("\n".join(tables.values()))
    status = namespace.status("digits-grid")
    assert namespace.condition("digits-grid", "Complete")["reason"] == "SearchSpaceExhausted"
    assert (status["trials"]["created"], status["trials"]["succeeded"]) == (6, 6)
    assert status["progress"] == "6/6"
    best = status["bestTrial"]
    assert best["objective"] > 0.9
    trials = namespace.trials("digits-grid")
    points = [
        (t["parameters"]["learning_rate"], t["parameters"]["dropout"]) for t in trials.values()
    ]
    assert points == SEEDS_ORDER
    assert all({"accuracy", "loss"} <= set(trial["metrics"]) for trial in trials.values())
    pods = {trial["node"] for trial in trials.values()}
    assert len(pods) <= 2, "a pod per trial"
    assert [batch["metadata"]["name"] for batch in namespace.items("trialbatches")] == [
        "digits-grid-00000"
    ]
    described = namespace.kubectl("describe", "swx", "digits-grid")
    for reason in ("Started", "BatchCreated", "DriverCreated", "SearchSpaceExhausted"):
        assert reason in described
    namespace.wait_for(
        lambda: not namespace.pods("digits-grid", "executor"), "the executors are given back"
    )

    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sparksweep",
        "run",
        EXAMPLE,
        "--dir",
        tmp_path / "run",
    ]
    local = json.loads(subprocess.check_output([*command, "--output", "json"], text=True))
    assert local["status"]["bestTrial"]["parameters"] == best["parameters"]
    assert local["status"]["bestTrial"]["objective"] == pytest.approx(best["objective"], abs=0.02)

    namespace.wait_for(
        lambda: not namespace.running("digits-grid", "driver"),
        "the driver ends, and the viewer stays",
    )
    with page() as here:
        look_at_tensorboard(address, here, tmp_path / "hparams.png")
    where = namespace.status("digits-grid")["results"].removeprefix("s3://")
    kept = set(store.names())
    for number in range(1, 7):
        assert f"{where}/trials/{number:04d}/stdout.log" in kept
        assert any(name.startswith(f"{where}/trials/{number:04d}/tensorboard/") for name in kept)
    table = pq.read_table(io.BytesIO(store.read(f"{where}/results.parquet")))
    assert table.column("metrics.accuracy").to_pylist()[best["number"] - 1] == best["objective"]
    figure(f"screenshots of TensorBoard: {tmp_path}")
