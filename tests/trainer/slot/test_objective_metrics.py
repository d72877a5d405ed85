"""Metrics of a trial, and errors if its objective is not among them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Objective, ObjectiveType, TrialReason, limits
from sparksweep_trainer.slot.objective_metrics import (
    DEFAULT_METRIC,
    ObjectiveMetrics,
    from_printed,
    from_returned,
)
from sparksweep_trainer.trial.return_value import describe

OBJECTIVE = Objective(
    type=ObjectiveType.MAXIMIZE,
    objective_metric_name="accuracy",
    additional_metric_names=["loss"],
)


def returned(value: object, objective: Objective | None = OBJECTIVE) -> ObjectiveMetrics:
    """Extract the metrics of a function that returned the value."""
    wanted = [objective.objective_metric_name] if objective else []
    return from_returned(describe(value, wanted), objective)


def test_a_lone_number_is_the_objective() -> None:
    assert returned(0.5) == ObjectiveMetrics({"accuracy": 0.5})


def test_of_a_dictionary_every_number_is_kept_and_the_rest_is_passed_over() -> None:
    value = {"loss": 2, "accuracy": 0.5, "epoch": 3, "note": "x", "gap": math.nan, "a b": 1}
    assert returned(value) == ObjectiveMetrics({"accuracy": 0.5, "loss": 2.0, "epoch": 3.0})


def test_the_objective_may_be_at_the_loss_of_an_additional_metric() -> None:
    missing = returned({"accuracy": 0.5})
    assert missing.metrics == {"accuracy": 0.5}
    assert missing.note == "left out: loss (missing)"
    diverged = returned({"accuracy": 0.5, "loss": math.nan})
    assert diverged.metrics == {"accuracy": 0.5}
    assert diverged.note == "left out: loss (nan)"
    assert diverged.fault is None


@pytest.mark.parametrize(
    ("value", "fault", "note"),
    [
        (None, TrialReason.METRIC_MISSING, "returned None"),
        ({}, TrialReason.METRIC_MISSING, "an empty dict"),
        ({"acc": 1}, TrialReason.METRIC_MISSING, "it returned acc"),
        ("0.93", TrialReason.METRIC_NOT_NUMERIC, "str '0.93'"),
        ([0.5], TrialReason.METRIC_NOT_NUMERIC, "list [0.5]"),
        (True, TrialReason.METRIC_NOT_NUMERIC, "bool True"),
        ({"accuracy": "0.93"}, TrialReason.METRIC_NOT_NUMERIC, "str '0.93'"),
        ({"accuracy": None}, TrialReason.METRIC_NOT_NUMERIC, "NoneType None"),
        (math.nan, TrialReason.METRIC_NAN, "accuracy is NaN"),
        ({"accuracy": math.nan}, TrialReason.METRIC_NAN, "accuracy is NaN"),
        (-math.inf, TrialReason.METRIC_INFINITE, "accuracy is -inf"),
        (10**400, TrialReason.METRIC_INFINITE, "accuracy is inf"),
    ],
)
def test_an_objective_that_can_not_be_compared_is_a_fault(
    value: object, fault: TrialReason, note: str
) -> None:
    measured = returned(value)
    assert measured.fault is fault
    assert note in measured.note
    assert measured.metrics == {}


def test_without_an_objective_every_number_is_kept_and_nothing_is_a_fault() -> None:
    assert returned(None, None) == ObjectiveMetrics()
    assert returned(0.5, None) == ObjectiveMetrics({DEFAULT_METRIC: 0.5})
    assert returned({"a": 1, "b": "x"}, None) == ObjectiveMetrics(
        {"a": 1.0}, note="left out: b (str 'x')"
    )
    assert returned("done", None) == ObjectiveMetrics(note="ignored the returned value: str 'done'")


def test_a_key_that_is_no_name_for_a_metric_is_left_out() -> None:
    measured = returned({"val accuracy": 0.5, "ok": 1}, None)
    assert measured.metrics == {"ok": 1.0}
    assert "'val accuracy' (no name for a metric)" in measured.note


def test_printed_metrics_are_judged_alike() -> None:
    assert from_printed(
        {"accuracy": 0.5, "loss": 2.0, "other": 1.0}, OBJECTIVE
    ) == ObjectiveMetrics({"accuracy": 0.5, "loss": 2.0})
    missing = from_printed({"loss": 2.0}, OBJECTIVE)
    assert missing.fault is TrialReason.METRIC_MISSING
    assert "accuracy=<number>" in missing.note
    assert from_printed({"accuracy": math.nan}, OBJECTIVE).fault is TrialReason.METRIC_NAN
    assert from_printed({"accuracy": math.inf}, OBJECTIVE).fault is TrialReason.METRIC_INFINITE
    assert from_printed({"accuracy": 0.5}, None) == ObjectiveMetrics()


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["none", "number", "metrics", "other", "?"]), _JSON),
    st.sampled_from([None, OBJECTIVE]),
)
def test_whatever_a_trials_process_claims_only_finite_metrics_come_out(
    claimed: dict[str, Any], objective: Objective | None
) -> None:
    measured = from_returned(claimed, objective)
    assert all(math.isfinite(value) for value in measured.metrics.values())
    assert len(measured.metrics) <= limits.METRICS
    if objective is not None:
        assert (measured.fault is None) == ("accuracy" in measured.metrics)
