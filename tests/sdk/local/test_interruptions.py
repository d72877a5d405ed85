"""Runs that are killed or interrupted, and resumed: every trial finishes once, and the best one is the same."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.marked_processes import ENVIRONMENT, marked_processes
from support.sdk.commands import command, sparksweep, trials_of

pytestmark = pytest.mark.spark

TRIALS = 12


def experiment(directory: Path, name: str) -> Path:
    """Write an experiment whose trials append a line to a file when they end, which shows trials that run twice."""
    path = directory / f"{name}.yaml"
    path.write_text(
        f"""
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {{name: {name}}}
spec:
  objective: {{type: maximize, objectiveMetricName: score}}
  algorithm: {{algorithmName: grid}}
  parallelTrialCount: 2
  parameters:
  - {{name: x, parameterType: int, feasibleSpace: {{min: "1", max: "{TRIALS}"}}}}
  trialTemplate:
    function: train:training
    env: [{{name: ENDED, value: {directory / "ended"}}}]
    source:
      inline: |
        import os, time

        def training(x):
            time.sleep(0.4)
            with open(os.environ["ENDED"], "a") as ended:
                ended.write(f"{{x}}\\n")
            return -abs(x - 7.5) - x / 100
"""
    )
    return path


def ended(directory: Path) -> list[int]:
    path = directory / "ended"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def start(file: Path, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", file, "--dir", directory, "-o", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        start_new_session=True,
    )


def assert_complete(document: Any, directory: Path) -> None:
    counts = document["status"]["trials"]
    assert (counts["created"], counts["succeeded"]) == (TRIALS, TRIALS)
    # As an undisturbed run would have it: x = 7 is the best, x = 8 as near but later.
    assert document["status"]["bestTrial"]["parameters"] == {"x": "7"}
    assert {trial["state"] for trial in trials_of(directory).values()} == {"Succeeded"}


def test_kill_9_and_resume_runs_every_trial_once(tmp_path: Path) -> None:
    file, directory = experiment(tmp_path, "killed"), tmp_path / "run"
    process = start(file, directory)
    wait_until(lambda: len(ended(tmp_path)) >= 4, "four trials ended")
    process.kill()
    process.communicate()
    # No process is left to end them, and still they end.
    wait_until(lambda: not marked_processes(), "no trial runs on", 15)
    finished = {n for n, t in trials_of(directory).items() if t["state"] == "Succeeded"}
    assert len(finished) >= 3
    before = ended(tmp_path)

    done = sparksweep("run", file, "--resume", directory, "-o", "json")
    assert done.code == 0, done.stderr
    assert_complete(done.document, directory)
    again = ended(tmp_path)[len(before) :]
    assert finished.isdisjoint(again), "a finished trial was run again"
    assert sorted(set(before) | set(again)) == list(range(1, TRIALS + 1))
    assert len(again) == len(set(again))

    once_more = sparksweep("run", file, "--resume", directory, "-o", "json")
    assert once_more.code == 0
    assert_complete(once_more.document, directory)
    assert ended(tmp_path) == before + again


def test_ctrl_c_stops_what_runs_and_resume_goes_on(tmp_path: Path) -> None:
    file, directory = experiment(tmp_path, "stopped"), tmp_path / "run"
    process = start(file, directory)
    wait_until(lambda: len(ended(tmp_path)) >= 3, "three trials ended")
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, stderr
    document = json.loads(stdout)
    status = document["status"]
    suspended = [c for c in status["conditions"] if c["type"] == "Suspended"]
    assert (suspended[0]["status"], suspended[0]["reason"]) == ("True", "Interrupted")
    assert "suspend" not in suspended[0]["message"]
    assert status["trials"]["running"] == 0
    assert status["trials"]["created"] == TRIALS
    assert marked_processes() == []
    cut_off = [t for t in trials_of(directory).values() if t.get("reason") == "Interrupted"]
    assert cut_off
    assert {t["message"] for t in cut_off} == {
        "stopped by Ctrl-C; it starts again when the run is resumed"
    }
    finished = {n for n, t in trials_of(directory).items() if t["state"] == "Succeeded"}
    before = ended(tmp_path)
    # One that was stopped between its last line and its return did not finish.
    assert finished <= set(before)

    done = sparksweep("run", file, "--resume", directory, "-o", "json")
    assert done.code == 0, done.stderr
    assert_complete(done.document, directory)
    assert sorted([*finished, *ended(tmp_path)[len(before) :]]) == list(range(1, TRIALS + 1))


def test_a_run_is_not_resumed_as_another_experiment(tmp_path: Path) -> None:
    file, directory = experiment(tmp_path, "first"), tmp_path / "run"
    assert sparksweep("run", file, "--dir", directory).code == 0
    other = sparksweep("run", experiment(tmp_path, "second"), "--resume", directory)
    assert other.code == 2
    assert "holds a run of first" in other.stderr
    file.write_text(file.read_text().replace('max: "12"', 'max: "13"'))
    changed = sparksweep("run", file, "--resume", directory)
    assert changed.code == 2
    assert "spec.parameters" in changed.stderr
