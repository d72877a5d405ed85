"""Cost of one proposal: differential evolution with 20 parameters after 100,000 finished trials.

    python benchmarks/proposals.py [--trials 100000] [--proposals 2000]

The trials are synthetic: random points that get slowly better, as in a search that goes on improving. In a loop, a trial
is proposed and ends; the processor time of each proposal is measured. The first five, among which the
index of tried points is made where there is one, are counted with the others, and the slowest of them is printed too.
"""

from __future__ import annotations

import argparse
import random
import resource
import time

from search_solvers import experiment

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates
from sparksweep_core.api import (
    FeasibleSpace,
    Parameter,
    ParameterType,
    Trial,
    TrialSpec,
    TrialState,
    TrialStatus,
)

DIMENSIONS = 20


def measure(*, ints: int, trials: int, proposals: int) -> str:
    """Return median and 99th percentile as text, with `ints` integers among the parameters."""
    spec = experiment(DIMENSIONS, 1_000_000)
    space = FeasibleSpace(min="0", max="1000")
    whole = [
        Parameter(name=f"n{index}", parameter_type=ParameterType.INT, feasible_space=space)
        for index in range(ints)
    ]
    spec = spec.model_copy(update={"parameters": [*spec.parameters[ints:], *whole]})
    algorithm = create(spec)
    size = len(algorithm.propose([], 10_000))
    draw = random.Random(0)

    def ended(made: TrialSpec) -> Trial:
        loss = 1e6 - made.number + 3 * size * draw.random()
        status = TrialStatus(number=made.number, state=TrialState.SUCCEEDED, metrics={"loss": loss})
        return Trial(made, status)

    history: list[Trial] = []
    for number in range(1, trials + 1):
        parent = number - size if number > size else None
        lineage = Lineage(0, (number - 1) % size, size, parent, Rates(0.5, 0.7) if parent else None)
        point = {
            parameter.name: str(draw.randint(0, 1000))
            if parameter.parameter_type is ParameterType.INT
            else repr(draw.uniform(-5, 5))
            for parameter in spec.parameters
        }
        history.append(ended(TrialSpec(number=number, parameters=point, lineage=str(lineage))))
    taken = []
    for _ in range(proposals):
        begin = time.process_time()
        (made,) = algorithm.propose(history, 1)
        taken.append(time.process_time() - begin)
        history.append(ended(made))
    first = 1000 * max(taken[:5])
    taken.sort()
    median, last = (1000 * taken[int(len(taken) * share)] for share in (0.5, 0.99))
    return f"{ints:2d} ints of {DIMENSIONS}: p50 {median:6.2f} ms, p99 {last:6.2f} ms (population {size}), slowest of the first five {first:.0f} ms"


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description="The cost of a proposal.")
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--proposals", type=int, default=2000)
    options = parser.parse_args()
    for ints in (0, 1, 10, DIMENSIONS):
        print(measure(ints=ints, trials=options.trials, proposals=options.proposals), flush=True)
    print(
        f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB, the trials among them"
    )


if __name__ == "__main__":
    main()
