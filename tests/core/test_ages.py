"""Ages of stored times do not change when the wall clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.ages import MOMENTS, Ages, age_at

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_an_age_is_first_that_of_the_wall_clock() -> None:
    assert Ages().at(START + HOUR, 5.0)(START) == HOUR


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e6, 1e6)), min_size=1))
def test_then_only_the_monotonic_clock_counts(steps: list[tuple[float, float]]) -> None:
    ages, elapsed_s = Ages(), 0.0
    assert ages.at(START, 100.0)(START) == timedelta(0)
    for step_s, jump_s in steps:
        elapsed_s += step_s
        now = START + timedelta(seconds=elapsed_s + jump_s)
        age = ages.at(now, 100.0 + elapsed_s)(START)
        assert abs(age.total_seconds() - elapsed_s) < 1e-3


def test_a_time_that_lies_in_the_future_counts_as_now() -> None:
    ages = Ages()
    assert ages.at(START - HOUR, 0.0)(START) == timedelta(0)
    assert ages.at(START - HOUR, 60.0)(START) == timedelta(minutes=1)
    assert age_at(START - HOUR)(START) == timedelta(0)


@pytest.mark.parametrize("others", [MOMENTS - 1, 100])
def test_the_times_that_are_asked_for_are_remembered_and_others_are_not_for_ever(
    others: int,
) -> None:
    ages = Ages()
    ages.at(START, 0.0)(START)
    for number in range(others):
        age = ages.at(START + 9 * HOUR, float(number))
        assert age(START) == timedelta(seconds=number)
        age(START + timedelta(seconds=number + 1))
    assert len(ages._first) <= MOMENTS
