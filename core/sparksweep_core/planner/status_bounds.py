"""Bounds an Experiment's status in bytes as etcd stores it. Pure.

Ordinary statuses are below the bound. Of one that is not, messages are shortened first; then metrics of the best trial
other than the objective are left out, with a note in the trial's message. Parameters are never left out: a trial's are
bounded when it is created.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparksweep_core.api import Condition, ExperimentStatus, RecentTrial, limits
from sparksweep_core.stored_size import shortened, stored_bytes

MESSAGE_STEPS = (1024, 512, 256, 128)
"""Bytes to which messages are shortened, one step after the other until the status fits."""
CONDITION_BYTES = 256
"""Bytes below which no message of a condition is shortened: an experiment's end is explained there alone."""
NOTE = "({} metrics of this trial were left out of the Experiment's status; its TrialBatch and the results have them)"


def bounded_bytes(status: ExperimentStatus) -> int:
    """Return the stored bytes of what the bound counts: all but the best trial's parameters and the two addresses."""
    counted = status.model_copy(update={"results": None, "tensorboard": None})
    if counted.best_trial is not None:
        best = counted.best_trial.model_copy(update={"parameters": {}})
        counted = counted.model_copy(update={"best_trial": best})
    return stored_bytes(counted.to_dict())


def fit(
    status: ExperimentStatus, *, objective: str | None, limit: int = limits.STATUS_BYTES
) -> ExperimentStatus:
    """Return a status of which `bounded_bytes` is at most `limit`.

    Args:
        status: the status; it is not changed.
        objective: name of the metric that is kept; None if there is none.
        limit: bytes, at least `limits.STATUS_BYTES`.
    """
    if bounded_bytes(status) <= limit:
        return status
    smaller = status
    for step in MESSAGE_STEPS:
        smaller = status.model_copy(
            update={
                "conditions": _conditions(status.conditions, max(step, CONDITION_BYTES)),
                "recent_trials": _recent_trials(status.recent_trials, step),
            }
        )
        if bounded_bytes(smaller) <= limit:
            return smaller
    return _without_metrics(smaller, objective)


def _conditions(conditions: Sequence[Condition], size: int) -> list[Condition]:
    return [
        condition.model_copy(update={"message": shortened(condition.message, size)})
        for condition in conditions
    ]


def _recent_trials(trials: Sequence[RecentTrial], size: int) -> list[RecentTrial]:
    return [
        trial.model_copy(update={"message": shortened(trial.message, size)})
        if trial.message
        else trial
        for trial in trials
    ]


def _without_metrics(status: ExperimentStatus, objective: str | None) -> ExperimentStatus:
    """Leave out the best trial's metrics, the objective's excepted, and say so in its message."""
    best = status.best_trial
    if best is None:
        return status
    metrics = {name: value for name, value in best.metrics.items() if name == objective}
    left_out = len(best.metrics) - len(metrics)
    if not left_out:
        return status
    note = NOTE.format(left_out)
    recent = [
        trial.model_copy(update={"message": "\n".join(filter(None, (trial.message, note)))})
        if trial.number == best.number
        else trial
        for trial in status.recent_trials
    ]
    return status.model_copy(
        update={
            "best_trial": best.model_copy(update={"metrics": metrics}),
            "recent_trials": recent,
        }
    )
