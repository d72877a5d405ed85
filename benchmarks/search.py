"""How good differential evolution's trials are: BBOB's 24 functions, against other libraries.

    python3 -m venv /tmp/bench
    /tmp/bench/bin/pip install -r benchmarks/search-requirements.txt .
    /tmp/bench/bin/python benchmarks/search.py --seed 1 [--instances 15] [--dimensions 2 3 5 10] [--budgets 10 50 100]

Instances are drawn by the seed, so that anyone can run others than those that were reported; the constants of the
default strategy were chosen on instances from 101 on, the ones drawn here end at 100. A budget counts evaluations for
each dimension. All solvers get the same functions in [-5, 5]^D, one trial at a time, and a seed of their own.

Printed for each solver: the median over functions and instances of log10(best - optimum), never below -8; the mean
area over the convergence curve (AOCC, 1 is best: log10 of the regret between -8 and 2, averaged over the run); both
with 95 % intervals from 1,000 bootstrap samples of instances; and on how many functions ours has the lower median
regret, and the higher one. A rival that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparksweep.api import (
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
    ExperimentSpec,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    Parameter,
    ParameterType,
    Trial,
    TrialState,
    TrialStatus,
    TrialTemplate,
)
from sparksweep_operator.search import create

LOW, HIGH = -5.0, 5.0
FLOOR = 1e-8
FUNCTIONS = range(1, 25)

Loss = Callable[[Sequence[float]], float]
Solver = Callable[[Loss, int, int, int], None]
"""Minimises a function of so many dimensions within a budget, with a seed; what it finds is seen by the function."""


class Spent(Exception):
    """The budget is used up."""


@dataclass
class Recorder:
    """A function that keeps its values, and ends its solver when the budget is spent."""

    function: Loss
    budget: int
    values: list[float]

    def __call__(self, point: Sequence[float]) -> float:
        """The value at a point.

        Raises:
            Spent: there have been as many as the budget has.
        """
        if len(self.values) >= self.budget:
            raise Spent
        value = float(self.function([float(x) for x in point]))
        self.values.append(value)
        return value


@dataclass(frozen=True)
class Score:
    """One run."""

    regret: float
    """log10."""
    aocc: float


# ---------------------------------------------------------------------- solvers


def experiment(dimensions: int, trials: int, **settings: str) -> ExperimentSpec:
    """A spec that minimises over the cube by differential evolution."""
    space = FeasibleSpace(min=str(LOW), max=str(HIGH))
    return ExperimentSpec(
        objective=Objective(type=ObjectiveType.MINIMIZE, objective_metric_name="loss"),
        algorithm=Algorithm(
            algorithm_name=AlgorithmName.DIFFERENTIAL_EVOLUTION,
            algorithm_settings=[
                AlgorithmSetting(name=name, value=value) for name, value in settings.items()
            ],
        ),
        parameters=[
            Parameter(name=f"x{place}", parameter_type=ParameterType.DOUBLE, feasible_space=space)
            for place in range(dimensions)
        ],
        trial_template=TrialTemplate(function="benchmark:loss"),
        max_trial_count=trials,
        parallel_trial_count=1,
    )


def ours(**settings: str) -> Solver:
    """Sparksweep's differential evolution, asynchronous, one trial at a time."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        algorithm = create(experiment(dimensions, budget, **settings, seed=str(seed)))
        trials: list[Trial] = []
        while made := algorithm.propose(trials, 1):
            value = loss([float(x) for x in made[0].parameters.values()])
            status = TrialStatus(
                number=made[0].number, state=TrialState.SUCCEEDED, metrics={"loss": value}
            )
            trials.append(Trial(made[0], status))

    return solve


def at_random(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """Independent uniform points."""
    draw = random.Random(seed)
    for _ in range(budget):
        loss([draw.uniform(LOW, HIGH) for _ in range(dimensions)])


def scipy_de(popsize: int) -> Solver:
    """SciPy's, without the polishing that would spend evaluations of its own; popsize counts for each dimension."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        from scipy.optimize import differential_evolution

        differential_evolution(
            loss, [(LOW, HIGH)] * dimensions, popsize=popsize, polish=False, rng=seed,
            maxiter=budget, tol=0, atol=0,
        )  # fmt: skip

    return solve


def optuna(sampler: str, **options: bool) -> Solver:
    """One of Optuna's samplers."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        import optuna as library

        library.logging.set_verbosity(library.logging.ERROR)
        study = library.create_study(
            sampler=getattr(library.samplers, sampler)(seed=seed, **options)
        )
        study.optimize(
            lambda trial: loss(
                [trial.suggest_float(f"x{place}", LOW, HIGH) for place in range(dimensions)]
            ),
            n_trials=budget,
        )

    return solve


def nevergrad_de(name: str) -> Solver:
    """One of Nevergrad's optimizers."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        import nevergrad
        import numpy as np

        space = nevergrad.p.Array(shape=(dimensions,)).set_bounds(LOW, HIGH)
        space.random_state = np.random.RandomState(seed % 2**32)
        nevergrad.optimizers.registry[name](space, budget=budget).minimize(loss)

    return solve


def pymoo_de(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """pymoo's, as it comes."""
    import numpy as np
    from pymoo.algorithms.soo.nonconvex.de import DE
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    class Problem(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=dimensions, n_obj=1, xl=LOW, xu=HIGH)

        def _evaluate(
            self, x: Sequence[float], out: dict[str, object], *_: object, **__: object
        ) -> None:
            out["F"] = np.array([loss(x)])

    minimize(Problem(), DE(), ("n_eval", budget), seed=seed)


SOLVERS: dict[str, tuple[str | None, Solver]] = {
    "sparksweep": (None, ours()),
    "sparksweep rand1bin": (None, ours(strategy="rand1bin")),
    "random": (None, at_random),
    "scipy DE": ("scipy", scipy_de(15)),
    "scipy DE, popsize 4": ("scipy", scipy_de(4)),
    "optuna TPE": ("optuna", optuna("TPESampler")),
    "optuna TPE, univariate": ("optuna", optuna("TPESampler", multivariate=False)),
    "optuna CMA-ES": ("cmaes", optuna("CmaEsSampler")),
    "nevergrad DE": ("nevergrad", nevergrad_de("DE")),
    "nevergrad TwoPointsDE": ("nevergrad", nevergrad_de("TwoPointsDE")),
    "pymoo DE": ("pymoo", pymoo_de),
}
"""Each with the module that it needs."""


# ---------------------------------------------------------------------- runs and their figures


def score(solver: Solver, function: int, instance: int, dimensions: int, budget: int) -> Score:
    """Run a solver once."""
    import ioh

    problem = ioh.get_problem(
        function, instance=instance, dimension=dimensions, problem_class=ioh.ProblemClass.BBOB
    )
    recorder = Recorder(problem, budget, [])
    with contextlib.suppress(Spent):
        solver(recorder, dimensions, budget, 1000 * instance + function)
    best, area, logarithm = math.inf, 0.0, 2.0
    # A solver that ended before its budget was spent keeps what it had.
    for value in (*recorder.values, *[math.inf] * (budget - len(recorder.values))):
        best = min(best, value - problem.optimum.y)
        logarithm = math.log10(max(best, FLOOR))
        area += 1 - (min(max(logarithm, -8.0), 2.0) + 8) / 10
    return Score(logarithm, area / budget)


Scores = dict[tuple[int, int], Score]
"""By function and instance."""


def interval(
    scores: Scores, figure: Callable[[list[Score]], float], draw: random.Random
) -> tuple[float, float, float]:
    """A figure and its bootstrap interval; instances are drawn anew for each function."""
    by_function: dict[int, list[Score]] = {}
    for (function, _), known in scores.items():
        by_function.setdefault(function, []).append(known)
    samples = sorted(
        figure(
            [known for group in by_function.values() for known in draw.choices(group, k=len(group))]
        )
        for _ in range(1000)
    )
    return figure(list(scores.values())), samples[25], samples[974]


def duel(one: Scores, other: Scores) -> tuple[int, int]:
    """On how many functions one has the lower median regret, and on how many the other."""

    def medians(scores: Scores) -> dict[int, float]:
        return {
            function: statistics.median(s.regret for (f, _), s in scores.items() if f == function)
            for function in {f for f, _ in scores}
        }

    mine, theirs = medians(one), medians(other)
    won = sum(mine[function] < theirs[function] - 1e-9 for function in mine)
    return won, sum(mine[function] > theirs[function] + 1e-9 for function in mine)


def median_regret(scores: list[Score]) -> float:
    """Of log10."""
    return statistics.median(known.regret for known in scores)


def mean_aocc(scores: list[Score]) -> float:
    """Of all runs."""
    return statistics.fmean(known.aocc for known in scores)


def report(name: str, scores: Scores, mine: Scores, seconds: float) -> None:
    """One line of the table."""
    draw = random.Random(0)
    regret = "{:6.2f} [{:5.2f}, {:5.2f}]".format(*interval(scores, median_regret, draw))
    aocc = "{:.3f} [{:.3f}, {:.3f}]".format(*interval(scores, mean_aocc, draw))
    won, lost = duel(mine, scores)
    against = "" if scores is mine else f"{won:2d} won, {lost:2d} lost"
    print(f"  {name:25} {regret}   {aocc}   {against:16} {seconds:6.0f} s", flush=True)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="BBOB, against other libraries.")
    parser.add_argument("--seed", type=int, default=1, help="draws the instances")
    parser.add_argument("--instances", type=int, default=15)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 50, 100])
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=SOLVERS)
    options = parser.parse_args()
    if importlib.util.find_spec("ioh") is None:
        print(
            "Left out: it needs benchmarks/search-requirements.txt; its first lines say how to install them."
        )
        return
    warnings.simplefilter("ignore")
    instances = sorted(random.Random(options.seed).sample(range(1, 101), options.instances))
    names = ["sparksweep", *(name for name in options.solvers if name != "sparksweep")]
    missing = [
        name
        for name in names
        if (module := SOLVERS[name][0]) and not importlib.util.find_spec(module)
    ]
    print(f"Python {sys.version.split()[0]}; instances {instances}")
    if missing:
        print(f"Not installed, left out: {', '.join(missing)}")
    for dimensions in options.dimensions:
        for budget in options.budgets:
            print(f"D = {dimensions}, {budget} x D = {budget * dimensions} trials:")
            print(f"  {'':25} {'log10 regret':22}   {'AOCC':22}   ours against it")
            mine: Scores = {}
            for name in names:
                if name in missing:
                    continue
                begin = time.monotonic()
                scores = {
                    (function, instance): score(
                        SOLVERS[name][1], function, instance, dimensions, budget * dimensions
                    )
                    for function in FUNCTIONS
                    for instance in instances
                }
                mine = mine or scores
                report(name, scores, mine, time.monotonic() - begin)


if __name__ == "__main__":
    main()
