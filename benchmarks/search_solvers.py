"""Solvers that benchmarks/search.py compares: ours, and the other libraries' with their defaults."""

from __future__ import annotations

import importlib.util
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparksweep_core.algorithms import create
from sparksweep_core.api import (
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

LOW, HIGH = -5.0, 5.0

Loss = Callable[[Sequence[float]], float]
Solve = Callable[[Loss, int, int, int], None]
"""Minimises a function of so many dimensions within a budget, with a seed; the function records its values."""


@dataclass(frozen=True)
class Solver:
    """A solver, one line of the tables."""

    solve: Solve
    module: str | None = None
    """Module that must be installed."""
    knows_budget: bool = False
    """True if its first trials depend on the budget; if not, one long run contains all shorter ones."""
    is_de: bool = False
    """True if it is another library's differential evolution."""
    is_slow: bool = False
    """True if it takes milliseconds for each trial, so that it may get fewer instances."""

    @property
    def is_installed(self) -> bool:
        """True if it can run here."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


def experiment(dimensions: int, trials: int, **settings: str) -> ExperimentSpec:
    """Return a spec that minimises over the cube by differential evolution."""
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
            Parameter(name=f"x{index}", parameter_type=ParameterType.DOUBLE, feasible_space=space)
            for index in range(dimensions)
        ],
        trial_template=TrialTemplate(function="benchmark:loss"),
        max_trial_count=trials,
        parallel_trial_count=1,
    )


def trials_of(spec: ExperimentSpec, loss: Callable[[dict[str, str]], float]) -> list[Trial]:
    """Run an experiment, one trial at a time, until there are maxTrialCount or no more."""
    algorithm = create(spec)
    trials: list[Trial] = []
    while len(trials) != spec.max_trial_count and (made := algorithm.propose(trials, 1)):
        value = loss(made[0].parameters)
        status = TrialStatus(
            number=made[0].number, state=TrialState.SUCCEEDED, metrics={"loss": value}
        )
        trials.append(Trial(made[0], status))
    return trials


def ours(**settings: str) -> Solve:
    """Run sparksweep's differential evolution, asynchronous, one trial at a time."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        spec = experiment(dimensions, budget, **settings, seed=str(seed))
        trials_of(spec, lambda point: loss([float(x) for x in point.values()]))

    return solve


def at_random(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """Draw independent uniform points."""
    draw = random.Random(seed)
    for _ in range(budget):
        loss([draw.uniform(LOW, HIGH) for _ in range(dimensions)])


def scipy_de(popsize: int) -> Solve:
    """Run SciPy's, without the polishing that would spend evaluations of its own; popsize counts for each dimension."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        from scipy.optimize import differential_evolution

        differential_evolution(
            loss, [(LOW, HIGH)] * dimensions, popsize=popsize, polish=False, rng=seed,
            maxiter=budget, tol=0, atol=0,
        )  # fmt: skip

    return solve


def optuna(sampler: str, **options: bool) -> Solve:
    """Return a solver that runs one of Optuna's samplers."""

    def solve(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
        import optuna as library

        library.logging.set_verbosity(library.logging.ERROR)
        study = library.create_study(
            sampler=getattr(library.samplers, sampler)(seed=seed, **options)
        )
        study.optimize(
            lambda trial: loss(
                [trial.suggest_float(f"x{index}", LOW, HIGH) for index in range(dimensions)]
            ),
            n_trials=budget,
        )

    return solve


def nevergrad_de(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """Run Nevergrad's with its defaults. It ignores the budget."""
    import nevergrad
    import numpy as np

    space = nevergrad.p.Array(shape=(dimensions,)).set_bounds(LOW, HIGH)
    space.random_state = np.random.RandomState(seed % 2**32)
    nevergrad.optimizers.registry["DE"](space, budget=budget).minimize(loss)


def pymoo_de(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """Run pymoo's with its defaults."""
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


def dehb_de(loss: Loss, dimensions: int, budget: int, seed: int) -> None:
    """Run DEHB's differential evolution with DEHB's settings, which it recommends where there is one fidelity only."""
    from dehb import DE
    from loguru import logger

    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        DE(
            f=lambda x: {"fitness": loss([LOW + (HIGH - LOW) * u for u in x]), "cost": 1.0},
            dimensions=dimensions, pop_size=20, mutation_factor=0.5, crossover_prob=0.5,
            strategy="rand1_bin", seed=seed, output_path=folder,
        ).run(generations=budget)  # fmt: skip


SOLVERS: dict[str, Solver] = {
    "sparksweep": Solver(ours(), knows_budget=True),
    "sparksweep adaptive": Solver(ours(strategy="adaptive"), knows_budget=True),
    "sparksweep rand1bin": Solver(ours(strategy="rand1bin"), knows_budget=True),
    "random": Solver(at_random),
    "scipy DE": Solver(scipy_de(15), "scipy", is_de=True),
    "scipy DE, popsize 4": Solver(scipy_de(4), "scipy", is_de=True),
    "nevergrad DE": Solver(nevergrad_de, "nevergrad", is_de=True),
    "pymoo DE": Solver(pymoo_de, "pymoo", is_de=True),
    "DEHB's DE": Solver(dehb_de, "dehb", is_de=True),
    "optuna CMA-ES": Solver(optuna("CmaEsSampler"), "cmaes", is_slow=True),
    "optuna TPE": Solver(optuna("TPESampler"), "optuna", is_slow=True),
    "optuna TPE, univariate": Solver(
        optuna("TPESampler", multivariate=False), "optuna", is_slow=True
    ),
}
