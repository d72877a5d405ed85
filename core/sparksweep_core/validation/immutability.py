"""Fields of an existing Experiment that may change. The search is a function of the spec: another spec is another experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparksweep_core.api.experiment import Experiment
from sparksweep_core.api.reasons import ConditionType
from sparksweep_core.errors import FieldError
from sparksweep_core.validation.messages import short_json

MUTABLE = (
    "parallelTrialCount",
    "maxTrialCount",
    "maxFailedTrialCount",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "suspend",
)
"""Fields of the spec that may change while the experiment runs."""

IMMUTABLE = ("objective", "algorithm", "parameters", "tensorboard", "storage", "trialTemplate")
"""All other fields of the spec. The API server refuses their change too, by CEL rules of `ExperimentSpec`."""

MUTABLE_WHEN_FINISHED = ("ttlSecondsAfterFinished",)
"""Fields of the spec that may change after its end."""


def check_update(old: Experiment, new: Experiment) -> list[FieldError]:
    """Return every reason why `new`, itself valid, must not replace `old`, whose status counts."""
    finished = _end(old)
    mutable = MUTABLE_WHEN_FINISHED if finished else MUTABLE
    why = (
        f"the experiment is {finished}; start another one"
        if finished
        else f"while an experiment exists, only {', '.join(MUTABLE)} can change; start another one"
    )
    before, after = old.spec.to_dict(), new.spec.to_dict()
    errors = [
        FieldError(path, f"{change}: {why}")
        for name in {**before, **after}
        if name not in mutable
        for path, change in _changes(before.get(name), after.get(name), f"spec.{name}")
    ]
    created = old.status.trials.created if old.status else 0
    most = new.spec.max_trial_count
    if not finished and most is not None and most < created:
        message = f"{most} is less than the {created} trials there are already"
        errors.append(FieldError("spec.maxTrialCount", message))
    return errors


def check_resume(old: Experiment, new: Experiment, *, created: int) -> list[FieldError]:
    """Return every reason why a local run of `old` can't go on, or go on again after its end, as `new`, itself valid.

    Besides the fields of `MUTABLE` the goal may change, which no algorithm reads.

    Args:
        old: The Experiment as the run recorded it.
        new: The Experiment to go on with.
        created: Number of trials that there are.
    """
    before, after = old.spec.to_dict(), new.spec.to_dict()
    for spec in (before, after):
        spec.get("objective", {}).pop("goal", None)
        # Earlier versions recorded [] for a document without it.
        if not spec.get("trialTemplate", {}).get("preload"):
            spec.get("trialTemplate", {}).pop("preload", None)
    why = f"in a resumed run, only {', '.join(MUTABLE)} and objective.goal can change; start another one"
    errors = [
        FieldError(path, f"{change}: {why}")
        for name in {**before, **after}
        if name not in MUTABLE
        for path, change in _changes(before.get(name), after.get(name), f"spec.{name}")
    ]
    most = new.spec.max_trial_count
    if most is not None and most < created:
        message = f"{most} is less than the {created} trials there are already"
        errors.append(FieldError("spec.maxTrialCount", message))
    return errors


def _end(experiment: Experiment) -> str | None:
    """Return "Complete" or "Failed" if the experiment has ended so, else None."""
    ends = (ConditionType.COMPLETE, ConditionType.FAILED)
    return next((kind.value for kind in ends if experiment.holds(kind)), None)


def _changes(before: Any, after: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that differs, as deep as possible, and its change in words."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            yield from _changes(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(old, new, f"{path}[{index}]")
    elif before is None:
        yield path, f"was added as {short_json(after)}"
    elif after is None:
        yield path, f"was removed, it was {short_json(before)}"
    else:
        yield path, f"was {short_json(before)} and is now {short_json(after)}"
