"""Runs that go on: found as they were left, under limits that may change, and refused in words where they can't."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sparksweep._local.changes import Changes
from sparksweep._local.doors import Door
from sparksweep._local.record import RunRecord
from sparksweep._local.resuming import Resumption, prepare, relocated
from sparksweep._local.run_directory import RunDirectory
from sparksweep.errors import InvalidExperiment, RunDirectoryError, Unreadable
from sparksweep_core.api import (
    Condition,
    ConditionType,
    ExperimentReason,
    ExperimentStatus,
    Stop,
    TrialReason,
    TrialState,
    TrialStatus,
)
from sparksweep_core.contract.annotations import ENDING_ANNOTATION, SEED_ANNOTATION
from support.sdk.run_directories import START, discrete, experiment_of, record_run, succeeded

NOW = START + timedelta(seconds=100)
GRID = {"algorithm": {"algorithmName": "grid"}}


def ended(kind: ConditionType, reason: ExperimentReason) -> ExperimentStatus:
    condition = Condition(
        type=kind, status="True", reason=reason.value, message="It ended.", last_transition_time=NOW
    )
    return ExperimentStatus(conditions=[condition], start_time=START, completion_time=NOW)


COMPLETE = ended(ConditionType.COMPLETE, ExperimentReason.MAX_TRIALS_REACHED)
GOAL = ended(ConditionType.COMPLETE, ExperimentReason.GOAL_REACHED)
EXHAUSTED = ended(ConditionType.COMPLETE, ExperimentReason.SEARCH_SPACE_EXHAUSTED)
FAILED = ended(ConditionType.FAILED, ExperimentReason.MAX_FAILED_TRIALS_REACHED)
LATE = ended(ConditionType.FAILED, ExperimentReason.DEADLINE_EXCEEDED)
REFUSED = ended(ConditionType.FAILED, ExperimentReason.FUNCTION_REFUSED)


def failed(number: int) -> TrialStatus:
    return TrialStatus(number=number, state=TrialState.FAILED, attempt=1, reason="Exception")


def stopped(number: int, attempt: int = 0) -> TrialStatus:
    return TrialStatus(number=number, state=TrialState.STOPPED, attempt=attempt, reason="GoalReached")  # fmt: skip


def running(number: int) -> TrialStatus:
    return TrialStatus(number=number, state=TrialState.RUNNING, attempt=1, start_time=START)


def objective(goal: float) -> dict[str, Any]:
    return {"type": "maximize", "objectiveMetricName": "score", "goal": goal}


def left(path: Path, statuses: list[TrialStatus], status: ExperimentStatus | None, count: int, **spec: Any) -> RunDirectory:  # fmt: skip
    """Return the locked directory of a run of `count` trials, left with these statuses."""
    experiment = experiment_of([discrete("x", [str(n) for n in range(1, 13)])], **spec)
    points = [{"x": str(n)} for n in range(1, count + 1)]
    stop = Stop(reason=TrialReason.GOAL_REACHED, message="m") if status is GOAL else None
    record_run(path, experiment, points, statuses, status=status, batch={"stop": stop})
    directory = RunDirectory.open(path)
    directory.lock()
    return directory


def resumed(directory: RunDirectory, **changes: Any) -> Resumption:
    return prepare(directory, changes=Changes(**changes), clock=lambda: NOW)


@pytest.mark.parametrize(
    ("statuses", "status", "count", "spec", "changes", "found"),
    [
        ([], None, 4, {"maxTrialCount": 10}, {}, "0 of 10 trials have ended"),
        ([succeeded(1, 1.0), failed(2), running(3), running(4)], None, 6, {"maxTrialCount": 12}, {}, "2 of 12 trials have ended, 2 were interrupted and start again"),
        ([succeeded(1, 1.0), running(2)], None, 2, GRID, {}, "1 of 12 trials have ended, 1 was interrupted and starts again"),
        ([succeeded(1, 1.0), succeeded(2, 2.0)], COMPLETE, 2, {"maxTrialCount": 2}, {"max_trials": 6}, "2 of 6 trials have ended; it was Complete (MaxTrialsReached)"),
        ([succeeded(1, 1.0), stopped(2, 1), stopped(3)], GOAL, 3, {"objective": objective(1.0)}, {"goal": 5.0}, "1 of 12 trials have ended, 2 were stopped and start again; it was Complete (GoalReached)"),
        ([failed(1), failed(2), stopped(3)], FAILED, 3, {"maxFailedTrialCount": 2}, {"max_failed_trials": 3}, "2 of 12 trials have ended, 1 was stopped and starts again; it was Failed (MaxFailedTrialsReached)"),
        ([succeeded(1, 1.0), stopped(2)], LATE, 2, {"activeDeadlineSeconds": 50}, {"deadline_seconds": 101}, "1 of 12 trials have ended, 1 was stopped and starts again; it was Failed (DeadlineExceeded)"),
        ([stopped(1)], REFUSED, 1, {}, {}, "0 of 12 trials have ended, 1 was stopped and starts again; it was Failed (FunctionRefused)"),
    ],
)  # fmt: skip
def test_a_run_goes_on_and_says_how_it_was_found(
    tmp_path: Path,
    statuses: list[TrialStatus],
    status: ExperimentStatus | None,
    count: int,
    spec: dict[str, Any],
    changes: dict[str, Any],
    found: str,
) -> None:
    directory = left(tmp_path / "run", statuses, status, count, **spec)
    resumption = resumed(directory, **changes)
    assert (resumption.found, resumption.goes_on) == (found, True)
    recorded = directory.read_journal()
    assert not any(batch.spec.stop for batch in recorded.batches.values())
    assert not (recorded.status and recorded.status.holds(ConditionType.COMPLETE, ConditionType.FAILED))  # fmt: skip
    for before in statuses:
        now = recorded.trials[before.number]
        if before.state is TrialState.STOPPED:
            assert (now.state, now.attempt) == (TrialState.PENDING, before.attempt)
        else:
            assert now == before
    directory.unlock()


@pytest.mark.parametrize(
    ("statuses", "status", "spec", "changes", "path", "message"),
    [
        ([succeeded(1, 1.0)], COMPLETE, {"maxTrialCount": 1}, {"max_trials": 1, "max_failed_trials": 1}, "spec.maxTrialCount", "1 is reached: give more than 1"),
        ([succeeded(n, 1.0) for n in range(1, 5)], COMPLETE, {"maxTrialCount": 4}, {"max_trials": 3}, "spec.maxTrialCount", "3 is less than the 4 trials"),
        ([succeeded(n, 1.0) for n in range(1, 5)], None, {}, {"max_trials": 3}, "spec.maxTrialCount", "3 is less than the 4 trials"),
        ([succeeded(n, 1.0) for n in range(1, 13)], EXHAUSTED, GRID, {"max_trials": 60}, "spec.parameters", "All 12 grid points ran. There are no more points."),
        ([failed(n) for n in range(1, 13)], EXHAUSTED, GRID, {"max_trials": 60}, "spec.parameters", "There are no more points"),
        ([succeeded(1, 3.0)], GOAL, {"objective": objective(1.0)}, {"goal": 2.0}, "spec.objective.goal", "2 is reached, give a higher one: Trial 1"),
        ([failed(1), failed(2)], FAILED, {"maxFailedTrialCount": 2}, {"max_trials": 50}, "spec.maxFailedTrialCount", "2 is reached: give more than 2"),
        ([failed(1), failed(2)], FAILED, {"maxFailedTrialCount": 2}, {"max_failed_trials": 1}, "spec.maxFailedTrialCount", "1 is reached"),
        ([succeeded(1, 1.0)], LATE, {"activeDeadlineSeconds": 50}, {"deadline_seconds": 99}, "spec.activeDeadlineSeconds", "99 counts from the start, 100 s ago: give more"),
        ([succeeded(1, 1.0)], None, {}, {"max_trials": 0}, "spec.maxTrialCount", "less than 1"),
        ([succeeded(1, 1.0)], None, {}, {"parallel": 0}, "spec.parallelTrialCount", "less than 1"),
    ],
)  # fmt: skip
def test_limits_that_let_nothing_run_are_refused_and_nothing_is_written(
    tmp_path: Path,
    statuses: list[TrialStatus],
    status: ExperimentStatus | None,
    spec: dict[str, Any],
    changes: dict[str, Any],
    path: str,
    message: str,
) -> None:
    directory = left(tmp_path / "run", statuses, status, len(statuses), **spec)
    before = directory.journal.read_bytes()
    with pytest.raises(InvalidExperiment) as caught:
        resumed(directory, **changes)
    (finding,) = caught.value.errors
    assert finding.path == path
    assert message in finding.message
    assert directory.journal.read_bytes() == before
    directory.unlock()


def test_a_goal_needs_an_objective(tmp_path: Path) -> None:
    directory = left(tmp_path / "run", [], None, 1, **GRID, objective=None)
    with pytest.raises(InvalidExperiment, match=r"2\.0 needs an objective, which the run lacks"):
        resumed(directory, goal=2.0)
    directory.unlock()


@pytest.mark.parametrize("status", [COMPLETE, FAILED, EXHAUSTED])
def test_without_a_change_an_ended_run_stays_as_it_is(
    tmp_path: Path, status: ExperimentStatus
) -> None:
    directory = left(tmp_path / "run", [succeeded(1, 1.0)], status, 1)
    before = directory.journal.read_bytes()
    resumption = resumed(directory, parallel=1)
    assert not resumption.goes_on
    assert resumption.found == f"it is {status.conditions[0].type}: It ended."
    assert directory.journal.read_bytes() == before
    directory.unlock()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"parameters": [discrete("x", ["1"])]}, "spec.parameters[0].feasibleSpace.list"),
        ({"trialTemplate": {"function": "other:training"}}, "spec.trialTemplate.function"),
        ({"objective": {"type": "minimize", "objectiveMetricName": "score"}}, "spec.objective.type"),
        ({"algorithm": {"algorithmName": "grid"}}, "spec.algorithm.algorithmName"),
    ],
)  # fmt: skip
def test_the_search_can_not_change(tmp_path: Path, change: dict[str, Any], path: str) -> None:
    directory = left(tmp_path / "run", [], None, 1)
    space = [discrete("x", [str(n) for n in range(1, 13)])]
    given = experiment_of(change.pop("parameters", space), **change)
    with pytest.raises(InvalidExperiment) as caught:
        prepare(directory, given=given)
    assert [error.path for error in caught.value.errors] == [path]
    assert "in a resumed run, only parallelTrialCount" in str(caught.value)
    with pytest.raises(RunDirectoryError, match="holds a run of recorded, but the file defines b"):
        prepare(directory, given=experiment_of(space, name="b"))
    directory.unlock()


def test_findings_have_the_names_of_the_door() -> None:
    from sparksweep.errors import FieldError

    findings = [FieldError("spec.maxTrialCount", "m"), FieldError("spec.objective.goal", "g"), FieldError("spec.parameters", "p")]  # fmt: skip
    assert [str(f) for f in Door.PYTHON.named(findings)] == ["max_trials: m", "goal: g", "parameters: p"]  # fmt: skip
    assert [str(f) for f in Door.COMMAND_LINE.named(findings)] == ["--max-trials: m", "--goal: g", "spec.parameters: p"]  # fmt: skip
    path = Path("/runs/it's")
    assert Door.PYTHON.resume(path) == """Experiment.open("/runs/it's").resume()"""
    assert Door.COMMAND_LINE.resume(path) == """sparksweep run --resume '/runs/it'"'"'s'"""


def test_a_record_keeps_the_places_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}relative")
    monkeypatch.delenv("SPARKSWEEP_PROJECT_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    record = RunRecord.of_start(tmp_path)
    assert (record.home, record.project_path) == (str(tmp_path), str(tmp_path))
    assert record.python_path == [str(tmp_path), str(tmp_path / "relative")]
    assert RunRecord.of_start(tmp_path, ["/lib.zip"]).python_path == ["/lib.zip"]
    monkeypatch.setenv("SPARKSWEEP_PROJECT_PATH", "s3://bucket/mine")
    assert RunRecord.of_start(tmp_path).project_path == "s3://bucket/mine"

    path = tmp_path / "run.json"
    path.write_text(record.to_json())
    assert RunRecord.read(path) == record
    path.write_text(json.dumps({"home": "/a", "newer": 1}))
    assert RunRecord.read(path).home == "/a"
    path.write_text("{")
    with pytest.raises(RunDirectoryError, match=r"run\.json is damaged"):
        RunRecord.read(path)
    assert RunRecord.read(tmp_path / "nothing.json") == RunRecord()


@pytest.mark.parametrize("name", ["run.json", "experiment.yaml", "journal.jsonl"])
def test_an_unreadable_file_of_a_run_names_the_version_that_made_it(
    tmp_path: Path, name: str
) -> None:
    directory = left(tmp_path / "run", [], None, 1)
    (directory.path / "run.json").write_text(json.dumps({"version": "9.8.7", "home": "/a"}))
    if name == "run.json":
        (directory.path / name).write_text(json.dumps({"version": "9.8.7", "home": 7}))
    elif name == "journal.jsonl":
        with (directory.path / name).open("a") as journal:
            journal.write(json.dumps({"trial": {"number": 1, "state": "Paused"}}) + "\n")
    else:
        document = directory.read_experiment().to_dict()
        document["spec"]["algorithm"]["algorithmName"] = "annealing"
        (directory.path / name).write_text(json.dumps(document))
    read = {
        "run.json": directory.read_record,
        "experiment.yaml": directory.read_experiment,
        "journal.jsonl": directory.read_journal,
    }[name]
    with pytest.raises((RunDirectoryError, Unreadable), match=r"written by sparksweep 9\.8\.7"):
        read()
    directory.unlock()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (ENDING_ANNOTATION, "BudgetExhausted", '"BudgetExhausted" is no reason that this version knows'),
        (ENDING_ANNOTATION, "", "is no reason that this version knows"),
        (SEED_ANNOTATION, "philox:7", '"philox:7" is no integer'),
    ],
)  # fmt: skip
def test_a_note_of_a_later_planner_ends_the_resuming_in_words(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    """Ignored, it would begin anew a run that the later version has ended."""
    directory = left(tmp_path / "run", [succeeded(1, 1.0), stopped(2)], GOAL, 2)
    (directory.path / "run.json").write_text(json.dumps({"version": "9.8.7"}))
    noted = with_note(directory, name, value)
    with pytest.raises(RunDirectoryError) as caught:
        resumed(directory, goal=5.0)
    for word in ("journal.jsonl", f"metadata.annotations[{name}]", problem, "sparksweep 9.8.7"):
        assert word in str(caught.value)
    assert directory.journal.read_bytes() == noted
    directory.unlock()


def test_a_note_that_a_later_record_takes_back_is_none(tmp_path: Path) -> None:
    directory = left(tmp_path / "run", [], None, 1)
    before = directory.journal.read_text().splitlines(keepends=True)
    with_note(directory, SEED_ANNOTATION, "philox:7")
    with directory.journal.open("a") as journal:
        journal.write(next(line for line in before if line.startswith('{"batch"')))
    assert resumed(directory).goes_on
    directory.unlock()


def with_note(directory: RunDirectory, name: str, value: str) -> bytes:
    """Append the batch once more, with an annotation; return the journal."""
    (batch,) = directory.read_journal().batches.values()
    body = batch.to_dict()
    body["metadata"]["annotations"] = {name: value}
    with directory.journal.open("a") as journal:
        journal.write(json.dumps({"batch": body}) + "\n")
    return directory.journal.read_bytes()


def test_home_stays_unless_it_is_gone(tmp_path: Path) -> None:
    directory = left(tmp_path / "run", [], None, 1)
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    # A directory of an earlier version has no record.
    assert relocated(directory, home) == (directory.read_record(), "")
    assert (directory.read_record().home, directory.read_record().project_path) == (str(home),) * 2
    assert relocated(directory, other)[0].home == str(home)
    home.rmdir()
    record, note = relocated(directory, other)
    assert (record.home, record.project_path) == (str(other),) * 2
    assert note == f"{home}, where the run was started, is gone: {other} takes its place"
    directory.unlock()


def test_a_file_may_have_the_new_limits(tmp_path: Path) -> None:
    directory = left(tmp_path / "run", [succeeded(1, 1.0)], COMPLETE, 1, maxTrialCount=1)
    given = experiment_of([discrete("x", [str(n) for n in range(1, 13)])], maxTrialCount=5)
    resumption = prepare(directory, given=given, clock=lambda: NOW)
    assert resumption.experiment.spec.max_trial_count == 5
    assert resumption.found == "1 of 5 trials have ended; it was Complete (MaxTrialsReached)"
    directory.unlock()
