"""Preparation of a run that is resumed: its Experiment under new limits, and its journal without an end that they lift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sparksweep._local.changes import Changes
from sparksweep._local.journal import Recorded
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep._local.state import RunState
from sparksweep.errors import InvalidExperiment, RunDirectoryError
from sparksweep_core.algorithms import create
from sparksweep_core.api import (
    Condition,
    ConditionType,
    Experiment,
    ExperimentReason,
    ExperimentStatus,
    TrialState,
)
from sparksweep_core.planner import obstacle, reopen
from sparksweep_core.validation.immutability import check_resume


@dataclass(frozen=True)
class Resumption:
    """A run that is ready to go on."""

    experiment: Experiment
    """The Experiment under the limits to go on with."""
    found: str
    """The state in which the run was found, as text for the user."""
    goes_on: bool
    """False if the run has ended, and no limit was changed: there is nothing to run."""


def prepare(
    directory: RunDirectory,
    *,
    given: Experiment | None = None,
    changes: Changes | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Resumption:
    """Prepare a locked run directory for going on.

    Args:
        directory: The run directory.
        given: The Experiment to go on with; None: the recorded one.
        changes: Limits to change in it.
        clock: Returns the time, with a time zone.

    Raises:
        InvalidExperiment: A change can't be made, or the run would end at once; nothing was written.
        RunDirectoryError: The directory holds another experiment's run, or a damaged one.
    """
    recorded = directory.read_experiment()
    if given is not None and given.metadata.name != recorded.metadata.name:
        raise RunDirectoryError(
            f"{directory.path} holds a run of {recorded.metadata.name}, "
            f"but the file defines {given.metadata.name}"
        )
    journal = directory.read_journal()
    state = RunState(journal)
    experiment = (changes or Changes()).applied(given or recorded)
    errors = check_resume(recorded, experiment, created=len(state.trials))
    if errors:
        raise InvalidExperiment(errors)
    status = journal.status or ExperimentStatus()
    end = _end(status)
    if end is None:
        text = _found(experiment, state)
        if given is None and (unknown := directory.unknown_fields()):
            text += f"; this version does not know, and ignores, {', '.join(unknown)}"
        return Resumption(experiment, text, goes_on=True)
    refused = end.reason == ExperimentReason.FUNCTION_REFUSED
    if _limits(experiment) == _limits(recorded) and not refused:
        return Resumption(experiment, f"it is {end.type}: {end.message}", goes_on=False)
    text = f"{_found(experiment, state)}; it was {end.type} ({end.reason})"
    _reopen(directory, experiment, journal, state, now=clock())
    return Resumption(experiment, text, goes_on=True)


def relocated(directory: RunDirectory, otherwise: Path) -> tuple[RunRecord, str]:
    """Return the record of a locked run to be resumed, and a note if another directory takes the place of its home.

    Args:
        directory: The run directory, whose record is written anew with that note.
        otherwise: The home if none is recorded, or the recorded one is gone.
    """
    record = directory.read_record()
    if record.home is not None and Path(record.home).is_dir():
        return record, ""
    note = ""
    if record.home is not None:
        note = f"{record.home}, where the run was started, is gone: {otherwise} takes its place"
    data_moved = record.project_path in (None, record.home)
    project_path = str(otherwise) if data_moved else record.project_path
    moved = record.model_copy(update={"home": str(otherwise), "project_path": project_path})
    directory.write_record(moved)
    return moved, note


def _reopen(
    directory: RunDirectory,
    experiment: Experiment,
    journal: Recorded,
    state: RunState,
    *,
    now: datetime,
) -> None:
    ended = experiment.model_copy(update={"status": journal.status})
    reopened = reopen(ended, state.batches)
    found = obstacle(experiment, reopened, now=now)
    if found is not None:
        raise InvalidExperiment([found[0]])
    appended = directory.open_journal()
    for before, batch in zip(state.batches, reopened.batches, strict=True):
        if before.spec != batch.spec:
            appended.append_batch(batch)
    appended.append_trials(reopened.restarted)
    appended.append_status(reopened.status)
    appended.close()


def _end(status: ExperimentStatus) -> Condition | None:
    ends = (ConditionType.COMPLETE, ConditionType.FAILED)
    return next((c for kind in ends if (c := status.condition(kind, "True")) is not None), None)


def _limits(experiment: Experiment) -> tuple[object, ...]:
    """Return the limits that may have ended the run."""
    spec = experiment.spec
    goal = spec.objective.goal if spec.objective is not None else None
    return (
        spec.max_trial_count,
        spec.max_failed_trial_count,
        spec.active_deadline_seconds,
        goal,
    )


def _found(experiment: Experiment, state: RunState) -> str:
    """Return the state of a run as text: "12 of 40 trials have ended, 2 were interrupted and start again"."""
    trials = state.trials
    stopped = sum(trial.state is TrialState.STOPPED for trial in trials)
    ended = sum(trial.state.is_finished for trial in trials) - stopped
    interrupted = sum(not trial.state.is_finished and trial.status.attempt > 0 for trial in trials)
    bounds = (create(experiment.spec).size(), experiment.spec.max_trial_count)
    known = [bound for bound in bounds if bound is not None]
    of = f" of {max(min(known), len(trials))}" if known else ""
    parts = [f"{ended}{of} trials have ended"]
    if interrupted:
        parts.append(f"{_were(interrupted)} interrupted and {_start(interrupted)} again")
    if stopped:
        parts.append(f"{_were(stopped)} stopped and {_start(stopped)} again")
    return ", ".join(parts)


def _were(count: int) -> str:
    return f"{count} was" if count == 1 else f"{count} were"


def _start(count: int) -> str:
    return "starts" if count == 1 else "start"
