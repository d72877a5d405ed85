"""The index of tried points: the same answers as a comparison with every trial."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms.visited_points import VisitedPoints
from sparksweep_core.api import Trial, TrialSpec, TrialState
from support.algorithms.algorithm_contract import examples
from support.algorithms.search_spaces import ended

points = st.integers(0, 30).map(lambda number: {"a": str(number % 5), "b": str(number // 5)})


def trial(number: int, point: dict[str, str]) -> Trial:
    return ended(TrialSpec(number=number, parameters=point), TrialState.SUCCEEDED, 1.0)


def compared(point: dict[str, str], trials: list[Trial]) -> bool:
    return any(other.spec.parameters == point for other in trials)


@given(data=st.data())
@examples(100)
def test_it_answers_as_if_it_had_been_built_for_each_list(data: st.DataObject) -> None:
    visited = VisitedPoints(("a", "b"))
    growing: list[Trial] = []
    for _ in range(12):
        growing += [
            trial(len(growing) + step, point)
            for step, point in enumerate(data.draw(st.lists(points, max_size=4)), 1)
        ]
        other = [
            trial(number, point)
            for number, point in enumerate(data.draw(st.lists(points, max_size=6)), 1)
        ]
        cut = growing[: data.draw(st.integers(0, len(growing)))]
        # The same specs in other objects, as after a restart.
        copied = [trial(one.number, dict(one.spec.parameters)) for one in growing]
        asked = data.draw(st.sampled_from([growing, growing, other, cut, copied]))
        point = data.draw(points)
        assert visited.contains(point, asked) == compared(point, asked)


def test_a_list_that_was_cut_off_and_went_on_otherwise_is_indexed_again() -> None:
    visited = VisitedPoints(("a",))
    trials = [trial(number, {"a": str(number)}) for number in range(1, 6)]
    assert [visited.contains({"a": "5"}, trials) for _ in range(4)] == [True] * 4
    trials[3:] = [trial(number, {"a": str(-number)}) for number in range(4, 9)]
    assert not visited.contains({"a": "5"}, trials)
    assert visited.contains({"a": "-8"}, trials)


def test_the_order_of_a_points_values_does_not_matter_and_foreign_trials_are_others() -> None:
    visited = VisitedPoints(("a", "b"))
    trials = [trial(1, {"b": "2", "a": "1"}), trial(2, {"c": "3"})]
    for _ in range(4):
        assert visited.contains({"a": "1", "b": "2"}, trials)
        assert not visited.contains({"a": "2", "b": "1"}, trials)
