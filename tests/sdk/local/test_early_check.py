"""Mistakes of the trial code that a local run reports while Spark still starts: here its Java never gets ready."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from support.sdk.commands import command
from support.trainer.fake_api_server import eventually


@pytest.fixture
def slow_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a Java that never listens."""
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -version ] && echo \'openjdk version "21"\' >&2 && exit\n'
        "echo started\nexec sleep 600\n"
    )
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(java.parent.parent))
    return java


def experiment(directory: Path, module: str, template: dict[str, object] | None = None) -> Path:
    (directory / "train.py").write_text(module)
    file = directory / "experiment.yaml"
    document = {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "early"},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "grid"},
            "parallelTrialCount": 1,
            "parameters": [
                {
                    "name": "x",
                    "parameterType": "int",
                    "feasibleSpace": {"min": "1", "max": "2"},
                }
            ],
            "trialTemplate": template or {"function": "train:training"},
        },
    }
    file.write_text(yaml.safe_dump(document))
    return file


def run(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("run", file, "--dir", file.parent / "run", "-o", "json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "400"},
    )


GOOD = "def training(x):\n    return float(x)\n"


@pytest.mark.parametrize(
    ("module", "template", "words"),
    [
        ("import nowhere_at_all\n" + GOOD, None, "No module named 'nowhere_at_all'"),
        ("raise OSError('no data')\n" + GOOD, None, "no data"),
        ("1 / 0\n" + GOOD, None, "division by zero"),
        ("import os\nos._exit(3)\n" + GOOD, None, "exit code 3"),
        ("training = lambda y: y\n", None, "takes no argument 'x'"),
        ("training = 5\n", None, "is no function but of type int"),
        ("globals()['other'] = lambda x: x\n", None, "has no function 'training'"),
        (GOOD, {"function": "train:training", "preload": ["train", "bad_preload"]}, "bad_preload"),
    ],
)
@pytest.mark.usefixtures("slow_java")
def test_a_mistake_of_the_code_is_reported_before_spark_has_started(
    tmp_path: Path, module: str, template: dict[str, object] | None, words: str
) -> None:
    (tmp_path / "bad_preload.py").write_text("raise ImportError('broken')\n")
    done = run(experiment(tmp_path, module, template))
    assert done.returncode == 2, done.stderr
    assert words in done.stdout + done.stderr


@pytest.mark.usefixtures("slow_java")
def test_an_interrupt_ends_a_run_whose_spark_and_whose_import_hang(tmp_path: Path) -> None:
    file = experiment(tmp_path, "import time\ntime.sleep(600)\n" + GOOD)
    directory = tmp_path / "run"
    with subprocess.Popen(command("run", file, "--dir", directory, "-q")) as process:
        log = directory / "spark.log"
        eventually(lambda: log.exists() and "started" in log.read_text(), within_s=60)
        eventually(lambda: (directory / "experiment.yaml").exists(), within_s=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_a_java_that_can_t_start_is_an_error_that_names_its_log(
    slow_java: Path, tmp_path: Path
) -> None:
    slow_java.write_text(slow_java.read_text().replace("exec sleep 600", "exit 9"))
    done = run(experiment(tmp_path, GOOD))
    assert done.returncode == 2
    assert "Java ended with exit code 9" in done.stderr
    assert "spark.log" in done.stderr
