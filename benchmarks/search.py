"""Quality of differential evolution's trials: BBOB's 24 functions, against other libraries.

    python3 -m venv /tmp/bench
    /tmp/bench/bin/pip install -r benchmarks/search-requirements.txt .
    /tmp/bench/bin/pip install --no-deps dehb==0.1.2
    /tmp/bench/bin/python benchmarks/search.py --seed 1 [--instances 15] [--dimensions 2 3 5 10] [--budgets 10 50 100]

Instances are drawn by the seed, so that anyone can run others than those that were reported; the constants of the
default strategy were chosen on instances from 101 on, the ones drawn here end at 100. A budget counts evaluations for
each dimension. All solvers get the same functions in [-5, 5]^D, one trial at a time, and a seed of their own. Those
that take a budget into account run once for each; of the others, the first part of the longest run is a shorter one.

Printed for each solver: the median over functions and instances of log10(best - optimum), never below -8; the mean
area over the convergence curve (AOCC, 1 is best: log10 of the regret between -8 and 2, averaged over the run); both
with 95 % intervals from 1,000 bootstrap samples of instances; and on how many functions ours has the lower median
regret, and the higher one. A rival that is not installed is left out, with a message.

It takes hours. `--runs FILE` keeps each run as it ends, and takes those that the file has from there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search_figures import Score, Scores, Steps, duel, line, mean_aocc, median_regret, scored
from search_solvers import SOLVERS, Loss

FUNCTIONS = range(1, 25)


class Spent(Exception):
    """The budget is used up."""


@dataclass
class Recorder:
    """A function that records its improvements, and ends its solver when the budget is spent."""

    function: Loss
    optimum: float
    budget: int
    steps: list[tuple[int, float]] = field(default_factory=list)
    number: int = 0

    def __call__(self, point: Sequence[float]) -> float:
        """Return the value at a point.

        Raises:
            Spent: the budget is used up.
        """
        if self.number >= self.budget:
            raise Spent
        self.number += 1
        value = float(self.function([float(x) for x in point]))
        regret = value - self.optimum
        if not self.steps or regret < self.steps[-1][1]:
            self.steps.append((self.number, regret))
        return value


@dataclass(frozen=True)
class Run:
    """Key of a run: a solver on one instance of a function, with a budget in trials."""

    solver: str
    function: int
    instance: int
    dimensions: int
    budget: int

    def steps(self) -> Steps:
        """Run the solver and return its improvements."""
        import ioh

        problem = ioh.get_problem(
            self.function, instance=self.instance, dimension=self.dimensions,
            problem_class=ioh.ProblemClass.BBOB,
        )  # fmt: skip
        recorder = Recorder(problem, problem.optimum.y, self.budget)
        seed = 1000 * self.instance + self.function
        with contextlib.suppress(Spent):
            SOLVERS[self.solver].solve(recorder, self.dimensions, self.budget, seed)
        return recorder.steps


class Runs:
    """Runs so far; with a file, those of earlier calls too."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._steps: dict[Run, Steps] = {}
        for text in file.read_text().splitlines() if file and file.exists() else []:
            entry = json.loads(text)
            self._steps[Run(*entry["run"])] = entry["steps"]

    def steps(self, run: Run) -> Steps:
        """Return a run's improvements; run it if it was not yet."""
        if run not in self._steps:
            self._steps[run] = run.steps()
            if self._file:
                entry = {"run": [*vars(run).values()], "steps": self._steps[run]}
                with self._file.open("a") as file:
                    print(json.dumps(entry), file=file)
        return self._steps[run]


def cell(
    runs: Runs, name: str, instances: Sequence[int], dimensions: int, budget: int, most: int
) -> Scores:
    """Return a solver's scores on all functions; `most` is the largest budget of the call, in trials."""
    ran = budget if SOLVERS[name].knows_budget else most
    return {
        (function, instance): scored(
            runs.steps(Run(name, function, instance, dimensions, ran)), budget
        )
        for function in FUNCTIONS
        for instance in instances
    }


def overall(cells: Sequence[dict[str, Scores]], names: Sequence[str]) -> None:
    """Print the figures over all cells: each has the same weight in the mean, each run in the median."""
    print("All cells:")
    for name in names:
        scores: Sequence[Score] = [score for one in cells for score in one[name].values()]
        duels = [duel(one["sparksweep"], one[name]) for one in cells]
        won, lost = (sum(len(side[which]) for side in duels) for which in (0, 1))
        least = min(len(side[0]) for side in duels)
        against = (
            ""
            if name == "sparksweep"
            else f"   {won} won, {lost} lost; at least {least} won in each"
        )
        print(f"  {name:25} {median_regret(scores):6.2f}   {mean_aocc(scores):.3f}{against}")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description="BBOB, against other libraries.")
    parser.add_argument("--seed", type=int, default=1, help="draws the instances")
    parser.add_argument("--instances", type=int, default=15)
    parser.add_argument(
        "--slow-instances", type=int, default=15, help="at most, for Optuna's samplers"
    )
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 50, 100])
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=SOLVERS)
    parser.add_argument("--runs", type=Path, help="a file that keeps the runs")
    options = parser.parse_args()
    if importlib.util.find_spec("ioh") is None:
        print(
            "Left out: it needs benchmarks/search-requirements.txt; its first lines say how to install them."
        )
        return
    warnings.simplefilter("ignore")
    instances = random.Random(options.seed).sample(range(1, 101), options.instances)
    names = ["sparksweep", *(name for name in options.solvers if name != "sparksweep")]
    missing = [name for name in names if not SOLVERS[name].is_installed]
    names = [name for name in names if name not in missing]
    print(f"Python {sys.version.split()[0]}; instances {sorted(instances)}")
    if missing:
        print(f"Not installed, left out: {', '.join(missing)}")
    runs = Runs(options.runs)
    cells: list[dict[str, Scores]] = []
    for dimensions in options.dimensions:
        for budget in options.budgets:
            print(f"D = {dimensions}, {budget} x D = {budget * dimensions} trials:")
            print(f"  {'':25} {'log10 regret':22}   {'AOCC':22}   ours against it")
            cells.append({})
            for name in names:
                few = options.slow_instances if SOLVERS[name].is_slow else options.instances
                cells[-1][name] = cell(
                    runs, name, instances[:few], dimensions, budget * dimensions,
                    max(options.budgets) * dimensions,
                )  # fmt: skip
                print(line(name, cells[-1][name], cells[-1]["sparksweep"]), flush=True)
    overall(cells, names)


if __name__ == "__main__":
    main()
