"""Trials' files on their way to the driver's run directory: real processes, and Spark on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.trainer.driver_process import DriverProcess
from support.trainer.fake_api_server import FakeApiServer, eventually
from support.trainer.trial_batches import BATCHES, batch, name

pytestmark = pytest.mark.spark

SOURCE = """
import os, pathlib, time

def training(x):
    pathlib.Path("slot").write_text(str(os.getppid()))
    pathlib.Path("tensorboard").mkdir(exist_ok=True)
    for epoch in range(1000):
        print("epoch", epoch, flush=True)
        with open("metrics.jsonl", "a") as metrics:
            metrics.write('{"step": %d, "time": 1.5, "metrics": {"accuracy": 0.5}}\\n' % epoch)
        if os.path.exists(f"{GO}-{os.environ['SPARKSWEEP_TRIAL_ATTEMPT']}"):
            break
        time.sleep(0.05)
    pathlib.Path("model.bin").write_bytes(b"weights")
    return float(x)
"""


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    yield server
    server.close()


def attempt(api: FakeApiServer) -> int:
    trials = (api.get(BATCHES, name(0)).get("status") or {}).get("trials") or [{}]
    return int(trials[0].get("attempt", 0))


def text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_files_are_there_while_a_trial_runs_and_after_its_slot_was_killed(
    api: FakeApiServer, tmp_path: Path
) -> None:
    api.put(BATCHES, batch(0, range(1, 2), parallel=1))
    run = tmp_path / "run"
    trial = run / "trials" / "0001"
    source = SOURCE.replace("{GO}", str(tmp_path / "go"))
    server = {"SPARKSWEEP_API_SERVER": api.endpoint.server}
    with DriverProcess(server, tmp_path, source=source, run_directory=run) as driver:
        eventually(lambda: "epoch 5" in text(trial / "stdout.log"), within_s=60)
        assert attempt(api) == 1
        eventually(lambda: text(trial / "slot") != "")
        # The fork server's parent is the slot.
        fork_server = int(text(trial / "slot"))
        status = Path(f"/proc/{fork_server}/status").read_text()
        slot = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid"))
        os.kill(slot, signal.SIGKILL)
        eventually(lambda: "epoch" in text(trial / "stdout.attempt-1.log"), within_s=60)
        assert "epoch 5" in text(trial / "stdout.attempt-1.log")
        assert "attempt 1: ExecutorLost" in text(trial / "sparksweep.log")
        eventually(lambda: "epoch 3" in text(trial / "stdout.log"), within_s=60)
        (tmp_path / "go-2").touch()
        eventually(lambda: api.get(BATCHES, name(0))["status"]["progress"] == "1/1", within_s=30)
        assert (trial / "model.bin").read_bytes() == b"weights"
        assert text(trial / "metrics.jsonl").count("\n") == text(trial / "stdout.log").count("\n")
        assert "stdout 0" in text(trial / "output.times")
        assert driver.process.poll() is None
        done = api.get(BATCHES, name(0))
        done["spec"]["closed"] = True
        api.put(BATCHES, done)
        assert driver.process.wait(timeout=15) == 0
        assert "[trial 1] epoch 5" in driver.log.read_text()
    assert list((tmp_path / "trials").iterdir()) == [], "what was sent is removed where it ran"


def test_a_driver_of_an_experiment_that_is_over_ends(api: FakeApiServer, tmp_path: Path) -> None:
    item = batch(0, range(1, 2), parallel=1)
    item["spec"]["closed"] = True
    api.put(BATCHES, item)
    with DriverProcess({"SPARKSWEEP_API_SERVER": api.endpoint.server}, tmp_path) as driver:
        assert driver.process.wait(timeout=30) == 0
