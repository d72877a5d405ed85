"""Backoff: growth, maximum, jitter and reset, without waiting."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_reset_starts_again_from_the_initial_delay() -> None:
    backoff = Backoff(1.0, 60.0, factor=3.0)
    assert [backoff.next_s(), backoff.next_s()] == [1.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 1.0


def test_a_minimum_lengthens_one_delay_and_not_the_next() -> None:
    backoff = Backoff(0.25, 5.0)
    assert backoff.next_s(30.0) == 30.0
    assert backoff.next_s() == 0.5


def test_jitter_is_a_share_of_the_delay_and_not_of_the_minimum() -> None:
    bounds = []

    def lowest(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    backoff = Backoff(10.0, 60.0, jitter=0.2, uniform=lowest)
    assert backoff.next_s() == 8.0
    assert backoff.next_s(20.0) == 20.0
    assert bounds == [(0.8, 1.2)] * 2


@given(st.integers(0, 10**9), st.floats(0, 100), st.floats(0, 1000))
def test_delays_are_finite_and_never_above_the_maximum(
    failures: int, initial_s: float, maximum_s: float
) -> None:
    delay_s = Backoff(initial_s, maximum_s).delay_s(failures)
    assert math.isfinite(delay_s)
    assert 0 <= delay_s <= maximum_s
