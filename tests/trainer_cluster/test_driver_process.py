"""The process of a driver pod, with Spark on this machine in a cluster's stead, against a small API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api_server import FakeApiServer, eventually
from trial_batches import BATCHES, EXPERIMENT, NAMESPACE, batch, name

from sparksweep.api import Parameter, TrialTemplate
from sparksweep.api.search_spec import FeasibleSpace, ParameterType
from sparksweep.local.java import find_java_home
from sparksweep_trainer.protocol import Program

pytestmark = pytest.mark.spark

SOURCE = """
import time

def training(x):
    time.sleep(SECONDS)
    return float(x)
"""


class DriverProcess:
    """One ``python -m sparksweep_trainer.cluster``."""

    def __init__(
        self, api: FakeApiServer, directory: Path, *, seconds: float, number: int = 0
    ) -> None:
        code = directory / "code"
        code.mkdir(exist_ok=True)
        (code / "train.py").write_text(SOURCE.replace("SECONDS", str(seconds)))
        program = Program(
            experiment=EXPERIMENT,
            parameters=[
                Parameter(
                    name="x",
                    parameter_type=ParameterType.INT,
                    feasible_space=FeasibleSpace(min="1", max="1000"),
                )
            ],
            trial_template=TrialTemplate(function="train:training"),
            trials_directory=str(directory / "trials"),
            search_path=[str(code)],
        )
        driver = {
            "experiment": EXPERIMENT,
            "master": "local[4]",
            "spark": {
                "spark.driver.host": "$(POD_IP)",
                "spark.driver.bindAddress": "$(POD_IP)",
                "spark.driver.memory": "512m",
                "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
                "spark.local.dir": str(directory),
            },
        }
        config = directory / "config"
        config.mkdir(exist_ok=True)
        (config / "program.json").write_text(program.to_json())
        (config / "driver.json").write_text(json.dumps(driver))
        self.log = directory / f"driver-{number}.log"
        environment = os.environ | {
            "SPARKSWEEP_DRIVER_CONFIG": str(config),
            "SPARKSWEEP_API_SERVER": api.endpoint.server,
            "POD_NAME": f"{EXPERIMENT}-driver-{number}",
            "POD_NAMESPACE": NAMESPACE,
            "POD_IP": "127.0.0.1",
            "JAVA_HOME": str(find_java_home(directory)),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sparksweep_trainer.cluster"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=15)


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


def test_batches_are_run_and_their_statuses_written(api: FakeApiServer, directory: Path) -> None:
    api.put(BATCHES, batch(0, range(1, 7), parallel=2))
    driver = DriverProcess(api, directory, seconds=0.01)
    try:
        eventually(lambda: status(api).get("driver") == "digits-driver-0")
        eventually(lambda: status(api).get("progress") == "6/6", within_s=60)
        api.put(BATCHES, batch(1, range(7, 12), parallel=3))
        eventually(lambda: status(api, 1).get("progress") == "5/5", within_s=60)
        trials = status(api, 1)["trials"]
        assert [trial["number"] for trial in trials] == [7, 8, 9, 10, 11]
        assert status(api, 1)["counts"]["succeeded"] == 5
        assert status(api, 1)["observedGeneration"] == 1
    finally:
        code = driver.end()
    print(driver.log.read_text())  # noqa: T201
    assert code == 0
