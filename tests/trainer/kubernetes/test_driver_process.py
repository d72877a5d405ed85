"""The process of a driver pod, with Spark on this machine instead of a cluster, against a small API server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.contract.driver_config import DRIVER_CANNOT_START
from sparksweep_trainer.driver.trial_server import SlotTokens
from support.trainer.driver_process import DriverProcess
from support.trainer.fake_api_server import FakeApiServer, Handler, eventually
from support.trainer.trial_batches import BATCHES, batch, name

pytestmark = pytest.mark.spark


def variables(api: FakeApiServer) -> dict[str, str]:
    return {"SPARKSWEEP_API_SERVER": api.endpoint.server}


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    yield server
    server.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sparksweep-test-") as path:
        yield Path(path)


def status(api: FakeApiServer, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = api.get(BATCHES, name(index)).get("status") or {}
    return found


def states(api: FakeApiServer, index: int = 0) -> dict[int, str]:
    return {trial["number"]: trial["state"] for trial in status(api, index).get("trials", [])}


def finished(api: FakeApiServer) -> set[int]:
    return {number for number, state in states(api).items() if state == "Succeeded"}


TOKEN = re.compile(rb"[0-9]+\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
"""Tokens of slots."""
TELLING = """
import os
from pathlib import Path

def training(x):
    for name in ("environ", "cmdline"):
        for process in ("self", str(os.getppid())):
            data = Path("/proc", process, name).read_bytes()
            Path("DIRECTORY", f"{x}-{process}-{name}").write_bytes(data)
    return float(x)
"""


def test_batches_are_run_and_their_statuses_written(api: FakeApiServer, directory: Path) -> None:
    """Slots and driver speak TLS here; their tokens are in no log, event, environment, command line or status."""
    api.put(BATCHES, batch(0, range(1, 7), parallel=2))
    visible = directory / "visible"
    visible.mkdir()
    spark = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{visible}",
    }
    source = TELLING.replace("DIRECTORY", str(visible))
    with DriverProcess(variables(api), directory, source=source, spark=spark) as driver:
        eventually(lambda: status(api).get("progress") == "6/6", within_s=60)
        api.put(BATCHES, batch(1, range(7, 107), parallel=3))
        eventually(lambda: status(api, 1).get("progress") == "100/100", within_s=60)
        assert sorted(states(api, 1)) == list(range(7, 107))
        assert status(api, 1)["counts"]["succeeded"] == 100
        assert status(api, 1)["observedGeneration"] == 1
        assert driver.end() == 0
    # 106 trials of 10 ms: one claim, and a write a second at most.
    assert len(api.sent("PATCH", "/status")) <= 12
    assert {verb for verb, _, _ in api.requests} == {"GET", "PATCH"}
    texts = {path.name: path.read_bytes() for path in visible.rglob("*") if path.is_file()}
    texts |= {
        "log": driver.log.read_bytes(),
        "statuses": repr([status(api), status(api, 1)]).encode(),
    }
    assert any(b"SparkListenerJobEnd" in text for text in texts.values())
    assert TOKEN.search(SlotTokens().of(7).encode())
    assert not [name for name, text in texts.items() if TOKEN.search(text)]


def test_a_driver_ended_by_a_signal_leaves_running_trials_to_the_next(
    api: FakeApiServer, directory: Path
) -> None:
    api.put(BATCHES, batch(0, range(1, 5), parallel=2))
    with DriverProcess(variables(api), directory, seconds=600) as driver:
        eventually(lambda: list(states(api).values()) == ["Running"] * 2, within_s=60)
        begun = time.monotonic()
        assert driver.end() == 0
        assert time.monotonic() - begun < 10
    assert states(api) == {1: "Pending", 2: "Pending"}
    assert status(api)["counts"]["pending"] == 4
    assert [trial["reason"] for trial in status(api)["trials"]] == ["Interrupted"] * 2


SAVES = """
import pathlib, signal, sys, time

def training(x):
    def save(*_):
        time.sleep(5)
        pathlib.Path("..", f"saved-{x}").touch()
        sys.exit(1)

    signal.signal(signal.SIGTERM, save)
    pathlib.Path("..", f"begun-{x}").touch()
    time.sleep(SECONDS)
"""


def test_running_trials_end_in_their_grace_period_before_the_driver_does(
    api: FakeApiServer, directory: Path
) -> None:
    trials = directory / "trials"
    api.put(BATCHES, batch(0, range(1, 5), parallel=2))
    with DriverProcess(variables(api), directory, seconds=600, source=SAVES) as driver:
        eventually(lambda: len([*trials.glob("begun-*")]) == 2, within_s=60)
        assert driver.end() == 0
    assert len([*trials.glob("saved-*")]) == 2
    assert [trial["reason"] for trial in status(api)["trials"]] == ["Interrupted"] * 2


def test_a_driver_takes_over_from_one_that_was_killed_and_repeats_nothing(
    api: FakeApiServer, directory: Path
) -> None:
    api.put(BATCHES, batch(0, range(1, 21), parallel=4))
    with DriverProcess(variables(api), directory, seconds=0.3) as driver:
        eventually(lambda: len(finished(api)) >= 6, within_s=60)
        driver.end(signal.SIGKILL)
    before = {number: status(api)["trials"][number - 1] for number in finished(api)}
    with DriverProcess(variables(api), directory, seconds=0.01, number=1) as driver:
        # Claimed before Spark is up: no reader sees the killed driver's trials as running any more.
        eventually(lambda: status(api)["driver"] == "digits-driver-1")
        eventually(lambda: "Running" not in states(api).values(), within_s=1)
        eventually(lambda: status(api)["progress"] == "20/20", within_s=60)
        assert driver.end() == 0
    trials = {trial["number"]: trial for trial in status(api)["trials"]}
    assert {number: trials[number] for number in before} == before
    assert {trial["attempt"] for trial in trials.values()} == {1, 2}


def test_a_driver_ends_when_another_has_taken_over(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 5), parallel=2))
    with DriverProcess(variables(api), directory, seconds=600) as driver:
        eventually(lambda: "Running" in states(api).values(), within_s=60)
        taken = batch(0, range(1, 5), status={"driver": "digits-driver-1"})
        api.put(BATCHES, taken)
        assert driver.process.wait(timeout=15) == 0
    assert status(api) == {"driver": "digits-driver-1"}
    assert "digits-driver-1 has taken over" in driver.log.read_text()


def test_a_driver_whose_spark_has_died_fails_so_that_another_one_starts(
    api: FakeApiServer, directory: Path
) -> None:
    api.put(BATCHES, batch(0, range(1, 5), parallel=2))
    with DriverProcess(variables(api), directory, seconds=600) as driver:
        eventually(lambda: "Running" in states(api).values(), within_s=60)
        os.kill(driver.java(), signal.SIGKILL)
        assert driver.process.wait(timeout=20) == 1
    assert status(api)["counts"]["running"] == 0


def test_a_driver_ends_while_spark_starts(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 5)))
    with DriverProcess(variables(api), directory, seconds=1) as driver:
        eventually(lambda: status(api).get("driver") == "digits-driver-0")
        assert driver.end() == 0


def test_trials_go_on_while_the_api_server_is_away(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 41), parallel=4))
    with DriverProcess(variables(api), directory, seconds=0.1) as driver:
        eventually(lambda: len(finished(api)) >= 3, within_s=60)

        def away(handler: Handler) -> bool:
            handler.answer(503, {"message": "away"})
            return True

        with api.lock:
            api.faults.append(away)
        seen = status(api)["progress"]
        api.break_watches()
        # As long as the rest takes, during which no request is answered.
        time.sleep(3)
        assert status(api)["progress"] == seen
        asked = len(api.requests)
        with api.lock:
            api.faults.clear()
        eventually(lambda: status(api)["progress"] == "40/40", within_s=60)
        assert driver.end() == 0
    assert asked < 60
    assert {trial["attempt"] for trial in status(api)["trials"]} == {1}


def test_a_goal_stops_what_runs_and_what_waits(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 9), parallel=2))
    with DriverProcess(variables(api), directory, seconds=600) as driver:
        eventually(lambda: list(states(api).values()) == ["Running"] * 2, within_s=60)
        order = {"reason": "GoalReached", "message": "trial 9 has 0.99"}
        stopped = api.get(BATCHES, name(0))
        stopped["spec"]["stop"] = order
        stopped["metadata"]["generation"] = 2
        api.put(BATCHES, stopped)
        eventually(lambda: status(api)["progress"] == "8/8", within_s=15)
        assert set(states(api).values()) == {"Stopped"}
        assert {trial["message"] for trial in status(api)["trials"]} == {order["message"]}
        assert status(api)["observedGeneration"] == 2
        assert driver.end() == 0


def test_code_that_cant_take_the_parameters_is_refused(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 3), parallel=2))
    source = "def training(y):\n    return y\n"
    with DriverProcess(variables(api), directory, source=source) as driver:
        eventually(lambda: "refused" in status(api), within_s=60)
        assert "'x'" in status(api)["refused"]
        assert status(api)["counts"]["pending"] == 2
        assert driver.end() == 0


def test_a_driver_whose_run_directory_cant_be_written_says_so(
    api: FakeApiServer, directory: Path
) -> None:
    taken = directory / "taken"
    taken.write_text("a file")
    with DriverProcess(variables(api), directory, run_directory=taken) as driver:
        assert driver.process.wait(timeout=30) == DRIVER_CANNOT_START
        assert "the run directory can't be used" in driver.log.read_text()


def test_a_pod_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparksweep_trainer.kubernetes"],
        env={
            "SPARKSWEEP_DRIVER_CONFIG": str(tmp_path),
            "SPARKSWEEP_TERMINATION_LOG": str(tmp_path / "last-words"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == DRIVER_CANNOT_START
    assert "driver.json" in done.stdout
    last_words = (tmp_path / "last-words").read_text()
    assert last_words.startswith("the driver can't start: ")
    assert "driver.json" in last_words
