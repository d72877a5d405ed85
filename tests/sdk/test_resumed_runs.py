"""Local runs that are opened, interrupted, resumed and extended, from Python and from the shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sparksweep
from sparksweep import Experiment, search
from sparksweep.errors import InvalidExperiment, RunDirectoryError, SparksweepError
from sparksweep_core.api import Condition, ConditionType, ExperimentReason, ExperimentStatus
from support.marked_processes import ENVIRONMENT, marked_processes
from support.sdk.commands import sparksweep as command_line
from support.sdk.run_directories import START, discrete, experiment_of, record_run, succeeded

INTERRUPTED = Condition(
    type=ConditionType.SUSPENDED,
    status="True",
    reason=ExperimentReason.INTERRUPTED.value,
    message="m",
    last_transition_time=START,
)
COMPLETE = Condition(
    type=ConditionType.COMPLETE,
    status="True",
    reason=ExperimentReason.SEARCH_SPACE_EXHAUSTED.value,
    message="All 1 grid points ran.",
    last_transition_time=START,
)
PROGRAM = """
import os, time
from sparksweep import Experiment

def training(x, flag):
    from sparksweep import hdfs
    from mine import offset

    if x == 3 and not os.path.exists("../../again"):
        open("../../begun", "w").close()
        time.sleep(100)
    print(hdfs.project_path(), flag)
    return x + offset

Experiment(
    training, {"x": [1, 2, 3, 4], "flag": [(1, None)]}, max_trials=3, parallel=1, name="script"
).submit(directory="run").wait(progress=False)
"""


def run_of(path: Path, condition: Condition | None, name: str = "recorded") -> Path:
    status = None
    if condition is not None:
        status = ExperimentStatus(conditions=[condition], start_time=START)
    grid = {"algorithm": {"algorithmName": "grid"}, "maxTrialCount": 1}
    experiment = experiment_of([discrete("x", ["3"])], name=name, **grid)
    return record_run(path, experiment, [{"x": "3"}], [succeeded(1, 0.5)], status=status)


def test_a_finished_run_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = run_of(tmp_path / "run", COMPLETE)
    opened = Experiment.open("run")
    assert (opened.name, opened.where) == ("recorded", str(path))
    result = opened.wait(progress=False)
    assert (result.best_params, result.best_value, len(result)) == ({"x": 3}, 0.5, 1)
    assert result.trials[0].logs() == ""
    with pytest.raises(SparksweepError, match="was already submitted"):
        opened.submit()
    with pytest.raises(InvalidExperiment, match=r"parameters: All 1 grid points ran\. There are no more points\."):  # fmt: skip
        opened.resume(max_trials=60)
    with pytest.warns(UserWarning, match="it is Complete: All 1 grid points ran") as caught:
        assert opened.resume() is opened
    assert caught[0].filename == __file__
    assert opened.wait(progress=False).best_value == 0.5


@pytest.mark.parametrize("condition", [INTERRUPTED, None])
def test_an_interrupted_run_is_not_waited_for(tmp_path: Path, condition: Condition | None) -> None:
    opened = Experiment.open(run_of(tmp_path / "run", condition))
    with pytest.raises(SparksweepError, match=r"nothing runs it: Experiment\.open\('.*'\)\.resume\(\) goes on"):  # fmt: skip
        opened.wait(progress=False)
    assert len(opened.result()) == 1
    opened.cancel()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_trials": 2.5}, r"max_trials: 2\.5 is not a whole number"),
        ({"max_trials": True}, "max_trials: True is not a whole number"),
        ({"max_trials": "60"}, "max_trials: '60' is not a whole number"),
        ({"goal": float("nan")}, "goal: nan is not a finite number"),
        ({"goal": "high"}, "goal: 'high' is not a finite number"),
        ({"parallel": 0}, "parallel: 0 is less than 1"),
        ({"deadline_seconds": -1}, "deadline_seconds: -1"),
        ({"max_failed_trials": 2.0}, r"max_failed_trials: 2\.0 is not a whole number"),
    ],
)
def test_a_wrong_limit_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    opened = Experiment.open(run_of(tmp_path / "run", INTERRUPTED))
    with pytest.raises(InvalidExperiment, match=message):
        opened.resume(**change)  # type: ignore[arg-type]


def test_what_holds_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="nowhere does not exist"):
        Experiment.open(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        Experiment.open(tmp_path)
    with pytest.raises(SparksweepError, match="is not submitted"):
        Experiment("m:f", {"x": [1]}).resume()


def test_a_directory_that_is_in_use_is_refused_when_it_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("def training(x):\n    return x\n")
    path = run_of(tmp_path / "run", INTERRUPTED)
    experiment = Experiment("train:training", {"x": [1]})
    with pytest.raises(RunDirectoryError, match=r"another one as directory=, or go on with Experiment\.open"):  # fmt: skip
        experiment.submit(directory=path)
    assert experiment.where is None


def test_the_runs_of_a_directory_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert repr(sparksweep.runs()) == "<no runs in 'runs'>"
    assert len(sparksweep.runs()) == 0
    with pytest.raises(RunDirectoryError, match="nowhere can't be listed"):
        sparksweep.runs("nowhere")
    run_of(tmp_path / "runs" / "a", COMPLETE, "first")
    run_of(tmp_path / "runs" / "b", INTERRUPTED, "second")
    damaged = run_of(tmp_path / "runs" / "c", INTERRUPTED)
    (damaged / "experiment.yaml").write_text("spec: [")
    (tmp_path / "runs" / "notes.txt").write_text("")
    (tmp_path / "runs" / "empty").mkdir()
    runs = sparksweep.runs()
    assert [(run.directory, run.name, run.state, run.best) for run in runs] == [
        ("runs/a", "first", "Complete", 0.5),
        ("runs/b", "second", "Interrupted", 0.5),
        ("runs/c", "", "Unreadable", None),
    ]
    assert (runs[0].trials, runs[0].when) == ("1", START)
    assert [run.name for run in runs[:2]] == ["first", "second"]
    lines = repr(runs).splitlines()
    assert lines[0].split() == ["directory", "name", "state", "trials", "best", "started"]
    assert lines[1].split()[:5] == ["runs/a", "first", "Complete", "1", "0.5"]
    assert len(lines) == 4
    assert repr(runs[0]) == "<Run 'runs/a': Complete, 1 trials, best 0.5>"
    assert ">second</td>" in runs._repr_html_()
    assert [run.name for run in sparksweep.runs("runs/b")] == ["second"]


@pytest.mark.spark
def test_a_script_s_run_is_interrupted_and_goes_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for place in (project, elsewhere):
        place.mkdir()
    (project / "mine.py").write_text("offset = 10\n")
    (project / "script.py").write_text(PROGRAM)
    script = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=project,
        env={**os.environ, **ENVIRONMENT},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 90
    while not (project / "run" / "begun").exists() and script.poll() is None:
        assert time.monotonic() < deadline, "trial 3 does not begin"
        time.sleep(0.1)
    monkeypatch.chdir(elsewhere)
    running = Experiment.open("../project/run")
    (summary,) = sparksweep.runs("../project")
    assert (summary.state, summary.trials) == ("Running", "2/3")
    with pytest.raises(RunDirectoryError, match=r"is in use by process \d+: Experiment\.open"):
        running.resume()
    script.send_signal(signal.SIGINT)
    _, stderr = script.communicate(timeout=60)
    assert f"script was interrupted, 2 of 3 trials have ended: {project}/run\n" in stderr
    assert f"Experiment.open('{project}/run').resume(), or in a shell: sparksweep run --resume {project}/run\n" in stderr  # fmt: skip
    assert stderr.endswith("KeyboardInterrupt\n")
    assert marked_processes() == []

    (project / "run" / "again").touch()
    done = command_line("run", "--resume", "../project/run", cwd=elsewhere)
    assert done.code == 0, done.stderr
    assert "2 of 3 trials have ended, 1 was interrupted and starts again" in done.stderr
    result = Experiment.open("../project/run").resume(max_trials=4).wait(progress=False)
    assert [trial.state for trial in result.trials] == ["Succeeded"] * 4
    assert (result.best_value, result.best_params) == (14.0, {"x": 4, "flag": (1, None)})
    # Home, search path and data are those of the start.
    assert {trial.logs() for trial in result.trials} == {f"{project}/ (1, None)\n"}
    assert [trial.attempt for trial in result.trials] == [1, 1, 2, 1]


@pytest.mark.spark
def test_a_run_of_the_shell_is_waited_for_and_ended_from_python(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef f(x):\n    time.sleep(100)\n")
    file = tmp_path / "e.yaml"
    file.write_text(Experiment("slow:f", {"x": search.int_uniform(1, 9)}, objective=None, algorithm="random", max_trials=2, name="slow").to_yaml())  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "sparksweep", "run", str(file), "--dir", str(tmp_path / "run")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 90
    while b'"Running"' not in (_contents(tmp_path / "run" / "journal.jsonl")):
        assert time.monotonic() < deadline, "no trial runs"
        time.sleep(0.1)
    opened = Experiment.open(tmp_path / "run")
    with pytest.raises(TimeoutError):
        opened.wait(progress=False, timeout=0.1)
    result = opened.cancel()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert {trial.state for trial in result.trials} == {"Pending"}
    assert sparksweep.runs(tmp_path)[0].state == "Interrupted"


def _contents(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
