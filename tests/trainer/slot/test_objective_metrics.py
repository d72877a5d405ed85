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
from sparksweep_trainer.slot.printed_metrics import Printed
from sparksweep_trainer.trial.return_value import describe

OBJECTIVE = Objective(
    type=ObjectiveType.MAXIMIZE,
    objective_metric_name="accuracy",
    additional_metric_names=["loss"],
)

NAMES = ["metrics/mAP50-95(B)", "val acc", "pr\xe9cision", "\u635f\u5931", "R\xb2", "AP[.5:.95]", "it's", 'a "b"', "x=y", "\U0001f680", "a" * 128]  # fmt: skip


def returned(value: object, objective: Objective | None = OBJECTIVE) -> ObjectiveMetrics:
    """Extract the metrics of a function that returned the value."""
    wanted = (
        [objective.objective_metric_name, *objective.additional_metric_names] if objective else []
    )
    return from_returned(describe(value, wanted), objective)


def test_a_lone_number_is_the_objective() -> None:
    assert returned(0.5) == ObjectiveMetrics({"accuracy": 0.5})


def test_of_a_dictionary_every_number_is_kept_and_the_rest_is_noted() -> None:
    value = {"loss": 2, "accuracy": 0.5, "epoch": 3, "note": "x", "gap": math.nan, "a\nb": 1}
    assert returned(value) == ObjectiveMetrics(
        {"accuracy": 0.5, "loss": 2.0, "epoch": 3.0},
        note="left out: note (not a number: str 'x'), gap (nan), 'a\\nb' (no name for a metric)",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_of_any_name_is_kept(name: str) -> None:
    objective = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name=name)
    assert returned({"x": 1, name: 0.5}, objective) == ObjectiveMetrics({name: 0.5, "x": 1.0})
    assert returned({"accuracy": 1, name: 0.5}).metrics == {"accuracy": 1.0, name: 0.5}
    assert from_printed(Printed({name: 0.5}), objective).metrics == {name: 0.5}


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "a\nb", "a\tb", "\x1b[31m", "\x85", "\xa0a", "a" * 129, "\udcff", "\x00"],
)
def test_what_is_no_name_for_a_metric_is_noted(name: str) -> None:
    measured = returned({"accuracy": 1, name: 0.5})
    assert measured.metrics == {"accuracy": 1.0}
    assert "(no name for a metric)" in measured.note
    assert measured.note.encode()


def test_an_accent_may_be_a_character_of_its_own() -> None:
    one, two = "pr\xe9cision", "pre\u0301cision"
    objective = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name=one)
    assert returned({two: 0.5}, objective) == ObjectiveMetrics({one: 0.5})


def test_metrics_beyond_the_limit_are_noted() -> None:
    many = returned({f"m{n}": n for n in range(100)} | {"accuracy": 0.5, "loss": 1})
    assert len(many.metrics) == limits.METRICS
    assert many.metrics["accuracy"] == 0.5
    assert many.note.startswith("left out: m30 (more than 32), m31 (more than 32), ")
    assert many.note.endswith(", and 65 more")
    words = returned({"accuracy": 0.5, "loss": 1} | {f"w{n}": "x" for n in range(1000)})
    assert words.note.startswith("left out: w0 (not a number: str 'x'), ")
    assert words.note.endswith(" and 990 more")
    assert len(words.note) < 1000


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
        {"a": 1.0}, note="left out: b (not a number: str 'x')"
    )
    assert returned("done", None) == ObjectiveMetrics(note="ignored the returned value: str 'done'")


def printed(values: dict[str, float], **others: Any) -> ObjectiveMetrics:
    """Select the metrics of a command."""
    return from_printed(Printed(values, **others), OBJECTIVE)


def test_printed_metrics_are_judged_alike() -> None:
    assert printed({"accuracy": 0.5, "loss": 2.0, "other": 1.0}) == ObjectiveMetrics(
        {"accuracy": 0.5, "loss": 2.0}
    )
    assert printed({"accuracy": math.nan}).fault is TrialReason.METRIC_NAN
    assert printed({"accuracy": math.inf}).fault is TrialReason.METRIC_INFINITE
    assert from_printed(Printed({"accuracy": 0.5}), None) == ObjectiveMetrics()


def test_a_metric_that_was_not_printed_is_missing_and_the_note_names_others() -> None:
    missing = printed({"loss": 2.0})
    assert missing.fault is TrialReason.METRIC_MISSING
    assert (
        missing.note
        == "the command printed no accuracy=<number> on standard output or standard error"
    )
    hints = printed(
        {}, others=("val/accuracy=1",), with_colon={"accuracy": "accuracy: 0.5"}, is_cut=True
    ).note
    assert "it printed val/accuracy=1" in hints
    assert "'accuracy: 0.5', which spec.trialTemplate.metricsFormat: EqualsOrColon reads" in hints
    assert "a line names a metric after its first 64 KiB, which alone are read" in hints
    assert printed({"accuracy": 1, "loss": 1}, is_cut=True).note.startswith("a line names")


def test_an_objective_that_was_printed_without_a_number_is_not_numeric() -> None:
    fault = printed({}, not_numbers={"accuracy": "1,234.5"})
    assert fault.fault is TrialReason.METRIC_NOT_NUMERIC
    assert "accuracy is not a number but '1,234.5'" in fault.note
    assert "followed by nothing" in printed({}, not_numbers={"accuracy": ""}).note


def test_other_text_in_a_numbers_place_is_noted() -> None:
    measured = printed({"accuracy": 0.5}, not_numbers={"accuracy": "1,000", "loss": "mse"})
    assert measured == ObjectiveMetrics(
        {"accuracy": 0.5},
        note="left out: loss (not a number: 'mse'); accuracy was also printed as '1,000', which is not a number",
    )


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["none", "number", "metrics", "other", "omitted", "?"]),
        _JSON | st.fixed_dictionaries({"texts": _JSON, "count": _JSON}),
    ),
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
