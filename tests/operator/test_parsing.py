"""A reconcile parses an Experiment once, and checks it once for each of its versions."""

from __future__ import annotations

import pytest

from sparksweep_core.api import Experiment
from sparksweep_core.errors import FieldError, Unreadable
from sparksweep_core.validation.document import stored_errors
from sparksweep_operator import reconciler
from sparksweep_operator.memo import Memo
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import experiment_body


def test_a_new_spec_is_checked_and_an_unchanged_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[object] = []

    def counted(experiment: Experiment, document: object) -> list[FieldError]:
        checked.append(document)
        return stored_errors(experiment, document)

    monkeypatch.setattr(reconciler, "stored_errors", counted)
    body, memo = experiment_body(), Memo()
    first = reconciler._parse(body, memo, Settings())
    assert reconciler._parse(body, memo, Settings()) == first
    assert len(checked) == 1
    body["metadata"]["generation"] = 2
    reconciler._parse(body, memo, Settings())
    assert len(checked) == 2


def test_an_experiment_with_errors_is_parsed_and_has_them_in_the_memo() -> None:
    memo = Memo(creation_failed_at=1.0)
    body = experiment_body(maxFailedTrialCount=3, maxTrialCount=2)
    experiment = reconciler._parse(body, memo, Settings())
    assert experiment.spec.max_failed_trial_count == 3
    assert [error.path for error in memo.spec_errors] == ["spec.maxFailedTrialCount"]
    assert memo.creation_failed_at is None, "the driver of a changed spec is tried at once"


def test_a_field_of_a_later_version_is_ignored_and_noted() -> None:
    memo = Memo()
    body = experiment_body(earlyStopping={"algorithmName": "medianstop"})
    assert reconciler._parse(body, memo, Settings()) == reconciler._parse(
        experiment_body(), Memo(), Settings()
    )
    assert not memo.spec_errors, "the Experiment is no invalid one for that"
    assert memo.unknown_fields == ("spec.earlyStopping",)


def test_an_algorithm_of_a_later_version_makes_the_experiment_unreadable_and_not_invalid() -> None:
    memo = Memo()
    body = experiment_body(algorithm={"algorithmName": "annealing"})
    with pytest.raises(Unreadable, match=r'Experiment lab/digits .*algorithmName: "annealing"'):
        reconciler._parse(body, memo, Settings())
    assert not memo.spec_errors
