"""A run on a machine whose environment belongs to another Spark, another Hadoop and another Java."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.sdk.commands import sparksweep

EXPERIMENT = """
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: foreign}
spec:
  objective: {type: maximize, objectiveMetricName: score}
  algorithm: {algorithmName: grid}
  parameters:
  - {name: x, parameterType: int, feasibleSpace: {min: "1", max: "2"}}
  trialTemplate:
    function: train:training
    source:
      inline: |
        import json, os
        def training(x):
            print(json.dumps(dict(os.environ)))
            return 0.5
"""


@pytest.mark.spark
def test_it_runs_as_if_they_were_not_there_and_trials_see_them(tmp_path: Path) -> None:
    other = tmp_path / "python" / "pyspark" / "__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("raise ImportError('another Spark')")
    configuration = tmp_path / "conf"
    configuration.mkdir()
    (configuration / "spark-defaults.conf").write_text("spark.master yarn\nspark.jars /no.jar\n")
    (configuration / "spark-env.sh").write_text("exit 7\n")
    (configuration / "core-site.xml").write_text(
        "<configuration><property><name>hadoop.security.authentication</name>"
        "<value>kerberos</value></property></configuration>"
    )
    script = tmp_path / "bash-env"
    script.write_text("echo hello; exit 9\n")
    variables = {
        "SPARK_HOME": "/not/there",
        "SPARK_CONF_DIR": str(configuration),
        "SPARK_MASTER": "yarn",
        "SPARK_LOCAL_IP": "10.99.99.99",
        "SPARK_LOCAL_DIRS": "/no/dirs",
        "SPARK_TESTING": "1",
        "SPARK_REMOTE": "sc://elsewhere",
        "SPARK_CONNECT_MODE_ENABLED": "1",
        "SPARK_SUBMIT_OPTS": "-Xnonsense",
        "PYSPARK_SUBMIT_ARGS": "--master yarn --deploy-mode cluster pyspark-shell",
        "PYSPARK_PYTHON": "/no/python",
        "PYSPARK_DRIVER_PYTHON": "jupyter",
        "PYSPARK_PIN_THREAD": "false",
        "HADOOP_CONF_DIR": str(configuration),
        "YARN_CONF_DIR": str(configuration),
        "JAVA_TOOL_OPTIONS": "-javaagent:/no/agent.jar",
        "_JAVA_OPTIONS": "-Xmx2m",
        "JDK_JAVA_OPTIONS": "-Xnonsense",
        "BASH_ENV": str(script),
        "SHELLOPTS": "braceexpand:hashall:nounset:noexec",
        "CDPATH": "/",
        "PYTHONSTARTUP": "/no/startup.py",
        "PYTHONHASHSEED": "42",
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": str(tmp_path / "python"),
    }
    file = tmp_path / "e.yaml"
    file.write_text(EXPERIMENT)
    done = sparksweep("run", file, "--dir", tmp_path / "run", environment=variables)
    assert done.code == 0, done.stdout + done.stderr
    seen = json.loads((tmp_path / "run" / "trials" / "0001" / "stdout.log").read_text())
    # Spark puts its own files before the user's path.
    assert seen.pop("PYTHONPATH").endswith(variables.pop("PYTHONPATH"))
    assert {name: seen.get(name) for name in variables} == variables


@pytest.mark.spark
def test_a_java_that_does_not_start_is_told_in_words(tmp_path: Path) -> None:
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-version*) echo \'openjdk version "21.0.2"\' >&2; exit 0;; esac\n'
        "echo 'Error: [red] out of luck' >&2\n"
        "exit 1\n"
    )
    java.chmod(0o755)
    file = tmp_path / "e.yaml"
    file.write_text(EXPERIMENT)
    home = {"JAVA_HOME": str(tmp_path / "jdk")}
    done = sparksweep("run", file, "--dir", tmp_path / "run", environment=home)
    assert done.code == 2
    assert "Traceback" not in done.stderr
    assert "error: Spark does not start: Java ended with exit code 1" in done.stderr
    assert f"{tmp_path}/run/spark.log, which ends with:\nError: [red] out of luck" in done.stderr
