"""Differential evolution: the contract in both modes, and what holds for it alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms import UnsupportedAlgorithm, create
from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates, parse
from sparksweep_core.api import (
    Distribution,
    ExperimentSpec,
    Objective,
    ObjectiveType,
    Parameter,
    Trial,
    TrialSpec,
    TrialState,
    TrialStatus,
)
from sparksweep_core.api.algorithm_settings import EvolutionStrategy
from support.algorithms.algorithm_contract import AlgorithmContract, examples
from support.algorithms.search_spaces import any_spaces, double, ended, integer, listed, spec_of

NAME = "differential-evolution"
Loss = Callable[[dict[str, str]], float | None]


class TestAsynchronous(AlgorithmContract):
    name = NAME


class TestGenerational(AlgorithmContract):
    name = NAME

    def spec(self, parameters: list[Parameter], seed: int) -> ExperimentSpec:
        settings = {"mode": "generational", "population": "8", "generations": "6"}
        return spec_of(parameters, NAME, seed=str(seed), **settings)


class TestClassicAsynchronous(AlgorithmContract):
    name = NAME

    def spec(self, parameters: list[Parameter], seed: int) -> ExperimentSpec:
        return spec_of(parameters, NAME, seed=str(seed), strategy="rand1bin", population="5")


def sphere(point: dict[str, str]) -> float:
    return sum((float(value) - 0.3) ** 2 for value in point.values())


def cube(dimensions: int) -> list[Parameter]:
    return [double(f"x{index}", "0", "1") for index in range(dimensions)]


def ran(spec: TrialSpec, loss: float | None) -> Trial:
    state = TrialState.FAILED if loss is None else TrialState.SUCCEEDED
    return ended(spec, state, loss or 0.0)


def search(spec: ExperimentSpec, loss: Loss, *, count: int, chunk: int = 1) -> list[Trial]:
    """Return the trials if all of a chunk end before the next one is proposed."""
    algorithm = create(spec)
    trials: list[Trial] = []
    while len(trials) < count:
        more = algorithm.propose(trials, min(chunk, count - len(trials)))
        if not more:
            break
        trials += [ran(trial, loss(trial.parameters)) for trial in more]
    return trials


def losses(trials: Sequence[Trial]) -> list[float]:
    return [trial.status.metrics["loss"] for trial in trials if trial.status.metrics]


def lineage(trial: Trial | TrialSpec) -> Lineage:
    spec = trial.spec if isinstance(trial, Trial) else trial
    origin = parse(spec.lineage or "")
    assert origin is not None
    return origin


# ---------------------------------------------------------------------- generational


def test_generations_are_hops_population_times_generations_with_the_first_one_among_them() -> None:
    spec = spec_of(cube(2), NAME, mode="generational", population="4", generations="6")
    algorithm = create(spec)
    assert algorithm.size() == 24
    trials = search(spec, sphere, count=1000, chunk=1000)
    assert len(trials) == 24
    assert [lineage(trial).target for trial in trials] == [0, 1, 2, 3] * 6
    assert algorithm.propose(trials, 5) == []


def test_a_generation_is_one_answer_and_the_next_waits_for_its_last_trial() -> None:
    spec = spec_of(cube(2), NAME, mode="generational", population="6")
    algorithm = create(spec)
    first = algorithm.propose([], 100)
    assert len(first) == 6
    trials = [ran(trial, sphere(trial.parameters)) for trial in first]
    waiting = Trial(first[2], TrialStatus(number=3, state=TrialState.RUNNING))
    assert algorithm.propose([*trials[:2], waiting, *trials[3:]], 100) == []
    assert len(algorithm.propose(trials, 100)) == 6


@given(
    parameters=any_spaces,
    values=st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1, max_size=7),
    strategy=st.sampled_from(EvolutionStrategy),
    chance=st.integers(0, 10**6).map(Random),
)
@examples(40)
def test_a_generational_run_that_is_killed_anywhere_goes_on_with_the_same_trials(
    parameters: list[Parameter],
    values: list[float | None],
    strategy: EvolutionStrategy,
    chance: Random,
) -> None:
    settings = {"mode": "generational", "population": "5", "generations": "6"}
    spec = spec_of(parameters, NAME, strategy=strategy, **settings)
    outcome = [values[index % len(values)] for index in range(30)]
    whole: list[TrialSpec] = []
    while more := create(spec).propose([ran(t, outcome[t.number - 1]) for t in whole], 30):
        whole += more
    # Now with trials that end in any order, and a planner that asks for few at any time.
    states: dict[int, Trial] = {}
    while len(states) < len(whole) or any(not t.state.is_finished for t in states.values()):
        history = [states[number] for number in sorted(states)]
        for made in create(spec).propose(history, chance.randrange(5)):
            states[made.number] = Trial(made, TrialStatus(number=made.number))
        unfinished = [number for number, trial in states.items() if not trial.state.is_finished]
        for number in chance.sample(unfinished, min(len(unfinished), chance.randrange(4))):
            states[number] = ran(states[number].spec, outcome[number - 1])
    assert [states[number].spec for number in sorted(states)] == whole


# ---------------------------------------------------------------------- asynchronous


@given(
    parameters=any_spaces,
    values=st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1, max_size=7),
    population=st.integers(4, 9),
    chance=st.integers(0, 10**6).map(Random),
)
@examples(40)
def test_an_asynchronous_run_has_no_barrier_and_one_trial_at_most_for_each_target(
    parameters: list[Parameter], values: list[float | None], population: int, chance: Random
) -> None:
    spec = spec_of(parameters, NAME, population=str(population), generations="9")
    size = create(spec).size()
    trials: list[Trial] = []
    straggler = chance.randint(1, population)
    for _ in range(60):
        more = create(spec).propose(trials, chance.randint(1, 4))
        trials += [Trial(made, TrialStatus(number=made.number)) for made in more]
        busy = [lineage(t) for t in trials if not t.state.is_finished]
        assert len({(origin.restart, origin.target) for origin in busy}) == len(busy)
        running = [index for index, t in enumerate(trials) if not t.state.is_finished]
        quick = [index for index in running if trials[index].number != straggler]
        if not quick:
            assert len(trials) == size or create(spec).propose(trials, 1)
            continue
        index = chance.choice(quick)
        trials[index] = ran(trials[index].spec, chance.choice(values))


def test_targets_take_turns_and_a_straggler_is_skipped() -> None:
    algorithm = create(spec_of(cube(2), NAME, population="5"))
    made = algorithm.propose([], 100)
    assert [lineage(trial).target for trial in made] == [0, 1, 2, 3, 4]
    trials = [ran(trial, sphere(trial.parameters)) for trial in made]
    trials[3] = Trial(made[3], TrialStatus(number=4, state=TrialState.RUNNING))
    for _ in range(2):
        more = algorithm.propose(trials, 100)
        assert [lineage(trial).target for trial in more] == [0, 1, 2, 4]
        trials += [ran(trial, sphere(trial.parameters)) for trial in more]
    trials[3] = ran(made[3], 0.0)
    more = algorithm.propose(trials, 100)
    assert [lineage(trial).target for trial in more] == [0, 1, 2, 3, 4]
    assert lineage(more[3]).parent == 4, "a straggler's result counts, however late"


def test_a_child_that_is_as_good_replaces_its_parent() -> None:
    algorithm = create(spec_of(cube(2), NAME, population="4"))
    trials = [ran(trial, 1.0 + trial.number) for trial in algorithm.propose([], 4)]
    trials += [
        ran(trial, 1.0 + lineage(trial).target + 1) for trial in algorithm.propose(trials, 4)
    ]
    assert [lineage(trial).parent for trial in algorithm.propose(trials, 4)] == [5, 6, 7, 8]


def test_a_child_that_is_worse_or_failed_does_not() -> None:
    algorithm = create(spec_of(cube(2), NAME, population="4"))
    trials = [ran(trial, 1.0) for trial in algorithm.propose([], 4)]
    trials += [
        ran(trial, loss)
        for trial, loss in zip(algorithm.propose(trials, 4), [2.0, None, 0.5, 1e300], strict=True)
    ]
    assert [lineage(trial).parent for trial in algorithm.propose(trials, 4)] == [1, 2, 7, 4]


def test_a_population_at_rest_gives_way_to_another() -> None:
    trials = search(spec_of(cube(2), NAME, population="4"), lambda point: 1.0, count=60)
    restarts = [lineage(trial).restart for trial in trials]
    assert restarts == sorted(restarts)
    assert restarts[-1] >= 2
    first = [trial.spec.parameters for trial in trials if lineage(trial).parent is None]
    assert len({tuple(point.values()) for point in first}) == len(first)


@pytest.mark.parametrize(
    ("dimensions", "budget", "parallel", "size"),
    [(1, 100, 1, 5), (2, 20, 1, 5), (2, 100, 1, 5), (2, 10_000, 1, 6), (2, 200, 1, 6), (3, 150, 1, 6), (3, 300, 1, 9), (5, 250, 1, 6), (10, 1000, 1, 11), (2, 100, 16, 20)],
)  # fmt: skip
def test_the_population_that_the_settings_leave_open_fits_the_budget_and_the_trials_at_once(
    dimensions: int, budget: int, parallel: int, size: int
) -> None:
    counts = {"max_trial_count": budget, "parallel_trial_count": parallel}
    spec = spec_of(cube(dimensions), NAME).model_copy(update=counts)
    (first,) = create(spec).propose([], 1)
    assert lineage(first).size == size


def test_a_generational_run_never_restarts() -> None:
    spec = spec_of(cube(2), NAME, population="4", generations="20", mode="generational")
    trials = search(spec, lambda point: 1.0, count=80)
    assert {lineage(trial).restart for trial in trials} == {0}


# ---------------------------------------------------------------------- both


def test_without_an_objective_there_is_nothing_to_compare() -> None:
    spec = spec_of(cube(1), NAME).model_copy(update={"objective": None})
    with pytest.raises(UnsupportedAlgorithm, match="objective"):
        create(spec)


@pytest.mark.parametrize(
    "settings", [{}, {"strategy": "adaptive"}, {"strategy": "rand1bin"}, {"mode": "generational"}]
)
def test_it_finds_a_minimum_that_random_search_does_not(settings: dict[str, str]) -> None:
    def median(name: str, **more: str) -> float:
        bests = [
            min(losses(search(spec_of(cube(4), name, seed=str(seed), **more), sphere, count=200)))
            for seed in range(5)
        ]
        return sorted(bests)[2]

    evolved = median(NAME, population="10", generations="20", **settings)
    assert evolved < median("random") / 5


@pytest.mark.parametrize("mode", ["generational", "asynchronous"])
def test_to_maximise_is_to_minimise_the_negative(mode: str) -> None:
    spec = spec_of(cube(3), NAME, mode=mode)
    objective = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name="loss")
    mirrored = spec.model_copy(update={"objective": objective})
    low = search(spec, sphere, count=80)
    high = search(mirrored, lambda point: -sphere(point), count=80)
    assert [trial.spec for trial in low] == [trial.spec for trial in high]


@pytest.mark.parametrize("strategy", EvolutionStrategy)
@pytest.mark.parametrize("scale", [1e300, 1.7e308, 5e-324])
def test_costs_of_any_size_are_compared_and_never_computed_with(
    strategy: str, scale: float
) -> None:
    spec = spec_of(cube(2), NAME, strategy=strategy)
    plain = search(spec, lambda point: math.copysign(1, float(point["x0"]) - 0.3), count=60)
    huge = search(spec, lambda point: math.copysign(scale, float(point["x0"]) - 0.3), count=60)
    assert [trial.spec for trial in plain] == [trial.spec for trial in huge]


def test_what_an_algorithm_caches_of_other_trials_changes_nothing() -> None:
    space = [*cube(2), integer("n", 0, 99)]
    one, other = (search(spec_of(space, NAME, seed=seed), sphere, count=60) for seed in ("1", "2"))
    used = create(spec_of(space, NAME, seed="1"))
    for trials in (other, one, other):
        proposed = used.propose(trials, 3)
        assert proposed == create(spec_of(space, NAME, seed="1")).propose(trials, 3)


@pytest.mark.parametrize("settings", [{}, {"mode": "generational"}])
def test_when_every_trial_fails_it_goes_on_with_random_points(settings: dict[str, str]) -> None:
    trials = search(spec_of(cube(2), NAME, **settings), lambda point: None, count=100)
    assert len(trials) == 100
    cells = Counter(int(float(trial.spec.parameters["x0"]) * 4) for trial in trials)
    assert all(cells[cell] > 10 for cell in range(4))


def test_a_minimum_on_the_bound_is_approached_and_trials_do_not_pile_up_there() -> None:
    spec = spec_of(cube(2), NAME, population="8", generations="25")
    trials = search(spec, lambda point: sum(float(x) for x in point.values()), count=200)
    values = [float(x) for trial in trials for x in trial.spec.parameters.values()]
    # The minimum is there, so the quadratic minimizer may be it, and its children keep the positions they do not cross.
    assert values.count(0.0) < 0.05 * len(values)
    assert max(values) < 1
    assert min(losses(trials)) < 1e-3


def test_a_parameter_on_a_logarithmic_scale_is_searched_there() -> None:
    rate = double("rate", "1e-8", "1", distribution=Distribution.LOG_UNIFORM)
    spec = spec_of([rate], NAME, population="6", generations="10")
    trials = search(spec, lambda point: abs(math.log10(float(point["rate"])) + 5), count=60)
    assert min(losses(trials)) < 0.05
    first = sorted(math.log10(float(trial.spec.parameters["rate"])) for trial in trials[:6])
    assert all(math.isclose(x, -8 + 8 * (k + 0.5) / 6, abs_tol=0.67) for k, x in enumerate(first))


def test_the_best_of_many_categories_is_found_whatever_their_order() -> None:
    names = [f"{letter}{digit}" for letter in "qwertz" for digit in "0123"]
    parameters = [listed("one", *names), listed("two", *names), integer("n", 1, 9)]

    def loss(point: dict[str, str]) -> float:
        wrong = (point["one"] != "t2") + (point["two"] != "e1")
        return wrong + abs(int(point["n"]) - 4) / 10

    bests = [
        min(losses(search(spec_of(parameters, NAME, seed=str(seed), population="12",
                                  generations="25"), loss, count=300)))
        for seed in range(5)
    ]  # fmt: skip
    assert sorted(bests)[2] <= 0.2


def test_the_first_trials_are_a_latin_hypercube() -> None:
    made = create(spec_of(cube(5), NAME, population="16")).propose([], 16)
    for name in made[0].parameters:
        assert sorted(int(float(trial.parameters[name]) * 16) for trial in made) == list(range(16))


def test_a_range_between_two_neighbouring_floats_is_searched_to_its_limit() -> None:
    trials = search(spec_of([double("x", "1", "1.0000000000000002")], NAME), sphere, count=10)
    assert {trial.spec.parameters["x"] for trial in trials} == {"1.0", "1.0000000000000002"}


def test_hops_own_example_with_its_bounds_reversed_is_searched_between_them() -> None:
    parameters = [double("learning_rate", "0.001", "0.0001"), double("dropout", "0.45", "0.7")]
    trials = search(spec_of(parameters, NAME, mode="generational"), sphere, count=100)
    rates = {float(trial.spec.parameters["learning_rate"]) for trial in trials}
    assert len(trials) == 100
    assert len(rates) >= 10
    assert all(0.0001 < rate < 0.001 for rate in rates)
    assert all(0.45 < float(trial.spec.parameters["dropout"]) < 0.7 for trial in trials)


@pytest.mark.parametrize(
    ("settings", "x", "rest", "record"),
    [
        (
            {"strategy": "adaptive"},
            0.2846422003600423,
            ["4", "b"],
            "restart=0 target=5 of=6 parent=54 mutation=0.6238 crossover=0.6208",
        ),
        (
            {"strategy": "rand1bin"},
            0.37958434441276057,
            ["5", "b"],
            "restart=0 target=5 of=6 parent=24 mutation=0.5000 crossover=0.7000",
        ),
        (
            {"mode": "generational"},
            0.4259580918275816,
            ["5", "b"],
            "restart=0 target=9 of=10 parent=40 mutation=0.5000 crossover=0.7000",
        ),
        (
            {"mode": "generational", "strategy": "adaptive"},
            0.5068520420569875,
            ["3", "b"],
            "restart=0 target=9 of=10 parent=30 mutation=0.6214 crossover=0.7503",
        ),
    ],
)
def test_the_sixtieth_trial_is_the_same_in_every_release(
    settings: dict[str, str], x: float, rest: list[str], record: str
) -> None:
    """A run that is resumed under a newer sparksweep must go on with the same trials."""

    def loss(point: dict[str, str]) -> float | None:
        if point["n"] == "7":
            return None
        wrong = abs(int(point["n"]) - 4) + (point["kind"] != "b")
        return (float(point["x"]) - 0.3) ** 2 + wrong

    parameters = [double("x", "0", "1"), integer("n", 0, 9), listed("kind", "a", "b", "c")]
    last = search(spec_of(parameters, NAME, seed="5", **settings), loss, count=60)[-1]
    first, *others = last.spec.parameters.values()
    assert (others, last.spec.lineage) == (rest, record)
    assert float(first) == pytest.approx(x, rel=1e-9)


def test_a_trial_without_a_lineage_is_passed_over() -> None:
    algorithm = create(spec_of(cube(2), NAME, population="4"))
    trials = [ran(trial, sphere(trial.parameters)) for trial in algorithm.propose([], 8)]
    foreign = TrialSpec(number=5, parameters={"x0": "0.5", "x1": "0.5"})
    (following,) = algorithm.propose([*trials, ran(foreign, 0.0)], 1)
    assert (following.number, lineage(following).target) == (6, 0)


@pytest.mark.parametrize(
    "origin",
    [
        Lineage(0, 0, 4),
        Lineage(3, 11, 12, 1_000_000),
        Lineage(0, 3, 4, 17, Rates(0.5, 0.7)),
        Lineage(999_999, 9_999, 10_000, 1_000_000, Rates(1.9999, 1.0)),
    ],
)
def test_a_lineage_reads_back_as_it_was_written(origin: Lineage) -> None:
    assert parse(str(origin)) == origin
    assert TrialSpec(number=1, parameters={}, lineage=str(origin)).lineage == str(origin)


@pytest.mark.parametrize("text", ["", "restart=0", "restart=0 target=4 of=4", "target=1"])
def test_other_text_is_no_lineage(text: str) -> None:
    assert parse(text) is None
