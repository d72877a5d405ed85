"""Run directories of runs that never ran: the journal and the files that a run would have left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sparksweep._local.run_directory import RunDirectory
from sparksweep_core.api import (
    Experiment,
    ExperimentStatus,
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialSpec,
    TrialState,
    TrialStatus,
    batch_name,
)
from sparksweep_core.validation.document import parse_experiment

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def experiment_of(
    parameters: Sequence[dict[str, Any]], *, name: str = "recorded", **spec: Any
) -> Experiment:
    """Return an Experiment that maximises ``score`` over the parameters by random search."""
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": name},
            "spec": {
                "objective": {"type": "maximize", "objectiveMetricName": "score"},
                "algorithm": {"algorithmName": "random"},
                "parallelTrialCount": 1,
                "maxTrialCount": 100,
                "parameters": list(parameters),
                "trialTemplate": {"function": "train:training"},
                **spec,
            },
        }
    )


def discrete(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Return a discrete parameter with these texts."""
    return {"name": name, "parameterType": "discrete", "feasibleSpace": {"list": list(values)}}


def succeeded(number: int, score: float) -> TrialStatus:
    """Return the status of a trial that took two seconds."""
    start = START + timedelta(seconds=10 * number)
    return TrialStatus(
        number=number,
        state=TrialState.SUCCEEDED,
        attempt=1,
        reason="Completed",
        metrics={"score": score},
        node="local",
        start_time=start,
        completion_time=start + timedelta(seconds=2),
        duration_seconds=2.0,
        peak_memory_bytes=2**20,
    )


def record_run(
    path: Path,
    experiment: Experiment,
    points: Sequence[dict[str, str]],
    statuses: Sequence[TrialStatus] = (),
    *,
    status: ExperimentStatus | None = None,
    batch: dict[str, Any] | None = None,
) -> Path:
    """Write a run directory with a batch of one trial for each point, and return its path."""
    directory = RunDirectory.create(path)
    name = experiment.metadata.name
    specs = [TrialSpec(number=n, parameters=point) for n, point in enumerate(points, start=1)]
    journal = directory.open_journal()
    spec = TrialBatchSpec(experiment=name, index=0, trials=specs, **(batch or {}))
    journal.append_batch(TrialBatch(metadata=ObjectMeta(name=batch_name(name, 0)), spec=spec))
    journal.append_trials(statuses)
    if status is not None:
        journal.append_status(status)
    journal.close()
    directory.write_experiment(experiment.model_copy(update={"status": status}))
    for trial_status in statuses:
        directory.trial(trial_status.number).mkdir()
    directory.unlock()
    return path
