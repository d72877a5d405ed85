"""Fields that may change in an Experiment, while it runs and after its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from sparksweep_core.api import Condition, ConditionType, Experiment, ExperimentStatus, TrialCounts
from sparksweep_core.validation.document import parse_experiment
from sparksweep_core.validation.immutability import MUTABLE, check_update
from support.documents.experiments_for_checks import COMMAND, FUNCTION, REMOVED, changed

RUNNING = parse_experiment(FUNCTION)


def with_status(
    experiment: Experiment,
    *,
    created: int = 0,
    condition: ConditionType = ConditionType.RUNNING,
    value: Literal["True", "False", "Unknown"] = "True",
) -> Experiment:
    status = ExperimentStatus(
        trials=TrialCounts(created=created, succeeded=created),
        conditions=[
            Condition(
                type=condition,
                status=value,
                reason="Because",
                last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
            )
        ],
    )
    return experiment.model_copy(update={"status": status})


ALLOWED: dict[str, dict[str, object]] = {
    "nothing": {},
    "parallel": {"spec.parallelTrialCount": 5},
    "max": {"spec.maxTrialCount": 20},
    "failed": {"spec.maxFailedTrialCount": 1},
    "deadline": {"spec.activeDeadlineSeconds": 60},
    "ttl": {"spec.ttlSecondsAfterFinished": 60},
    "suspend": {"spec.suspend": True},
    "default-written-out": {"spec.trialTemplate.maxRetries": 0},
    "labels": {"metadata.labels": {"team": "a"}},
}

REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "objective": ({"spec.objective.type": "minimize"}, "spec.objective.type",
                  'was "maximize" and is now "minimize"'),
    "goal-added": ({"spec.objective.goal": 0.9}, "spec.objective.goal", "was added as 0.9"),
    "objective-removed": ({"spec.objective": REMOVED}, "spec.objective", "was removed, it was {"),
    "algorithm": ({"spec.algorithm.algorithmName": "differential-evolution"}, "spec.algorithm.algorithmName",
                  'was "random" and is now'),
    "bound": ({"spec.parameters[0].feasibleSpace.max": "0.6"}, "spec.parameters[0].feasibleSpace.max",
              'was "0.5" and is now "0.6"'),
    "same-number-other-text": ({"spec.parameters[0].feasibleSpace.max": "0.50"},
                               "spec.parameters[0].feasibleSpace.max", 'was "0.5"'),
    "parameter-removed": ({"spec.parameters[3]": REMOVED}, "spec.parameters", "was ["),
    "template": ({"spec.trialTemplate.resources": {"memory": "4Gi"}}, "spec.trialTemplate.resources.memory",
                 'was "2Gi" and is now "4Gi"'),
}  # fmt: skip


@pytest.mark.parametrize("changes", ALLOWED.values(), ids=ALLOWED)
def test_counts_times_and_suspend_can_change_while_it_runs(changes: dict[str, object]) -> None:
    new = parse_experiment(changed(FUNCTION, changes))
    assert check_update(RUNNING, new) == []
    assert check_update(with_status(RUNNING, created=10), new) == []


@pytest.mark.parametrize(("changes", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_the_search_and_the_template_can_not_change(
    changes: dict[str, object], path: str, message: str
) -> None:
    (error,) = check_update(RUNNING, parse_experiment(changed(FUNCTION, changes)))
    assert error.path == path
    assert error.message.startswith(message)
    assert error.message.endswith("can change; start another one")


def test_every_change_is_found_at_once() -> None:
    errors = check_update(RUNNING, parse_experiment(COMMAND))
    assert [error.path for error in errors] == [
        "spec.trialTemplate.function",
        "spec.trialTemplate.trialParameters",
        "spec.trialTemplate.command",
    ]


def test_no_trial_can_be_taken_back() -> None:
    new = parse_experiment(changed(FUNCTION, {"spec.maxTrialCount": 5}))
    assert check_update(with_status(RUNNING, created=5), new) == []
    (error,) = check_update(with_status(RUNNING, created=6), new)
    assert (error.path, error.message) == (
        "spec.maxTrialCount",
        "5 is less than the 6 trials there are already",
    )


@pytest.mark.parametrize("end", [ConditionType.COMPLETE, ConditionType.FAILED])
@pytest.mark.parametrize("name", MUTABLE)
def test_after_the_end_only_the_time_to_live_can_change(end: ConditionType, name: str) -> None:
    value: object = True if name == "suspend" else 10 if name == "maxFailedTrialCount" else 5
    new = parse_experiment(changed(FUNCTION, {f"spec.{name}": value}))
    errors = check_update(with_status(RUNNING, created=10, condition=end), new)
    if name == "ttlSecondsAfterFinished":
        assert errors == []
    else:
        (error,) = errors
        assert error.path == f"spec.{name}"
        assert error.message.endswith(f": the experiment is {end}; start another one")


def test_a_condition_that_is_not_true_is_no_end() -> None:
    old = with_status(RUNNING, condition=ConditionType.FAILED, value="False")
    assert check_update(old, parse_experiment(changed(FUNCTION, {"spec.suspend": True}))) == []
