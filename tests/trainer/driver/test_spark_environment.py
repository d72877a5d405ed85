"""Variables for another Spark or Java reach neither our Spark nor are they lost for trials."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_core.errors import SparkNotStarted
from sparksweep_trainer.driver.installed_pyspark import InstalledFinder, installation
from sparksweep_trainer.driver.spark_environment import HIDDEN, hidden, log_end, spark_environment
from sparksweep_trainer.slot.environment import _SPARKS_OWN, server_environment
from support.trainer.driver_process import java_home as bundled_java_home
from support.trainer.trial_rig import program

FOREIGN = {
    "SPARK_HOME": "/not/there",
    "SPARK_CONF_DIR": "/etc/spark",
    "SPARK_MASTER": "yarn",
    "SPARK_LOCAL_IP": "10.99.99.99",
    "SPARK_LOCAL_DIRS": "/no/dirs",
    "SPARK_TESTING": "1",
    "SPARK_REMOTE": "sc://elsewhere",
    "SPARK_CONNECT_MODE_ENABLED": "1",
    "SPARK_DIST_CLASSPATH": "/x/*",
    "SPARK_SUBMIT_OPTS": "-Xnonsense",
    "SPARK_LAUNCHER_OPTS": "-Xnonsense",
    "SPARK_PREPEND_CLASSES": "1",
    "SPARK_AUTH_SOCKET_TIMEOUT": "soon",
    "SPARK_BUFFER_SIZE": "large",
    "PYSPARK_SUBMIT_ARGS": "--master yarn --deploy-mode cluster pyspark-shell",
    "PYSPARK_PYTHON": "/no/python",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "PYSPARK_DRIVER_PYTHON_OPTS": "notebook",
    "PYSPARK_PIN_THREAD": "false",
    "PYSPARK_UDS_MODE": "true",
    "MASTER": "yarn",
    "CONTAINER_ID": "container_1",
    "HADOOP_CONF_DIR": "/etc/hadoop",
    "YARN_CONF_DIR": "/etc/hadoop",
    "JAVA_TOOL_OPTIONS": "-javaagent:/no/agent.jar",
    "_JAVA_OPTIONS": "-Xmx2m",
    "JDK_JAVA_OPTIONS": "-Xnonsense",
    "BASH_ENV": "/no/script",
    "BASH_FUNC_dirname%%": "() {  exit 1; }",
    "SHELLOPTS": "braceexpand:nounset:noexec",
    "BASHOPTS": "cmdhist",
    "POSIXLY_CORRECT": "y",
    "CDPATH": "/",
    "PYTHONSTARTUP": "/no/startup.py",
    "PYTHONINSPECT": "",
    "PYTHONWARNINGS": "default",
    "PYTHONHASHSEED": "42",
    "PYTHONTRACEMALLOC": "",
    "PYTHONVERBOSE": "",
    "PYTHONPROFILEIMPORTTIME": "",
    "PYTHONDUMPREFS": "",
}
OURS = {"PATH": "/usr/bin", "HOME": "/root", "PYTHONPATH": "/lib", "SPARK_USER": "me", "HADOOP_USER_NAME": "me",
        "TMPDIR": "/tmp", "TZ": "UTC", "LD_LIBRARY_PATH": "/lib", "AWS_REGION": "x", "SPARKSWEEP_PROJECT_PATH": "/p"}  # fmt: skip


def of(environment: dict[str, str]) -> dict[str, str]:
    return spark_environment(
        environment, spark_home=Path("/ours"), python="/venv/python", java_home=Path("/jdk")
    )


def test_variables_for_others_are_withheld_and_all_others_are_kept() -> None:
    environment = of({**FOREIGN, **OURS})
    ours = {"SPARK_HOME": "/ours", "SPARK_CONNECT_MODE": "0", "PYSPARK_PYTHON": "/venv/python",
            "PYSPARK_DRIVER_PYTHON": "/venv/python", "JAVA_HOME": "/jdk"}  # fmt: skip
    seen = {key: value for key, value in environment.items() if "SWEEP_HIDDEN_" not in key}
    assert seen == {**OURS, **ours}


def test_every_pattern_has_an_example_here_and_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "local-runs.md").read_text()
    for pattern in HIDDEN:
        assert hidden(dict.fromkeys(FOREIGN, "")).keys() == FOREIGN.keys()
        assert any(re.fullmatch(pattern.replace("*", ".*"), name) for name in FOREIGN)
        assert f"`{pattern}`" in text


_names = st.sampled_from([*FOREIGN, *OURS]) | st.text("ABC_PYSK", min_size=1, max_size=8)


@given(st.dictionaries(_names, st.text(max_size=5)))
def test_trials_get_the_users_variables(environment: dict[str, str]) -> None:
    template = TrialTemplate.model_validate({"function": "m:f"})
    trials = server_environment(template, base=of(environment), marker="1")
    # Some names belong to any Spark that runs this process: trials never inherit them.
    for name in (name for name in hidden(environment) if not name.startswith(_SPARKS_OWN)):
        assert trials[name] == environment[name]
    assert not any("SWEEP_HIDDEN_" in name for name in trials)


# ---------------------------------------------------------------------- the right pyspark


def test_a_pyspark_that_is_not_installed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyspark", "py4j"):
        other = tmp_path / name / "__init__.py"
        other.parent.mkdir()
        other.write_text("raise ImportError('another Spark')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("pyspark", "py4j"):
        directory = installation(name)
        assert directory is not None
        assert directory != tmp_path
        spec = InstalledFinder().find_spec(name)
        assert spec is not None
        assert spec.origin == str(directory / name / "__init__.py")
    assert InstalledFinder().find_spec("json") is None
    assert InstalledFinder().find_spec("pyspark", ["/x"]) is None


def test_a_package_without_an_installation_is_left_to_others() -> None:
    assert installation("absent_package") is None


@pytest.mark.parametrize(
    ("content", "end"),
    [(None, ""), (b"", ""), (b"one\ntwo\nthree\n", "two\nthree"), (b"\xff\n", "\ufffd")],
)
def test_the_end_of_the_log(tmp_path: Path, content: bytes | None, end: str) -> None:
    log = tmp_path / "spark.log"
    if content is not None:
        log.write_bytes(content)
    assert log_end(log, lines=2) == end
    assert log_end(None) == ""


# ---------------------------------------------------------------------- Spark itself

_START = """
import sys
from pathlib import Path
from sparksweep_core.contract.program import Program
from sparksweep_core.errors import SparkNotStarted
from sparksweep_trainer.driver.spark import Driver, DriverSettings
from sparksweep_trainer.driver.trial_service import TrialService

program = Program.model_validate_json(sys.argv[1])
settings = DriverSettings(
    app_name="test", master="local[1]", log_file=Path(sys.argv[2]), conf=dict(w.split("=") for w in sys.argv[3:])
)
service = TrialService(program, record=lambda changed: None, slots=1)
try:
    with Driver(service, settings) as driver:
        print("healthy", driver.is_healthy)
except SparkNotStarted as error:
    print(error)
"""


def start(rig: Program, log: Path, *conf: str, **variables: str) -> str:
    """Start a driver in a process of its own and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", _START, rig.to_json(), str(log), *conf],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def java_home(home: Path, script: str) -> str:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return str(home)


@pytest.mark.spark
@pytest.mark.parametrize("script", ["echo out of luck >&2; exit 3", "kill -9 $$", "exit 0"])
def test_a_java_that_does_not_start_is_an_error_with_the_end_of_the_log(
    tmp_path: Path, script: str
) -> None:
    log = tmp_path / "spark.log"
    home = java_home(tmp_path / "jdk", script)
    said = start(program(tmp_path, "def training(): pass"), log, JAVA_HOME=home)
    assert said.startswith("Spark does not start: Java ended with exit code ")
    assert f"its log is {log}" in said
    assert ("out of luck" in said) == ("luck" in script)


@pytest.mark.spark
def test_a_context_that_can_not_be_made_is_one_too(tmp_path: Path) -> None:
    said = start(
        program(tmp_path, "def training(): pass"),
        tmp_path / "spark.log",
        "spark.serializer=no.such.Serializer",
        JAVA_HOME=str(bundled_java_home(tmp_path)),
    )
    assert said.startswith("Spark does not start: ")
    assert "no.such.Serializer" in said.splitlines()[0]
    assert issubclass(SparkNotStarted, Exception)
