"""Models as programs read and ask them: JSON values in, conditions out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from sparksweep_core.api import Condition, ConditionType, Experiment, ExperimentStatus, TrialState
from sparksweep_core.api.status import ConditionStatus, TrialStatus
from support.documents.experiments_for_checks import FUNCTION

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def status_with(**conditions: ConditionStatus) -> ExperimentStatus:
    return ExperimentStatus(
        conditions=[
            Condition(
                type=ConditionType(kind),
                status=status,
                reason="Because",
                last_transition_time=MOMENT,
            )
            for kind, status in conditions.items()
        ]
    )


def test_json_values_are_read_with_their_times_and_enums() -> None:
    status = TrialStatus(number=1, state=TrialState.RUNNING, start_time=MOMENT)
    assert TrialStatus.from_api(status.to_dict()) == status


@pytest.mark.parametrize(
    "body",
    [{"number": "1"}, {"number": 1.5}, {"number": 1, "node": 3}, [], None],
)  # fmt: skip
def test_json_values_of_another_type_are_refused(body: object) -> None:
    with pytest.raises(ValidationError):
        TrialStatus.from_api(body)


def test_a_condition_holds_when_it_is_true() -> None:
    status = status_with(Running="False", Suspended="Unknown", Complete="True")
    assert status.holds(ConditionType.COMPLETE)
    assert status.holds(ConditionType.FAILED, ConditionType.COMPLETE)
    assert not status.holds(
        ConditionType.RUNNING, ConditionType.SUSPENDED, ConditionType.FAILED, ConditionType.ACCEPTED
    )
    assert not status.holds()


def test_a_condition_is_given_by_its_type_and_its_status() -> None:
    status = status_with(Running="False")
    running = status.condition(ConditionType.RUNNING)
    assert running is not None
    assert not running.is_true
    assert status.condition(ConditionType.RUNNING, "False") is running
    assert status.condition(ConditionType.RUNNING, "True") is None
    assert status.condition(ConditionType.FAILED) is None


def test_an_experiment_answers_for_its_status_and_without_one_nothing_holds() -> None:
    new = Experiment.from_api(FUNCTION)
    assert not new.holds(*ConditionType)
    assert new.condition(ConditionType.RUNNING) is None
    failed = new.model_copy(update={"status": status_with(Failed="True")})
    assert failed.holds(ConditionType.FAILED)
    assert failed.condition(ConditionType.FAILED, "True") == failed.status.conditions[0]  # type: ignore[union-attr]
