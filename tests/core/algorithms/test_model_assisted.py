"""Model-assisted differential evolution: the schedule, the models' candidates, and how a search uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

import pytest

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.differential_evolution.lineage import parse
from sparksweep_core.algorithms.differential_evolution.offspring import MAX_CHILDREN
from sparksweep_core.algorithms.differential_evolution.population import finished_newest_first
from sparksweep_core.algorithms.encoding.unit_cube import UnitCube
from sparksweep_core.algorithms.model_assisted.candidate_models import CandidateModels
from sparksweep_core.algorithms.model_assisted.schedule import Schedule
from sparksweep_core.api import Parameter, Trial, TrialSpec, TrialState, TrialStatus
from support.algorithms.search_spaces import double, ended, integer, listed, spec_of

NAME = "differential-evolution"
SPACE = [double("x", "0", "1"), integer("n", 0, 9), listed("kind", "a", "b", "c")]


def schedule(parameters: Sequence[Parameter] = SPACE, budget: int = 100) -> Schedule:
    return Schedule.of(UnitCube(parameters), budget)


def models(parameters: Sequence[Parameter] = SPACE, budget: int = 100) -> CandidateModels:
    cube = UnitCube(parameters)
    plan = Schedule.of(cube, budget)
    return CandidateModels(cube, lambda trial: trial.status.metrics.get("loss"), plan)


def loss(point: dict[str, str]) -> float:
    return abs(float(point["x"]) - 0.3) + abs(int(point["n"]) - 7) / 9 + (point["kind"] != "b")


def trial(number: int, point: dict[str, str]) -> TrialSpec:
    return TrialSpec(number=number, parameters=point, lineage="restart=0 target=0 of=4")


def tried(count: int) -> list[Trial]:
    draw = Random(3)
    points = [
        {"x": repr(draw.random()), "n": str(draw.randrange(10)), "kind": draw.choice("abc")}
        for _ in range(count)
    ]
    return [
        ended(trial(number, point), TrialState.SUCCEEDED, loss(point))
        for number, point in enumerate(points, 1)
    ]


CHILDREN = [
    {"x": "0.9", "n": "1", "kind": "c"},
    {"x": "0.31", "n": "7", "kind": "b"},
    {"x": "0.8", "n": "8", "kind": "a"},
]


def ranked(
    fitted: CandidateModels,
    settled: Sequence[Trial],
    others: Sequence[dict[str, str]] = (),
    *,
    centre: dict[str, str],
    children: Sequence[dict[str, str]] = CHILDREN,
) -> list[int]:
    return fitted.ranking(fitted.training_data(settled, others, centre=centre), children)


def test_there_are_more_children_the_fewer_trials_are_left() -> None:
    counts = [schedule(budget=200).child_count(number) for number in range(1, 250)]
    assert counts == sorted(counts)
    assert counts[0] < MAX_CHILDREN == counts[-1]


def test_late_trials_of_a_long_search_are_not_screened() -> None:
    assert schedule(budget=10**6).child_count(100_000) == 1


def test_the_child_near_good_trials_comes_first() -> None:
    trials = tried(40)
    best = min(trials, key=lambda trial: trial.status.metrics["loss"])
    assert ranked(models(), trials, centre=best.spec.parameters)[0] == 1


def test_a_child_near_a_trial_that_is_running_comes_later() -> None:
    trials = tried(40)
    best = min(trials, key=lambda trial: trial.status.metrics["loss"])
    children = [*CHILDREN, {"x": "0.45", "n": "7", "kind": "b"}]
    result = ranked(models(), trials, centre=best.spec.parameters, children=children)
    assert result[:2] == [1, 3]
    running = [{**CHILDREN[1], "x": f"0.3{digit}"} for digit in range(6)]
    later = ranked(models(), trials, running, centre=best.spec.parameters, children=children)
    assert later[:2] == [3, 1]
    unfinished = [
        Trial(trial(number, point), TrialStatus(number=number))
        for number, point in enumerate(running, 41)
    ]
    assert later == ranked(
        models(), [*trials, *unfinished], centre=best.spec.parameters, children=children
    )


def test_what_is_cached_changes_nothing() -> None:
    trials, other = tried(40), tried(25)[::-1]
    centre = CHILDREN[1]
    used = models()
    ranked(
        used,
        [Trial(t.spec.model_copy(update={"number": n}), t.status) for n, t in enumerate(other, 1)],
        centre=centre,
    )
    assert ranked(used, trials, centre=centre) == ranked(models(), trials, centre=centre)


def test_before_there_is_anything_to_learn_from_the_order_is_that_of_the_draws() -> None:
    trials = tried(3)
    running = TrialStatus(number=4, state=TrialState.RUNNING)
    trials.append(Trial(trial(4, CHILDREN[0]), running))
    assert ranked(models(), trials, centre=CHILDREN[1]) == [0, 1, 2]


def test_a_trial_without_a_lineage_is_skipped() -> None:
    trials = tried(40)
    foreign = TrialSpec(number=41, parameters={"x": "much", "kind": "d"})
    more = [*trials, ended(foreign, TrialState.SUCCEEDED, -1.0)]
    centre = CHILDREN[1]
    assert ranked(models(), more, centre=centre) == ranked(models(), trials, centre=centre)


NUMBERS = [double("x", "0", "1"), double("y", "0", "1")]


def drawn(
    count: int, cost: Callable[..., float], *, names: str = "xy", seed: int = 5
) -> list[Trial]:
    """Return trials of points from the whole space."""
    draw = Random(seed)
    points = [[draw.random() for _ in names] for _ in range(count)]
    return [
        ended(
            trial(number, dict(zip(names, map(repr, point), strict=True))),
            TrialState.SUCCEEDED,
            cost(*point),
        )
        for number, point in enumerate(points, 1)
    ]


def bowl(count: int) -> list[Trial]:
    """Return trials of a bowl with its minimum at 0.3, 0.6, and ten times as steep in one direction."""
    return drawn(count, lambda x, y: (x - 0.3) ** 2 + 100 * (y - 0.6) ** 2)


def minimized(
    trials: Sequence[Trial],
    others: Sequence[dict[str, str]] = (),
    *,
    parameters: Sequence[Parameter] = NUMBERS,
    budget: int = 100,
) -> list[float] | None:
    fitted = models(parameters, budget)
    best = min(trials, key=lambda trial: trial.status.metrics.get("loss", 1e9))
    return fitted.quadratic_minimizer(
        fitted.training_data(trials, others, centre=best.spec.parameters)
    )


def test_the_quadratic_minimizer_is_the_lowest_point_of_the_model() -> None:
    result = minimized(bowl(20))
    assert result is not None
    assert result == pytest.approx([0.3, 0.6], abs=1e-4)


def test_there_is_no_quadratic_minimizer_before_there_are_enough_trials_with_results() -> None:
    assert minimized(bowl(7)) is None
    assert minimized(bowl(8)) is not None
    failed = [
        ended(trial(27 + item.number, dict(item.spec.parameters)), TrialState.FAILED, 0.0)
        for item in bowl(20)
    ]
    assert minimized([*bowl(7), *failed]) is None


def test_a_quadratic_minimizer_near_a_trial_that_has_not_ended_waits_for_it() -> None:
    assert minimized(bowl(20), [{"x": "0.3001", "y": "0.6"}]) is None
    assert minimized(bowl(20), [{"x": "0.9", "y": "0.1"}]) is not None


def test_quadratic_models_are_used_for_few_numbers_early_in_a_search() -> None:
    assert schedule(NUMBERS).uses_quadratic_model(2000)
    assert not schedule(NUMBERS).uses_quadratic_model(2001)
    assert not schedule().uses_quadratic_model(1), "a category is not between two others"
    five = [double(f"x{index}", "0", "1") for index in range(5)]
    assert schedule(five).uses_quadratic_model(1)
    assert not schedule([*five, double("y", "0", "1")]).uses_quadratic_model(1)


THREE = [*NUMBERS, double("z", "0", "1")]


def one_basin(*point: float) -> float:
    return sum((value - 0.3) ** 2 for value in point)


def many_basins(*point: float) -> float:
    return sum(math.sin(90 * value) for value in point)


@pytest.mark.parametrize(
    ("cost", "count", "budget", "is_made"),
    [
        (one_basin, 60, 300, True),
        (many_basins, 60, 300, False),
        (many_basins, 60, 225, True),  # Few trials for each parameter: it is worth the try.
        (many_basins, 29, 300, True),  # Too few to know.
        (many_basins, 30, 300, False),
    ],
)
def test_in_a_long_search_the_quadratic_model_is_used_where_it_predicts_costs(
    cost: Callable[..., float], count: int, budget: int, is_made: bool
) -> None:
    trials = drawn(count, cost, names="xyz", seed=7)
    assert (minimized(trials, parameters=THREE, budget=budget) is not None) == is_made


def test_with_two_parameters_the_quadratic_model_need_not_predict_well() -> None:
    assert minimized(drawn(60, many_basins, seed=7), budget=1000) is not None


def explored(
    trials: Sequence[Trial], number: int = 20, *, is_leading: bool = False
) -> list[float] | None:
    fitted = models(NUMBERS)
    best = min(trials, key=lambda trial: trial.status.metrics["loss"])
    data = fitted.training_data(trials, [], centre=best.spec.parameters)
    return fitted.exploration(number, data, Random(1).random, is_leading=is_leading)


def explorers(parameters: Sequence[Parameter], *, is_leading: bool) -> list[int]:
    phases = schedule(parameters)
    return [number for number in range(1, 300) if phases.explores(number, is_leading=is_leading)]


def test_of_up_to_three_numbers_trials_are_explorations() -> None:
    assert explorers(NUMBERS, is_leading=False) == [*range(1, 201)]
    assert explorers(NUMBERS[:1], is_leading=False) == [*range(1, 101)]
    assert explorers(THREE, is_leading=False) == [*range(2, 51, 2)]
    assert not explorers(SPACE, is_leading=False), "a category is not between two others"
    assert not explorers([*THREE, double("w", "0", "1")], is_leading=False)


def test_with_up_to_two_the_best_members_may_be_left_for_explorations() -> None:
    refining = [*range(4, 201, 4)]
    assert explorers(NUMBERS, is_leading=True) == [n for n in range(1, 201) if n not in refining]
    assert not explorers(THREE, is_leading=True)
    assert explored(bowl(30), is_leading=True) is None, "it has not closed in"
    assert explored(at_one_point(15, gain=0.0), is_leading=True) is not None


def test_every_second_of_the_first_trials_is_where_the_most_is_to_be_gained() -> None:
    result = explored(bowl(30))
    assert result is not None
    assert result == pytest.approx([0.3, 0.6], abs=0.2)
    assert [number for number in range(1, 70) if explored(bowl(30), number)] == [*range(2, 51, 2)]
    assert explored(bowl(3)) is None


def at_one_point(count: int, gain: float, apart: float = 1e-5) -> list[Trial]:
    """Return trials of the bowl, then some that are each better by `gain` than the one before."""
    begun = bowl(30)
    best = min(trial.status.metrics["loss"] for trial in begun)
    return [
        *begun,
        *(
            ended(
                trial(30 + step, {"x": repr(0.7 + apart * step), "y": "0.2"}),
                TrialState.SUCCEEDED,
                best - 1 - gain * step,
            )
            for step in range(1, count + 1)
        ),
    ]


def test_when_the_search_has_stagnated_it_explores_elsewhere() -> None:
    result = explored(at_one_point(15, gain=0.0), number=101)
    assert result is not None
    for tried in at_one_point(15, gain=0.0):
        index = [float(tried.spec.parameters[name]) for name in "xy"]
        assert math.dist(result, index) >= 0.05
    assert explored(at_one_point(15, gain=1.0), number=101) is None, "it still gains"
    assert explored(at_one_point(8, gain=0.0), number=101) is None, "it has just found it"
    assert explored(bowl(60), number=101) is None, "it has not closed in"


def has_stagnated(trials: Sequence[Trial], size: int) -> bool:
    return models(NUMBERS).has_stagnated(reversed(trials), size)


def test_a_population_that_gains_nothing_more_at_one_point_has_stagnated() -> None:
    assert has_stagnated(at_one_point(15, gain=0.0), size=5)
    assert not has_stagnated(at_one_point(15, gain=0.0), size=20), "most have had no turn"
    assert not has_stagnated(at_one_point(15, gain=1.0), size=5), "it still gains"
    assert not has_stagnated(at_one_point(15, gain=0.0, apart=0.01), size=5), "it is wide"
    assert not has_stagnated(at_one_point(8, gain=0.0), size=5), "it has just found it"
    assert not has_stagnated(bowl(60), size=5)
    assert not has_stagnated([], size=5)


def test_failed_trials_gain_nothing_and_have_no_point() -> None:
    failed = [
        ended(trial(number, {"x": "0.1", "y": "0.1"}), TrialState.FAILED, 0.0)
        for number in range(46, 80)
    ]
    assert has_stagnated([*at_one_point(15, gain=0.0), *failed], size=5)
    assert not has_stagnated([*bowl(9), *failed], size=5)
    assert not has_stagnated(failed, size=5)


def test_where_trials_may_not_be_explorations_a_population_is_replaced() -> None:
    assert schedule(THREE).replaces_population(1)
    assert not schedule(NUMBERS).replaces_population(200)
    assert schedule(NUMBERS).replaces_population(201)
    assert not schedule(NUMBERS).replaces_population(2001), "it does not close in so fast any more"
    assert not schedule().replaces_population(1), "a category is not between two others"


def restarts(strategy: str) -> set[int]:
    """Return the populations that 150 trials in a row belong to."""
    spec = spec_of(THREE, NAME, seed="3", population="6", generations="25", strategy=strategy)
    algorithm = create(spec)
    trials: list[Trial] = []
    while len(trials) < 150:
        (made,) = algorithm.propose(trials, 1)
        x, y, z = (float(made.parameters[name]) for name in "xyz")
        loss = (x - 0.3) ** 2 + (y - 0.6) ** 2 + (z - 0.5) ** 2
        trials.append(ended(made, TrialState.SUCCEEDED, loss))
    lineages = [parse(trial.spec.lineage or "") for trial in trials]
    return {lineage.restart for lineage in lineages if lineage}


def test_a_population_that_has_stagnated_is_replaced() -> None:
    assert restarts("screened") >= {0, 1}
    assert restarts("adaptive") == {0}, "without the quadratic model it still gains"


def test_a_populations_ended_trials_are_read_backwards_to_where_it_began() -> None:
    lineages = ["restart=0 target=0 of=4", *["restart=1 target=0 of=4"] * 2, None]
    lineages += ["restart=1 target=1 of=4"] * 2
    specs = [
        TrialSpec(number=number, parameters={"x": "0"}, lineage=lineage)
        for number, lineage in enumerate(lineages, 1)
    ]
    trials = [ended(spec, TrialState.FAILED, 0.0) for spec in specs]
    trials[4] = Trial(specs[4], TrialStatus(number=5, state=TrialState.RUNNING))
    assert [trial.number for trial in finished_newest_first(trials, 1)] == [6, 3, 2]


def test_ints_are_explored_too_and_no_point_comes_twice() -> None:
    algorithm = create(spec_of([integer("n", 0, 6), integer("m", 0, 6)], NAME, seed="1"))
    trials: list[Trial] = []
    while len(trials) < 49 and (made := algorithm.propose(trials, 1)):
        loss = (int(made[0].parameters["n"]) - 4) ** 2 + int(made[0].parameters["m"])
        trials.append(ended(made[0], TrialState.SUCCEEDED, float(loss)))
    assert len({tuple(trial.spec.parameters.values()) for trial in trials}) == 49
    assert min(trial.status.metrics["loss"] for trial in trials[:20]) == 0


COLOURS = [listed(name, *"abcde") for name in ("one", "two", "three", "four")]


def test_with_categories_and_no_continuum_the_first_trials_are_explorations() -> None:
    for is_leading in (True, False):
        assert explorers(COLOURS, is_leading=is_leading) == [*range(1, 101)]
        assert explorers([*COLOURS, integer("n", 0, 9)], is_leading=is_leading) == [*range(1, 101)]


def found_of_colours(seed: int, **settings: str) -> float:
    """Return the lowest of 40 losses, of 6,250 combinations; the best one's is 0, and trials with an "e" fail."""
    parameters = [*COLOURS, integer("n", 0, 9)]
    algorithm = create(spec_of(parameters, NAME, seed=str(seed), population="5", **settings))
    trials: list[Trial] = []
    while len(trials) < 40:
        (made,) = algorithm.propose(trials, 1)
        letters = [made.parameters[parameter.name] for parameter in COLOURS]
        loss = sum(abs(ord(letter) - ord("c")) % 3 for letter in letters)
        loss += abs(int(made.parameters["n"]) - 6)
        state = TrialState.FAILED if "e" in letters else TrialState.SUCCEEDED
        trials.append(ended(made, state, float(loss)))
    assert len({tuple(trial.spec.parameters.values()) for trial in trials}) == 40
    return min(trial.status.metrics.get("loss", math.inf) for trial in trials)


@pytest.mark.parametrize(("mode", "most"), [("asynchronous", 0), ("generational", 1)])
def test_of_many_combinations_good_ones_are_found_in_few_trials(mode: str, most: float) -> None:
    def median(strategy: str) -> float:
        settings = {"strategy": strategy, "mode": mode, "generations": "8"}
        return sorted(found_of_colours(seed, **settings) for seed in range(5))[2]

    assert median("screened") <= most < median("adaptive")


def test_a_smooth_optimum_is_found_to_many_digits_in_few_trials() -> None:
    algorithm = create(spec_of(NUMBERS, NAME, population="6", seed="3"))
    trials: list[Trial] = []
    while len(trials) < 60:
        (made,) = algorithm.propose(trials, 1)
        x, y = (float(made.parameters[name]) for name in "xy")
        trials.append(ended(made, TrialState.SUCCEEDED, (x - 0.3) ** 2 + 100 * (y - x) ** 2))
    assert min(trial.status.metrics["loss"] for trial in trials) < 1e-6


def test_categories_are_equally_far_from_each_other_and_numbers_by_their_buckets() -> None:
    cube = UnitCube([integer("n", 0, 3), listed("kind", "a", "b", "c")])
    assert cube.features({"n": "0", "kind": "a"})[0] == 0.125
    corners = [cube.features({"n": "0", "kind": kind})[1:] for kind in "abc"]
    distances = {
        round(sum((x - y) ** 2 for x, y in zip(one, other, strict=True)), 12)
        for one in corners
        for other in corners
        if one is not other
    }
    assert distances == {0.25}


def test_a_screened_trials_record_is_that_of_any_other() -> None:
    spec = spec_of([double("x", "0", "1"), double("y", "0", "1")], NAME, population="5")
    algorithm = create(spec)
    trials: list[Trial] = []
    while len(trials) < 40:
        (made,) = algorithm.propose(trials, 1)
        value = (float(made.parameters["x"]) - 0.4) ** 2 + float(made.parameters["y"])
        trials.append(ended(made, TrialState.SUCCEEDED, value))
    lineages = [parse(trial.spec.lineage or "") for trial in trials]
    assert all(lineage is not None for lineage in lineages)
    assert any(lineage is not None and lineage.rates is not None for lineage in lineages[5:])


def test_in_generations_how_the_same_generations_trials_end_changes_nothing() -> None:
    settings = {"mode": "generational", "strategy": "screened", "population": "6"}
    spec = spec_of([double("x", "0", "1"), double("y", "0", "1")], NAME, **settings)
    trials = [
        ended(made, TrialState.SUCCEEDED, float(made.parameters["x"]))
        for made in create(spec).propose([], 6)
    ]
    whole = create(spec).propose(trials, 6)
    for state in (TrialState.RUNNING, TrialState.FAILED, TrialState.SUCCEEDED):
        begun = [ended(made, state, -1.0) for made in whole[:3]]
        assert create(spec).propose([*trials, *begun], 6) == whole[3:]
