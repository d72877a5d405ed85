"""One line about the progress of an experiment, and an estimate of the time to its end. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sparksweep._text import duration_text, number_text, one_line, point_text
from sparksweep_core.api import (
    ConditionType,
    Experiment,
    ExperimentReason,
    ExperimentStatus,
    TrialCounts,
)

_NO_MORE = (ConditionType.SUSPENDED, ConditionType.COMPLETE, ConditionType.FAILED)


def finished_count(counts: TrialCounts) -> int:
    """Return the number of trials that have ended."""
    return counts.succeeded + counts.failed + counts.stopped


def count_text(counts: TrialCounts) -> str:
    """Return finished and expected trials: ``12/40``; without a limit ``12``."""
    finished = finished_count(counts)
    return str(finished) if counts.expected is None else f"{finished}/{counts.expected}"


def best_text(experiment: Experiment, *, with_point: bool = False) -> str:
    """Return the best trial so far: ``best accuracy=0.98 (trial 7)``; nothing without one.

    Args:
        experiment: The experiment with its status.
        with_point: True to include the trial's parameters.
    """
    status, objective = experiment.status, experiment.spec.objective
    if status is None or status.best_trial is None or objective is None:
        return ""
    best = status.best_trial
    where = f"trial {best.number}"
    if with_point:
        where += f": {point_text(experiment.spec.parameters, best.parameters)}"
    return f"best {one_line(objective.objective_metric_name)}={number_text(best.objective)} ({where})"  # fmt: skip


def summary(experiment: Experiment, *, left_s: float | None = None) -> str:
    """Return the progress on one line: ``12/40 trials, 2 running, 1 failed, best accuracy=0.98 (trial 7)``."""
    status = experiment.status
    if status is None:
        return ""
    counts = status.trials
    parts = [
        f"{count_text(counts)} trials",
        f"{counts.running} running" if counts.running else "",
        f"{counts.failed} failed" if counts.failed else "",
        f"{counts.stopped} stopped" if counts.stopped else "",
        best_text(experiment),
        end_text(experiment, left_s),
    ]
    return ", ".join(part for part in parts if part)


def end_text(experiment: Experiment, left_s: float | None) -> str:
    """Return ``stopping`` while the running trials are being stopped, else the time to the end if it is known."""
    status = experiment.status
    if status is None:
        return ""
    if status.trials.running and _is_stopping(status):
        return "stopping"
    is_over = finished_count(status.trials) == status.trials.expected or _is_stopping(status)
    return "" if left_s is None or is_over else left_text(left_s)


def _is_stopping(status: ExperimentStatus) -> bool:
    """Return True if no more trials start: the end is decided, or the run is suspended or interrupted."""
    return any(
        condition.status == "True"
        and (condition.type in _NO_MORE or condition.reason == ExperimentReason.STOPPING)
        for condition in status.conditions
    )


def left_text(left_s: float) -> str:
    """Return the estimated time to the end: ``about 2m03s left``."""
    return f"about {duration_text(max(1.0, left_s), has_tenths=False)} left"


def seconds_left(
    counts: TrialCounts, *, slots: int, durations_s: Iterable[float], elapsed_s: Iterable[float]
) -> float | None:
    """Estimate the seconds to the end of an experiment; None before the first trial has ended, or without a limit.

    Args:
        counts: The numbers of trials.
        slots: The number of parallel trials.
        durations_s: The durations of trials that have ended.
        elapsed_s: The seconds for which each running trial has run.
    """
    durations = list(durations_s)
    if counts.expected is None or not durations:
        return None
    mean_s = sum(durations) / len(durations)
    running = list(elapsed_s)
    waiting = max(0, counts.expected - finished_count(counts) - len(running))
    work_s = waiting * mean_s + sum(max(0.0, mean_s - elapsed) for elapsed in running)
    return work_s / max(1, min(slots, waiting + len(running)))
