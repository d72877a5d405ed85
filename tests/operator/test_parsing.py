"""A reconcile parses an Experiment once, and checks it once for each of its versions."""

from __future__ import annotations

import pytest

from sparksweep_core.api import Experiment
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator import reconciler
from sparksweep_operator.memo import Memo
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import NOW, experiment_body


def test_a_new_spec_is_checked_and_an_unchanged_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[object] = []

    def counted(document: object) -> Experiment:
        checked.append(document)
        return parse_experiment(document)

    monkeypatch.setattr(reconciler, "parse_experiment", counted)
    body, memo = experiment_body(), Memo()
    first = reconciler._parse(body, memo, Settings())
    assert reconciler._parse(body, memo, Settings()) == first
    assert len(checked) == 1
    body["metadata"]["generation"] = 2
    reconciler._parse(body, memo, Settings())
    assert len(checked) == 2


def test_an_experiment_with_errors_is_parsed_and_has_them_in_the_memo() -> None:
    memo = Memo(creation_failed_at=NOW)
    body = experiment_body(maxFailedTrialCount=3, maxTrialCount=2)
    experiment = reconciler._parse(body, memo, Settings())
    assert experiment.spec.max_failed_trial_count == 3
    assert [error.path for error in memo.spec_errors] == ["spec.maxFailedTrialCount"]
    assert memo.creation_failed_at is None, "the driver of a changed spec is tried at once"
