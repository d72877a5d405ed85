"""Promises of every search algorithm, as tests that each algorithm's test class inherits."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparksweep_core.algorithms import Space, create
from sparksweep_core.algorithms.base import Algorithm
from sparksweep_core.api import (
    ExperimentSpec,
    Parameter,
    ParameterType,
    Trial,
    TrialSpec,
    TrialState,
)
from support import hypothesis_profiles
from support.algorithms.search_spaces import any_spaces, spec_of, trials_with

STATES = list(TrialState)
MOST = 40
"""Trials of one example."""


def examples(count: int) -> settings:
    # The check warns of failures replayed in another class than they were found in: here nothing is replayed.
    return hypothesis_profiles.examples(
        count, database=None, suppress_health_check=[HealthCheck.differing_executors]
    )


class AlgorithmContract:
    """Inherit as `class TestX(AlgorithmContract)` and set the algorithm's name."""

    name: ClassVar[str]
    spaces: ClassVar[st.SearchStrategy[list[Parameter]]] = any_spaces
    """Spaces that the algorithm can search."""
    seed: ClassVar[st.SearchStrategy[int]] = st.integers(0, 2**32)

    def spec(self, parameters: list[Parameter], seed: int) -> ExperimentSpec:
        """Return a spec with a seed; override it for an algorithm without a seed or with more settings."""
        return spec_of(parameters, self.name, seed=str(seed))

    def finished(self, algorithm: Algorithm, count: int, *, chunk: int) -> list[TrialSpec]:
        """Return the first trials if every one succeeds before the next chunk is proposed."""
        made: list[TrialSpec] = []
        while len(made) < count:
            wanted = min(chunk, count - len(made))
            more = algorithm.propose(succeeded(made), wanted)
            assert len(more) <= wanted
            assert [trial.number for trial in more] == [
                len(made) + step for step in range(1, len(more) + 1)
            ]
            if not more:
                break
            made += more
        return made

    @given(data=st.data())
    @examples(60)
    def test_every_point_is_in_bounds_and_parses_as_its_type(self, data: st.DataObject) -> None:
        parameters = data.draw(self.spaces)
        algorithm = create(self.spec(parameters, data.draw(self.seed)))
        made = self.finished(algorithm, MOST, chunk=data.draw(st.integers(1, MOST)))
        assert made, "a search makes at least one trial"
        for point in (trial.parameters for trial in made):
            assert list(point) == [parameter.name for parameter in parameters]
            for parameter in parameters:
                check_value(parameter, point[parameter.name])

    @given(data=st.data())
    @examples(40)
    def test_a_replay_from_any_trial_gives_the_same_next_ones(self, data: st.DataObject) -> None:
        spec = self.spec(data.draw(self.spaces), data.draw(self.seed))
        chunk = data.draw(st.integers(1, 10))
        algorithm = create(spec)
        made: list[TrialSpec] = []
        answers = []
        for _ in range(4):
            answers.append((len(made), algorithm.propose(succeeded(made), chunk)))
            made += answers[-1][1]
        start, answer = data.draw(st.sampled_from(answers))
        assert create(spec).propose(succeeded(made[:start]), chunk) == answer
        assert algorithm.propose(succeeded(made[:start]), chunk) == answer

    @given(data=st.data())
    @examples(40)
    def test_asking_twice_at_once_is_asking_for_as_many(self, data: st.DataObject) -> None:
        algorithm = create(self.spec(data.draw(self.spaces), data.draw(self.seed)))
        made = self.finished(algorithm, data.draw(st.integers(0, 30)), chunk=5)
        finished = succeeded(made)
        more = algorithm.propose(finished, 12)
        cut = data.draw(st.integers(0, len(more)))
        waiting = [*finished, *trials_with(more[:cut])]
        assert algorithm.propose(waiting, 12 - cut) == more[cut:]

    @given(data=st.data())
    @examples(30)
    def test_no_point_comes_twice_while_there_are_others(self, data: st.DataObject) -> None:
        parameters = data.draw(self.spaces)
        size = Space(parameters).size
        algorithm = create(self.spec(parameters, data.draw(self.seed)))
        made = self.finished(algorithm, MOST, chunk=data.draw(st.integers(1, MOST)))
        if size is not None:
            distinct = {tuple(trial.parameters.values()) for trial in made}
            assert len(distinct) == min(size, len(made))

    @given(data=st.data())
    @examples(30)
    def test_the_size_is_how_many_trials_there_are(self, data: st.DataObject) -> None:
        algorithm = create(self.spec(data.draw(self.spaces), data.draw(self.seed)))
        size = algorithm.size()
        count = MOST if size is None else min(size, MOST)
        made = self.finished(algorithm, count, chunk=7)
        assert len(made) == count
        if size == count:
            assert algorithm.propose(succeeded(made), 5) == []

    @given(data=st.data())
    @examples(30)
    def test_none_are_proposed_when_none_are_asked_for(self, data: st.DataObject) -> None:
        algorithm = create(self.spec(data.draw(self.spaces), data.draw(self.seed)))
        assert algorithm.propose([], 0) == []

    @given(data=st.data())
    @examples(40)
    def test_results_and_chunks_change_nothing_when_results_are_ignored(
        self, data: st.DataObject
    ) -> None:
        algorithm = create(self.spec(data.draw(self.spaces), data.draw(self.seed)))
        if not algorithm.ignores_results:
            pytest.skip("this search looks at results")
        at_once = algorithm.propose([], MOST)
        assert self.finished(algorithm, MOST, chunk=data.draw(st.integers(1, 9))) == at_once
        start = data.draw(st.integers(0, len(at_once)))
        states = data.draw(st.lists(st.sampled_from(STATES), min_size=1, max_size=5))
        assert algorithm.propose(trials_with(at_once[:start], states), MOST) == (
            at_once[start:] + algorithm.propose(trials_with(at_once), start)
        )


def succeeded(made: list[TrialSpec]) -> list[Trial]:
    return trials_with(made, [TrialState.SUCCEEDED])


def check_value(parameter: Parameter, text: str) -> None:
    space = parameter.feasible_space
    if space.list is not None:
        assert text in space.list
        return
    assert space.min is not None
    assert space.max is not None
    number = float(text)
    assert float(space.min) <= number <= float(space.max)
    if parameter.parameter_type is ParameterType.INT:
        assert str(int(text)) == text
        assert (int(text) - int(space.min)) % int(space.step or "1") == 0
