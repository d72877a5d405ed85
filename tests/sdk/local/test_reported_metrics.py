"""Reports of the trials of a real run: while they run, in TensorBoard's files, and from Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparksweep import Experiment
from sparksweep._local.tensorboard import runs_at
from support.marked_processes import ENVIRONMENT
from support.sdk.commands import command, trials_of
from support.trainer.event_files import plugin_data, read_events, scalars
from support.trainer.stage import soon

pytestmark = pytest.mark.spark

DOCUMENT = """\
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: reporting}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: grid}
  parallelTrialCount: 2
  parameters:
  - {name: lr, parameterType: discrete, feasibleSpace: {list: ["0.25", "0.5"]}}
  trialTemplate:
    function: train:training
    source:
      inline: |
        import pathlib, time
        from sparksweep import report
        def training(lr):
            for epoch in range(1, 4):
                report(epoch, loss=lr / epoch, accuracy=float("nan"))
            while not pathlib.Path("go-on").exists():
                time.sleep(0.05)
            return {"loss": lr / 8}
"""


def test_reports_show_while_trials_run_and_stay_when_they_have_ended(tmp_path: Path) -> None:
    file, run = tmp_path / "reporting.yaml", tmp_path / "run"
    file.write_text(DOCUMENT)
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            command("run", file, "--dir", run),
            stdout=output,
            stderr=output,
            env={**os.environ, **ENVIRONMENT},
        )
    try:
        assert soon(lambda: len(list(run.glob("trials/*/metrics.jsonl"))) == 2, 60)
        running = trials_of(run)
        assert [trial["reported"] for trial in running.values()] == [
            {"step": 3, "metrics": {"loss": lr / 3}} for lr in (0.25, 0.5)
        ]
        for number in (1, 2):
            (run / "trials" / f"000{number}" / "go-on").touch()
        assert process.wait(timeout=60) == 0, (tmp_path / "output").read_text()
    finally:
        process.kill()
        process.wait()
    assert all("reported" not in trial for trial in trials_of(run).values())
    (directory,) = runs_at(run)
    for number, lr in ((1, 0.25), (2, 0.5)):
        (events_file,) = directory.trial(number).glob("events.out.tfevents.*")
        start, *reports, end = read_events(events_file)
        assert plugin_data(start).session_start_info.hparams["lr"].number_value == lr
        assert plugin_data(end).session_end_info.status == 1
        losses = [value for tag, _, value in scalars(reports) if tag == "loss"]
        assert losses == [round(value, 6) for value in (lr, lr / 2, lr / 3, lr / 8)]


def test_a_result_has_the_history_of_each_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def training(x: int) -> float:
        from sparksweep import report

        for step in range(x):
            report(step, **{"val loss": step / 2, "ü": float("inf")})
        return float(x)

    result = Experiment(training, {"x": [1, 3]}, name="history").submit().wait(progress=False)
    (first,) = result.history(1)
    assert (first.step, first.metrics) == (0, {"val loss": 0.0, "ü": float("inf")})
    assert [report.step for report in result.trials[1].history()] == [0, 1, 2]
