"""Results: trials as objects, as a sequence and as a DataFrame."""

from __future__ import annotations

import builtins
import copy
import pickle
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas
import pytest

import sparksweep
from sparksweep._runs.local_run import LocalRunReader
from sparksweep.errors import MissingDependency, SparksweepError, TrialNotFound
from sparksweep.results import Result, Trial, Trials
from sparksweep_core.api import Stop, TrialReason, TrialState, TrialStatus
from support.sdk.run_directories import START, discrete, experiment_of, record_run, succeeded

TRACE = "Traceback (most recent call last):\nValueError: no"


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """Return the result of four trials: succeeded, failed, succeeded, and stopped before it started."""
    experiment = experiment_of([discrete("x", ["1", "2", "3", "4"]), discrete("lr", ["0.1"])])
    failed = TrialStatus(
        number=2, state=TrialState.FAILED, attempt=2, reason="Exception", message=TRACE, retries=1
    )
    stopped = TrialStatus(number=4, state=TrialState.STOPPED, reason="GoalReached", message="m")
    stop = Stop(reason=TrialReason.GOAL_REACHED, message="m")
    path = record_run(
        tmp_path / "run",
        experiment,
        [{"x": str(n), "lr": "0.1"} for n in (1, 2, 3, 4)],
        [succeeded(1, 0.25), failed, succeeded(3, 0.123456789), stopped],
        batch={"stop": stop},
    )
    first = path / "trials" / "0001"
    (first / "stdout.log").write_bytes(b"one\nthree\n")
    (first / "stderr.log").write_bytes(b"two\xff\n")
    (first / "output.times").write_bytes(b"1.0 stdout 0\n2.0 stderr 0\n3.0 stdout 4\n")
    (first / "metrics.jsonl").write_text(
        '{"step": 1, "time": 1.0, "metrics": {"loss": 0.5}}\nno report\n'
        '{"step": 2, "time": 2.0, "metrics": {"loss": 0.25, "acc": 0.75}}\n'
    )
    reader = LocalRunReader(path)
    return Result(experiment, reader.trials(), logdir=str(path), reader=reader)


def test_a_trial_has_all_that_is_known_about_it(result: Result) -> None:
    best = result.best_trial
    assert isinstance(best, Trial)
    start = START + timedelta(seconds=10)
    facts = {
        "number": 1, "parameters": {"x": 1, "lr": 0.1}, "metrics": {"score": 0.25}, "objective": 0.25,
        "state": "Succeeded", "ran": True, "attempt": 1, "retries": 0, "reason": "Completed", "message": None,
        "start_time": start, "end_time": start + timedelta(seconds=2), "duration": 2.0, "node": "local",
        "peak_memory": 2**20, "directory": str(Path(result.logdir or "") / "trials" / "0001"),
    }  # fmt: skip
    assert {name: getattr(best, name) for name in facts} == facts
    assert (best.spec.number, best.status.attempt) == (1, 1)
    failed = result.trials[1]
    assert (failed.state, failed.reason, failed.message) == ("Failed", "Exception", TRACE)
    assert (failed.objective, failed.metrics, failed.attempt, failed.retries) == (None, {}, 2, 1)


def test_a_trial_s_output_and_reports_are_read(result: Result) -> None:
    best = result.trial(1)
    assert best.logs() == "one\ntwo�\nthree\n"
    assert best.logs(stream="stdout") == best.logs("stdout") == "one\nthree\n"
    assert best.logs("stderr") == "two�\n"
    reports = [(1, {"loss": 0.5}), (2, {"loss": 0.25, "acc": 0.75})]
    assert [(report.step, report.metrics) for report in best.history()] == reports
    assert result.history(1) == best.history() == result.history(1, attempt=1)
    with pytest.raises(TrialNotFound, match="attempt"):
        result.history(1, attempt=7)
    assert result.trial(4).history() == []
    assert result.trial(4).logs() == ""
    with pytest.raises(ValueError, match="stream: 'out' is none of stdout, stderr"):
        best.logs("out")
    with pytest.raises(TrialNotFound, match="has no attempt 2"):
        best.logs(attempt=2)
    unreachable = Result(result.experiment, [], logdir=None)
    assert list(unreachable.trials) == []
    nowhere = Result(result.experiment, LocalRunReader(Path(result.logdir or "")).trials(), logdir=None)  # fmt: skip
    assert nowhere.trial(1).directory is None
    with pytest.raises(SparksweepError, match="the files of trial 1 are out of reach"):
        nowhere.trial(1).logs()


def test_the_trials_are_a_sequence(result: Result) -> None:
    trials = result.trials
    assert (len(result), len(trials), bool(trials)) == (4, 4, True)
    assert [trial.number for trial in trials] == [1, 2, 3, 4]
    assert [trial.number for trial in reversed(trials)] == [4, 3, 2, 1]
    assert (trials[0].number, trials[-1].number) == (1, 4)
    assert isinstance(trials, Sequence)
    assert isinstance(trials[1:3], Trials)
    assert [trial.number for trial in trials[1:3]] == [2, 3]
    assert len(trials[1:3]["state"]) == 2
    assert trials[0] in trials
    assert trials[0] == result.best_trial
    assert {trials[0], result.trial(1)} == {trials[0]}
    with pytest.raises(
        IndexError, match=r"no trial at index 4: the indices are 0 to 3; result\.trial"
    ):
        trials[4]
    with pytest.raises(IndexError, match="there are no trials"):
        trials[:0][0]
    first, *rest = sorted(trials, key=lambda trial: trial.objective or -1.0, reverse=True)
    assert (first.number, len(rest)) == (1, 3)
    with pytest.raises(TrialNotFound, match="there is no trial 5 in recorded, which has 4"):
        result.trial(5)


def test_the_trials_answer_as_a_data_frame(result: Result) -> None:
    trials, table = result.trials, result.dataframe()
    assert trials["state"].tolist() == ["Succeeded", "Failed", "Succeeded", "Stopped"]
    assert trials[["state", "reason"]].equals(table[["state", "reason"]])
    assert trials[trials["state"] == "Succeeded"].index.tolist() == [1, 3]
    assert trials.loc[2, "reason"] == "Exception"
    assert list(trials.columns) == list(table.columns)
    assert trials.index.tolist() == [1, 2, 3, 4]
    assert trials.shape == table.shape
    assert trials.sort_values("metrics.score").index.tolist() == [3, 1, 2, 4]
    assert trials.nlargest(1, "metrics.score").index.tolist() == [1]
    assert trials.equals(table)
    assert "state" in trials
    assert "nothing" not in trials
    assert trials.to_csv() == table.to_csv()
    assert "<td" in trials._repr_html_()
    assert "loc" in dir(trials)
    trials["twice"] = trials["metrics.score"] * 2
    assert trials.loc[1, "twice"] == 0.5
    assert "twice" not in result.trials
    with pytest.raises(KeyError, match="nothing"):
        trials["nothing"]
    with pytest.raises(KeyError, match=r"score: did you mean metrics\.score\?"):
        trials["score"]
    with pytest.raises(KeyError, match=r"lr: did you mean parameters\.lr\?"):
        trials["lr"]
    with pytest.raises(AttributeError):
        _ = trials.nothing
    with pytest.raises(AttributeError):
        trials.columns = ["a"]  # type: ignore[attr-defined]
    for copied in (copy.copy(trials), pickle.loads(pickle.dumps(trials))):
        assert [trial.number for trial in copied] == [1, 2, 3, 4]


def test_the_repr_of_trials_begins_with_the_objective_and_ends_with_the_parameters(
    result: Result,
) -> None:
    trials = result.trials
    with pandas.option_context("display.width", 80):
        head = repr(trials).splitlines()[0].split()
    assert head[-1] == "parameters.lr"
    assert head[:2] == ["state", "metrics.score"]
    assert not {"attempt", "node", "message", "start_time", "peak_memory_bytes"} & set(head)
    trials["twice"] = trials["metrics.score"] * 2
    with pandas.option_context("display.width", 200, "display.max_columns", None):
        head = repr(trials).splitlines()[0].split()
        assert head == ["state", "metrics.score", "reason", "duration_seconds", "twice", "parameters.x", "parameters.lr"]  # fmt: skip
        assert "twice" not in repr(trials[:1])


def test_a_result_unpacks_as_ever(result: Result) -> None:
    best_dir, best_params, outputs = result
    assert (best_dir, best_params, outputs) == (
        result.best_dir,
        {"x": 1, "lr": 0.1},
        {"score": 0.25},
    )


def test_reprs_are_short_and_name_what_never_ran(result: Result) -> None:
    assert repr(result.best_trial) == "<Trial 1: Succeeded, score=0.25, x=1, lr=0.1>"
    assert repr(result.trials[1]) == "<Trial 2: Failed, Exception, x=2, lr=0.1>"
    assert repr(result.trials[2]) == "<Trial 3: Succeeded, score=0.123457, x=3, lr=0.1>"
    assert repr(result) == (
        "<Result of recorded: 4 trials, 1 of which never ran, best <Trial 1: Succeeded, score=0.25, x=1, lr=0.1>>"
    )
    assert [trial.ran for trial in result.trials] == [True, True, True, False]
    long = experiment_of([discrete(f"parameter_{n}", ["1"]) for n in range(40)])
    point = {f"parameter_{n}": "1" for n in range(40)}
    specs = [result.trials[0].spec.model_copy(update={"parameters": point})]
    wide = Result(long, [type(result._trials[0])(specs[0], succeeded(1, 0.5))], logdir=None)
    assert len(repr(wide.best_trial)) <= 200
    assert len(repr(wide)) < 300


def test_objects_of_a_choice_come_back(tmp_path: Path) -> None:
    flag = {"name": "flag", "parameterType": "categorical", "feasibleSpace": {"list": ["True", "None"]}}  # fmt: skip
    experiment = experiment_of([flag])
    path = record_run(
        tmp_path / "run", experiment, [{"flag": "True"}, {"flag": "None"}], [succeeded(1, 1.0)]
    )
    trials = LocalRunReader(path).trials()
    values = {"flag": {"True": True, "None": None}}
    result = Result(experiment, trials, logdir=None, values=values)
    assert result.best_params == {"flag": True}
    assert result.trials["parameters.flag"].tolist() == [True, None]
    assert [trial.parameters["flag"] for trial in result.trials] == [True, None]


def test_objects_do_not_need_pandas(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_pandas(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    assert len(result.trials) == 4
    assert result.trials[0].parameters == {"x": 1, "lr": 0.1}
    assert repr(result.trials).startswith("<Trial 1: Succeeded, score=0.25")
    assert "<td" in result.trials._repr_html_()
    with pytest.raises(MissingDependency, match=r"sparksweep\[notebook\]"):
        result.dataframe()
    with pytest.raises(MissingDependency):
        result.trials["state"]


def test_the_classes_are_public() -> None:
    assert (sparksweep.Result, sparksweep.Trial) == (Result, Trial)
    assert f"{Trial.__module__}.{Trial.__qualname__}" == "sparksweep.results.Trial"
