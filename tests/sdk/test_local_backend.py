"""Experiments on this machine from Python: watched, interrupted, refused, and ended with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparksweep import Experiment
from sparksweep._backends.choice import choose_backend
from sparksweep.errors import ExperimentRefused, InvalidExperiment, RunDirectoryError
from support.marked_processes import ENVIRONMENT, marked_processes


def sleeping(x: int) -> int:
    import time

    time.sleep(60 if x > 1 else 0)
    return x


@pytest.mark.spark
def test_a_large_function_runs_a_timeout_passes_and_a_cancelled_run_keeps_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import random

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    data = random.Random(0).randbytes(400_000)

    def training(x: int) -> int:
        return sleeping(x) + len(data)

    experiment = Experiment(training, {"x": [1, 2]}, parallel=2, name="large")
    # Too long for the Experiment itself, so that a cluster gets a ConfigMap in addition.
    assert "kind: ConfigMap" in experiment.to_yaml()
    experiment.submit(directory=tmp_path / "run")
    monkeypatch.undo()
    while not (experiment.status and experiment.status.trials.succeeded):
        time.sleep(0.1)
    with pytest.raises(TimeoutError, match="still runs after"):
        experiment.wait(timeout=0.5)
    result = experiment.cancel()
    assert result.best_value == 400_001
    assert result.trials["state"].tolist() == ["Succeeded", "Pending"]
    assert marked_processes() == []
    shown = capsys.readouterr().err
    assert "large" in shown
    assert "best metric=400001 (trial 1)" in shown
    assert "trial 1" in result._repr_html_() or ">1</td>" in result._repr_html_()


def test_a_module_that_does_not_exist_is_refused_when_it_is_submitted(tmp_path: Path) -> None:
    experiment = Experiment("nosuchmodule:training", {"x": [1, 2]})
    with pytest.raises(InvalidExperiment, match="there is no module nosuchmodule"):
        experiment.submit(directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.spark
def test_a_function_that_can_not_be_imported_where_it_runs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "needy.py").write_text("import nosuchmodule\n\ndef training(x):\n    return x\n")
    experiment = Experiment("needy:training", {"x": [1, 2]})
    with pytest.raises(ExperimentRefused, match="nosuchmodule"):
        experiment.submit(directory=tmp_path / "run").wait(progress=False)


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("")
    with pytest.raises(RunDirectoryError, match="exists already"):
        Experiment(sleeping, {"x": [1]}).submit(directory=tmp_path).wait(progress=False)


@pytest.mark.spark
def test_a_run_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from sparksweep import Experiment\n"
        "def training(x):\n"
        f"    open({str(tmp_path / 'begun')!r}, 'w').close()\n"
        "    time.sleep(100)\n"
        f"Experiment(training, {{'x': [1]}}, name='orphan').submit(directory={str(tmp_path / 'run')!r})\n"
        "time.sleep(100)\n"
    )
    environment = {**os.environ, **ENVIRONMENT}
    started = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline, "no trial runs"
        time.sleep(0.1)
    assert len(marked_processes()) > 5
    started.send_signal(signal.SIGKILL)
    started.wait()
    while marked_processes():
        assert time.monotonic() < deadline + 30, "the trial outlives its program"
        time.sleep(0.1)


def test_the_backend_is_the_machine_unless_something_says_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SPARKSWEEP_BACKEND", raising=False)
    assert type(choose_backend()).__name__ == "LocalBackend"
    with pytest.raises(InvalidExperiment, match="'spark' is none of kubernetes, local"):
        choose_backend("spark")
    with pytest.raises(InvalidExperiment, match="is for Kubernetes, and the backend is local"):
        choose_backend("local", namespace="ml")
    with pytest.raises(InvalidExperiment, match="is for local runs"):
        choose_backend("kubernetes", directory="run")
    monkeypatch.setenv("SPARKSWEEP_BACKEND", "nowhere")
    with pytest.raises(InvalidExperiment, match="nowhere"):
        choose_backend()
