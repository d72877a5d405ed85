"""A run of each algorithm with real trials, and its checks: the same on this machine and on nodes."""

from __future__ import annotations

from typing import Any

from sparksweep import Experiment, search
from sparksweep._result import Result
from sparksweep_core.algorithms import Space, create
from sparksweep_core.algorithms.differential_evolution.lineage import parse
from sparksweep_core.api import Trial, TrialState

SPACE: dict[str, Any] = {
    "rate": search.log_uniform(1e-4, 1e-1),
    "units": search.int_uniform(1, 6),
    "optimizer": ["adam", "sgd", "rmsprop"],
    "size": [16, 32, 64],
}
GRID: dict[str, Any] = {
    **SPACE,
    "rate": [0.1, 0.01],
    "units": search.int_uniform(1, 3),
    "size": [16],
}
"""Eighteen points."""
BAD = 2
"""Number of units with which trials fail."""


def training(rate: float, units: int, optimizer: str, size: int) -> dict[str, float]:
    import math

    if units == 2:
        raise ValueError("two units diverge")
    return {"loss": abs(math.log10(rate) + 2) + abs(units - 4) + len(optimizer) + size / 64}


def experiment(algorithm: str, **options: Any) -> Experiment:
    """Return the experiment of grid, random, or one of differential evolution's modes."""
    evolves = algorithm in ("generational", "asynchronous")
    settings: dict[str, Any] = {} if algorithm == "grid" else {"seed": 11}
    if evolves:
        settings |= {"population": 6, "generations": 4, "mode": algorithm}
    elif algorithm == "random":
        options["max_trials"] = 24
    return Experiment(
        training, GRID if algorithm == "grid" else SPACE, objective="loss", direction="min", settings=settings,
        algorithm="differential-evolution" if evolves else algorithm, name=f"contract-{algorithm}",
        parallel=2, **options,
    )  # fmt: skip


def check(algorithm: str, result: Result) -> None:
    """Check the pure planner's promises on trials that were really run."""
    spec, trials = result.experiment.spec, result._trials
    expected = 18 if algorithm == "grid" else 24
    assert [trial.number for trial in trials] == list(range(1, expected + 1))
    for trial in trials:
        failed = trial.spec.parameters["units"] == str(BAD)
        state = TrialState.FAILED if failed else TrialState.SUCCEEDED
        assert trial.state is state, trial
    assert 0 < sum(trial.state is TrialState.FAILED for trial in trials) < expected
    points = {tuple(trial.spec.parameters.values()) for trial in trials}
    assert len(points) == expected, "a point came twice"
    space = Space(spec.parameters)
    for trial in trials:
        # By name: the API server has put them in another order.
        for parameter, dimension in zip(spec.parameters, space.dimensions, strict=True):
            low, high = dimension.interval(trial.spec.parameters[parameter.name])
            assert 0 <= low <= high <= 1
    assert result.best_value == min(
        v for t in trials if (v := t.objective_value(spec.objective)) is not None
    )
    check_replay(algorithm, result, trials)


def check_replay(algorithm: str, result: Result, trials: list[Trial]) -> None:
    """Check that the trials are those that the search makes of the ones before."""
    search = create(result.experiment.spec)
    if algorithm == "asynchronous":
        # It depends on what had ended when: each trial's record says what it was made from.
        for trial in trials:
            lineage = parse(trial.spec.lineage or "")
            assert lineage is not None
            assert lineage.parent is None or lineage.parent < trial.number
        assert any(parse(trial.spec.lineage or "").parent for trial in trials)  # type: ignore[union-attr]
        return
    step = 6 if algorithm == "generational" else len(trials)
    for start in range(0, len(trials), step):
        made = search.propose(trials[:start], step)
        assert made == [trial.spec for trial in trials[start : start + step]]
