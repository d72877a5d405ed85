"""Benchmark: the time of a plan and the memory of its input, against the number of finished trials.

    python benchmarks/planning.py [--trials 1000 10000 100000] [--turns 500] [--algorithm random]

One experiment with five parameters goes on and on: in each turn a trial ends, its batch is put into the history, and a plan
is made and carried out. The trials before are synthetic. Printed for each algorithm and number of trials, in milliseconds of
CPU: reading a batch from JSON and putting it into the history, on average; median and 99th percentile of a turn's `put`,
`plan`, and of the proposals among it; the first plan, which makes an index of tried points for the algorithms that want
one. Then the process's memory (RSS) before the first batch, and its growth to the highest point.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.base import Algorithm as SearchAlgorithm
from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates
from sparksweep_core.api import (
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
    Experiment,
    ExperimentMeta,
    ExperimentSpec,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    ObjectMeta,
    Parameter,
    ParameterType,
    Trial,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialSpec,
    TrialState,
    TrialStatus,
    TrialTemplate,
    batch_name,
    count_states,
)
from sparksweep_core.api.metadata import OwnerReference
from sparksweep_core.contract.annotations import SEED_ANNOTATION
from sparksweep_core.history import History
from sparksweep_core.planner import DriverState, DriverStatus, plan

BATCH = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = DriverStatus(DriverState.RUNNING)
KINDS = ("grid", "random", "random-uneven", "adaptive", "adaptive-ints", "model-assisted")


def experiment_of(kind: str) -> Experiment:
    """Return the experiment: five parameters, more trials than the benchmark has."""
    space = FeasibleSpace(min="-5", max="5")
    kinds = ParameterType.DOUBLE
    if kind in ("grid", "random-uneven", "adaptive-ints"):
        kinds = ParameterType.INT
        distribution = "normal" if kind == "random-uneven" else "uniform"
        space = FeasibleSpace.model_validate_json(
            f'{{"min": "0", "max": "40", "distribution": "{distribution}"}}'
        )
    settings = {"seed": "7"}
    name = AlgorithmName.GRID
    if kind.startswith("random"):
        name = AlgorithmName.RANDOM
    elif kind != "grid":
        name = AlgorithmName.DIFFERENTIAL_EVOLUTION
        settings["strategy"] = "screened" if kind == "model-assisted" else "adaptive"
    if kind == "grid":
        settings = {}
    return Experiment(
        metadata=ExperimentMeta(name="digits", namespace="lab", uid="uid-1", generation=1),
        spec=ExperimentSpec(
            objective=Objective(type=ObjectiveType.MINIMIZE, objective_metric_name="loss"),
            algorithm=Algorithm(
                algorithm_name=name,
                algorithm_settings=[
                    AlgorithmSetting(name=key, value=value) for key, value in settings.items()
                ],
            ),
            parameters=[
                Parameter(name=f"x{index}", parameter_type=kinds, feasible_space=space)
                for index in range(5)
            ],
            trial_template=TrialTemplate(function="benchmark:loss"),
            max_trial_count=900_000,
            parallel_trial_count=4,
        ),
    )


def ended(number: int) -> TrialStatus:
    """Return the status of a finished trial; one in a hundred has failed."""
    failed = number % 100 == 99
    moment = START + timedelta(seconds=number)
    return TrialStatus(
        number=number,
        state=TrialState.FAILED if failed else TrialState.SUCCEEDED,
        attempt=1,
        metrics={} if failed else {"loss": 1e6 - number + random.Random(number).random()},
        reason="Exception" if failed else "Completed",
        message="ValueError: it broke\nTraceback ..." if failed else None,
        node="node-1",
        start_time=moment,
        completion_time=moment + timedelta(seconds=1),
        duration_seconds=1.0,
        peak_memory_bytes=123_456_789,
    )


def batch_of(index: int, specs: list[TrialSpec], statuses: list[TrialStatus]) -> TrialBatch:
    """Return a batch as the operator reads it from the API server."""
    written = TrialBatch(
        metadata=ObjectMeta(
            name=batch_name("digits", index),
            namespace="lab",
            uid=f"7bd1c3f0-0000-4000-8000-{index:012d}",
            labels={"sparksweep.dev/experiment": "digits"},
            annotations={SEED_ANNOTATION: "7"},
            owner_references=[
                OwnerReference(
                    api_version="sparksweep.dev/v1alpha1", kind="Experiment", name="digits",
                    uid="uid-1", controller=True, block_owner_deletion=True,
                )
            ],
        ),
        spec=TrialBatchSpec(
            experiment="digits", index=index, trials=specs, parallel_trial_count=4
        ),
        status=TrialBatchStatus(
            driver="digits-driver-0", trials=statuses, counts=count_states(statuses)
        ),
    )  # fmt: skip
    return TrialBatch.model_validate_json(written.to_json())


def past(experiment: Experiment, count: int) -> Iterator[TrialBatch]:
    """Yield finished batches. Trials of differential evolution are random points with a likely lineage."""
    spec = experiment.spec
    is_evolution = spec.algorithm.algorithm_name is AlgorithmName.DIFFERENTIAL_EVOLUTION
    algorithm = create(spec)
    draw = random.Random(0)
    size = 9
    is_int = spec.parameters[0].parameter_type is ParameterType.INT
    indexed = History()
    for index, first in enumerate(range(1, count + 1, BATCH)):
        if is_evolution:
            specs = []
            for number in range(first, first + BATCH):
                parent = number - size * draw.randint(1, 3) if number > 3 * size else None
                rates = Rates(0.5, 0.7) if parent else None
                lineage = Lineage(0, (number - 1) % size, size, parent, rates)
                point = {
                    item.name: str(draw.randint(0, 40)) if is_int else repr(draw.uniform(-5, 5))
                    for item in spec.parameters
                }
                specs.append(TrialSpec(number=number, parameters=point, lineage=str(lineage)))
        else:
            specs = algorithm.propose(indexed.view().trials, BATCH)
        statuses = [ended(trial.number) for trial in specs]
        batch = batch_of(index, specs, statuses)
        if not is_evolution:
            indexed.put(batch)
        yield batch


def rss_mib() -> float:
    """Return the memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(kind: str, turns: int) -> None:
    """Print one line of figures about the batches that standard input has, one a line."""
    experiment = experiment_of(kind)
    plan(experiment, [], driver=RUNNING, now=START)
    history = History()
    gc.collect()
    before = peak = rss_mib()
    reading = 0.0
    for line in sys.stdin.buffer:
        begin = time.process_time()
        history.put(TrialBatch.model_validate_json(line))
        reading += time.process_time() - begin
        peak = max(peak, rss_mib())
    trials = history.summary.created
    begin = time.process_time()
    plan(experiment, history.view(), driver=RUNNING, now=START)
    first = time.process_time() - begin
    gc.collect()
    grown = max(peak, rss_mib()) - before
    puts, plans, proposing = turn_times(experiment, history, turns)
    figures = [
        f"{kind:15s}{trials:8d}",
        f"read and put {1000 * reading / max(1, trials // BATCH):5.2f}",
        f"put {percentiles(puts)}",
        f"plan {percentiles(plans)}",
        f"proposing {percentiles(proposing)}",
        f"first plan {1000 * first:7.1f}",
        f"RSS {before:4.0f} +{grown:5.1f} MiB, {grown * 2**20 / trials:5.0f} B a trial",
    ]
    print("  ".join(figures), flush=True)


def turn_times(
    experiment: Experiment, history: History, turns: int
) -> tuple[list[float], list[float], list[float]]:
    """Let trials end one after the other, and return the seconds of `put`, `plan` and of proposals in it."""
    puts: list[float] = []
    plans: list[float] = []
    proposing: list[float] = []
    open_batches: dict[str, TrialBatch] = {}
    statuses: dict[int, TrialStatus] = {}
    waiting: list[int] = []
    kind = type(create(experiment.spec))
    propose = kind.propose

    def timed(self: SearchAlgorithm, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        begin = time.process_time()
        made = propose(self, trials, count)
        proposing.append(time.process_time() - begin)
        return made

    for _ in range(turns):
        begin = time.process_time()
        with patch.object(kind, "propose", timed):
            planned = plan(experiment, history.view(), driver=RUNNING, now=START)
        plans.append(time.process_time() - begin)
        experiment = experiment.model_copy(update={"status": planned.status})
        for batch in planned.batches:
            known = open_batches.get(batch.metadata.name)
            earlier = {trial.number for trial in known.spec.trials} if known else set()
            waiting += [t.number for t in batch.spec.trials if t.number not in earlier]
            open_batches[batch.metadata.name] = batch
            history.put(joined(batch, statuses))
        while waiting and waiting[0] in statuses:
            waiting.pop(0)
        number = waiting.pop(0)
        statuses[number] = ended(number)
        batch = next(
            b for b in open_batches.values() if any(t.number == number for t in b.spec.trials)
        )
        newer = TrialBatch.model_validate_json(joined(batch, statuses).to_json())
        begin = time.process_time()
        history.put(newer)
        puts.append(time.process_time() - begin)
    return puts, plans, proposing


def joined(batch: TrialBatch, statuses: dict[int, TrialStatus]) -> TrialBatch:
    """Return a batch with the statuses of its trials."""
    reported = [statuses[t.number] for t in batch.spec.trials if t.number in statuses]
    return batch.model_copy(update={"status": TrialBatchStatus(trials=reported)})


def percentiles(seconds: Sequence[float]) -> str:
    """Return median and 99th percentile in milliseconds as text."""
    ordered = sorted(seconds) or [0.0]
    median, last = (
        ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99)
    )
    return f"{1000 * median:6.2f} {1000 * last:6.2f}"


def main() -> None:
    """Run every measurement in a process of its own, and its batches' production in another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--algorithm", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--part", choices=["produce", "measure"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    kind, trials = options.algorithm[0], options.trials[0]
    if options.part == "produce":
        for batch in past(experiment_of(kind), trials):
            print(batch.to_json())
        return
    if options.part == "measure":
        measure(kind, options.turns)
        return
    print("milliseconds of CPU, p50 and p99")
    for kind in options.algorithm:
        for trials in options.trials:
            command = [sys.executable, __file__, "--algorithm", kind, "--trials", str(trials)]
            with subprocess.Popen([*command, "--part", "produce"], stdout=subprocess.PIPE) as made:
                turns = ["--turns", str(options.turns)]
                subprocess.run(
                    [*command, *turns, "--part", "measure"], stdin=made.stdout, check=True
                )


if __name__ == "__main__":
    main()
