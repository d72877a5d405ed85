"""A run directory in a volume of its own outlives its driver's pod."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_commands import CommandLine
from support.e2e.e2e_experiments import experiment
from support.e2e.e2e_faults import kill_pod

pytestmark = pytest.mark.nodes

SOURCE = """
import time

def training(x):
    print("trial", x, "prints", flush=True)
    with open("model.bin", "wb") as model:
        model.write(b"weights")
    time.sleep(1.5)
    return x
"""
STORAGE = {"persistentVolumeClaim": {"claimName": "shared"}}


def test_files_are_there_after_the_driver_was_killed(
    namespace: Namespace, shared_volume: Path
) -> None:
    volume = shared_volume.parent
    namespace.apply(experiment("kept", trials=8, source=SOURCE, spec={"storage": STORAGE}))
    namespace.wait_for(lambda: namespace.ended("kept") >= 2, "two trials have ended")
    (driver,) = namespace.pods("kept", "driver")
    kill_pod(driver)
    status = namespace.wait_until_finished("kept")
    assert status["trials"]["succeeded"] == 8
    name = f"kept-{namespace.get('experiments', 'kept')['metadata']['uid'][:8]}"
    assert status["results"] == f"persistentvolumeclaim/shared:/{name}"
    namespace.wait_for(lambda: not namespace.running("kept", "driver"), "the driver ends")

    command = CommandLine(namespace)
    for number in (1, 8):
        shown = command("logs", "kept", "--trial", str(number))
        assert shown.stdout == f"trial {number} prints\n", shown.stderr
    events = json.loads(namespace.kubectl("get", "events", "-o", "json"))["items"]
    (restarted,) = [item for item in events if item["reason"] == "DriverRestarted"]
    assert "are gone" not in restarted["message"]
    place = volume / name
    for number in range(1, 9):
        trial = place / "trials" / f"{number:04d}"
        assert (trial / "model.bin").read_bytes() == b"weights"
        assert (trial / "stdout.log").read_text() == f"trial {number} prints\n"
    numbers = pq.read_table(place / "results.parquet").column("number").to_pylist()
    assert numbers == list(range(1, 9))
