"""Benchmark: gains and losses of asynchronous differential evolution over generations; simulated workers, BBOB.

    /tmp/bench/bin/python benchmarks/asynchrony.py --seed 1 [--instances 3] [--dimensions 5] [--trials 300]

benchmarks/search.py says how to install what it needs. 16 workers, trials that take lognormal times (sigma 0.5), the
default strategy with a population of 20 in both modes, the same for each pair but the mode.

- regret at equal trials: the asynchronous run's regret over the generational one's, after as many trials.
- wall-clock at equal trials: the same for the time that those took.
- time to the same regret: when the asynchronous run was as good as the generational one in the end, over the time that
  one took. If it never was, a run that is configured for three times as many trials counts; 2 stands for never.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.util
import math
import random
import statistics

from search import FUNCTIONS
from search_figures import FLOOR
from search_solvers import Loss, experiment

from sparksweep_core.algorithms import create
from sparksweep_core.api import Trial, TrialState, TrialStatus

WORKERS = 16
POPULATION = 20
SIGMA = 0.5
NEVER = 2.0

History = list[tuple[float, float]]
"""Times at which trials ended, and their values, in the order of the ends."""


def simulate(loss: Loss, dimensions: int, trials: int, seed: int, mode: str) -> History:
    """Run an experiment on simulated workers."""
    spec = experiment(
        dimensions, trials, mode=mode, strategy="screened", population=str(POPULATION),
        generations=str(trials // POPULATION), seed=str(seed),
    ).model_copy(update={"parallel_trial_count": WORKERS})  # fmt: skip
    algorithm = create(spec)
    known: list[Trial] = []
    running: list[tuple[float, int]] = []
    history: History = []
    now = 0.0
    while True:
        for made in algorithm.propose(known, WORKERS - len(running)):
            seconds = random.Random(seed * 1_000_003 + made.number).lognormvariate(0, SIGMA)
            heapq.heappush(running, (now + seconds, made.number))
            known.append(Trial(made, TrialStatus(number=made.number, state=TrialState.RUNNING)))
        if not running:
            return history
        now, number = heapq.heappop(running)
        made = known[number - 1].spec
        value = loss([float(x) for x in made.parameters.values()])
        status = TrialStatus(number=number, state=TrialState.SUCCEEDED, metrics={"loss": value})
        known[number - 1] = Trial(made, status)
        history.append((now, value))


def compare(
    loss: Loss, optimum: float, dimensions: int, trials: int, seed: int
) -> tuple[float, float, float]:
    """Return regret at equal trials, wall-clock at equal trials, and time to the same regret."""
    waiting = simulate(loss, dimensions, trials, seed, "generational")
    free = simulate(loss, dimensions, trials, seed, "asynchronous")
    goal, best = (min(value for _, value in history) for history in (waiting, free))
    end = waiting[-1][0]
    # As good as the floor is good enough.
    enough = max(goal, optimum + FLOOR)
    known = free if best <= enough else simulate(loss, dimensions, 3 * trials, seed, "asynchronous")
    reached = next((time / end for time, value in known if value <= enough), NEVER)
    regret = max(best - optimum, FLOOR) / max(goal - optimum, FLOOR)
    return regret, free[-1][0] / end, min(reached, NEVER)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description="Asynchronous against generational.")
    parser.add_argument("--seed", type=int, default=1, help="draws the instances")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--dimensions", type=int, default=5)
    parser.add_argument("--trials", type=int, default=300)
    options = parser.parse_args()
    if importlib.util.find_spec("ioh") is None:
        print("Left out: benchmarks/search.py says how to install what it needs.")
        return
    import ioh

    instances = sorted(random.Random(options.seed).sample(range(1, 101), options.instances))
    print(f"instances {instances}, D = {options.dimensions}, {options.trials} trials")
    results = []
    for function in FUNCTIONS:
        for instance in instances:
            problem = ioh.get_problem(
                function, instance=instance, dimension=options.dimensions,
                problem_class=ioh.ProblemClass.BBOB,
            )  # fmt: skip
            results.append(
                compare(
                    problem, problem.optimum.y, options.dimensions, options.trials,
                    1000 * instance + function,
                )
            )  # fmt: skip
    regrets, clocks, times = zip(*results, strict=True)
    mean = math.exp(statistics.fmean(map(math.log, regrets)))
    print(
        f"regret at equal trials:     median {statistics.median(regrets):.2f}, geometric mean {mean:.2f}"
    )
    print(f"wall-clock at equal trials: median {statistics.median(clocks):.2f}")
    print(
        f"time to the same regret:    median {statistics.median(times):.2f}, never in {times.count(NEVER)} of {len(times)}"
    )


if __name__ == "__main__":
    main()
