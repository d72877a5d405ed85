"""Any return value of a function becomes bounded JSON."""

import json
import math
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.trial.return_value import (
    MAX_METRICS,
    MAX_NAME,
    MAX_OTHERS,
    MAX_TEXT,
    as_number,
    describe,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(0.5), 0.5),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_numbers_of_every_kind_are_numbers(value: object, number: float) -> None:
    assert describe(value, []) == {"number": number}


@pytest.mark.parametrize(
    "value",
    [True, False, "0.93", b"0.93", [0.5], (0.5,), 1j, np.array([0.5]), np.array([[0.5]]), np.bool_(True), object()],
)  # fmt: skip
def test_what_is_no_number_says_what_it_is(value: object) -> None:
    described = describe(value, [])
    assert described.keys() == {"other"}
    assert described["other"].startswith(type(value).__name__)


def test_nan_is_a_number_as_far_as_the_trial_knows() -> None:
    assert math.isnan(describe(float("nan"), [])["number"])


def test_nothing_is_none() -> None:
    assert describe(None, []) == {"none": True}


def test_a_mapping_is_metrics_by_name() -> None:
    described = describe({"accuracy": np.float64(0.5), "note": "good", 3: 1}, [])
    assert described == {"metrics": {"accuracy": 0.5, "note": {"other": "str 'good'"}, "3": 1.0}}


def test_a_metric_asked_for_is_kept_however_many_others_there_are() -> None:
    returned = {f"m{n}": n for n in range(1000)} | {"loss": 0.5}
    described = describe(returned, ["loss", "absent"])
    metrics = described["metrics"]
    assert len(metrics) == MAX_METRICS
    assert metrics["loss"] == 0.5
    assert "absent" not in metrics
    assert described["omitted"] == {
        "texts": [f"m{n} (more than 32)" for n in range(31, 36)],
        "count": 969,
    }


def test_values_that_are_no_numbers_take_no_metrics_place() -> None:
    returned = {f"w{n}": "x" for n in range(100)} | {f"m{n}": n for n in range(MAX_METRICS)}
    described = describe(returned, [])
    metrics = described["metrics"]
    assert [name for name in metrics if name.startswith("m")] == [
        f"m{n}" for n in range(MAX_METRICS)
    ]
    assert len(metrics) == MAX_METRICS + MAX_OTHERS
    assert described["omitted"]["count"] == 100 - MAX_OTHERS
    assert described["omitted"]["texts"][0] == f"w{MAX_OTHERS} (not a number)"


def test_of_two_keys_with_one_text_the_first_counts() -> None:
    described = describe({1: 0.5, "1": 2}, [])
    assert described == {
        "metrics": {"1": 0.5},
        "omitted": {"texts": ["1 (given twice)"], "count": 1},
    }


def test_a_member_of_an_enum_of_text_is_its_text() -> None:
    class Key(str, Enum):  # noqa: UP042 - as users write it, with a str() of its own
        ACCURACY = "accuracy"
        LOSS = "loss"

    described = describe({Key.ACCURACY: 0.5, Key.LOSS: 1}, ["accuracy"])
    assert described == {"metrics": {"accuracy": 0.5, "loss": 1.0}}


def test_an_accented_letter_of_a_wanted_name_may_be_two_characters() -> None:
    assert describe({"pre\u0301cision": 1}, ["pr\xe9cision"]) == {"metrics": {"pr\xe9cision": 1.0}}


def test_an_object_whose_conversion_fails_is_no_number() -> None:
    class Broken:
        def __float__(self) -> float:
            raise TypeError("not today")

    assert as_number(Broken()) is None


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.decimals() | st.complex_numbers() | st.lists(st.floats())
)  # fmt: skip


@given(_SCALARS | st.dictionaries(st.text() | st.integers(), _SCALARS))
def test_any_value_is_described_in_bounded_json(value: Any) -> None:
    text = json.dumps(describe(value, ["loss"]))
    described = json.loads(text)
    assert len(described) - ("omitted" in described) == 1
    assert len(described.get("other", "")) <= MAX_TEXT
    metrics = described.get("metrics", {})
    assert len(metrics) <= MAX_METRICS + MAX_OTHERS
    assert all(len(name) <= MAX_NAME + 1 for name in metrics)
