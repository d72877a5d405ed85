"""Hops' functions for experiments, as its notebooks call them.

    from sparksweep import experiment

    def training(learning_rate, dropout):
        ...
        return accuracy

    grid = {"learning_rate": [0.001, 0.0005], "dropout": [0.45, 0.7]}
    result = experiment.grid_search(training, grid, direction="max")

Arguments have Hops' names (those of 2018 and of its last version), order and defaults. A Spark session as the first
argument is accepted and ignored: each run has its own Spark. Further arguments are keywords, and the same in all
functions: ``backend``, ``namespace`` and ``directory`` as in `Experiment.submit`, ``progress`` as in `Experiment.wait`,
and the options of `Experiment`.

Each function waits until the experiment has ended, and returns a `Result`, which unpacks as Hops' tuple.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sparksweep._builder import direction_of, unique_name
from sparksweep._experiment import Experiment
from sparksweep._functions import check_function, has_source, name_of, returns_nothing
from sparksweep._hops_arguments import Call, Form, bounds, called_as, grid_of, launches
from sparksweep._plain_values import as_python, invalid, shown
from sparksweep._result import Result
from sparksweep._warnings import warn
from sparksweep.errors import ExperimentFailed, FieldError, InvalidExperiment
from sparksweep.search import choice
from sparksweep_core.api import TrialReason
from sparksweep_trainer.trial.arguments import bind

__all__ = [
    "Direction",
    "LaunchResult",
    "differential_evolution",
    "evolutionary_search",
    "grid_search",
    "launch",
    "random_search",
]


class Direction(StrEnum):
    """The direction of optimisation. The strings ``max`` and ``min`` mean the same."""

    MAX = "MAX"
    """A higher metric is better."""
    MIN = "MIN"
    """A lower metric is better."""


class LaunchResult(Result):
    """The result of `launch`: ``logdir, outputs = result``."""

    @property
    def outputs(self) -> dict[str, float] | list[dict[str, float]] | None:
        """The metrics that the run returned, None if none; of several runs a list, in their order."""
        metrics = [dict(trial.status.metrics) for trial in self._trials]
        if len(metrics) > 1:
            return metrics
        return metrics[0] or None if metrics else None

    def __iter__(self) -> Iterator[Any]:
        yield from (self.logdir, self.outputs)


_REQUIRED = inspect.Parameter.empty
_COMMON = {"name": "no-name", "local_logdir": False, "description": None}
_OLD = ("name", "local_logdir", "versioned_resources", "description")
_FUNCTION = {"map_fun": "train_fn", "objective_function": "train_fn", "function": "train_fn"}
_EVOLUTION = {"seed": None, "mode": "generational", "strategy": None}

_GRID = Form(
    order={
        "train_fn": _REQUIRED, "grid_dict": _REQUIRED, "direction": Direction.MAX, **_COMMON, "optimization_key": "metric",
    },
    session_order=("train_fn", "grid_dict", "direction", *_OLD),
    aliases={**_FUNCTION, "args_dict": "grid_dict"},
)  # fmt: skip
_RANDOM = Form(
    order={
        "train_fn": _REQUIRED, "boundary_dict": _REQUIRED, "direction": Direction.MAX, "samples": 10, **_COMMON,
        "optimization_key": "metric",
    },
    session_order=("train_fn", "boundary_dict", "direction", "samples", *_OLD),
    aliases={**_FUNCTION, "search_dict": "boundary_dict", "args_dict": "boundary_dict"},
    extra={"seed": None},
)  # fmt: skip
_LAUNCH = Form(
    order={"train_fn": _REQUIRED, "args_dict": None, **_COMMON, "metric_key": None},
    session_order=("train_fn", "args_dict", *_OLD),
    aliases=_FUNCTION,
)


def _evolution(generations: int, population: int) -> Form:
    return Form(
        order={
            "train_fn": _REQUIRED, "boundary_dict": _REQUIRED, "direction": Direction.MAX, "generations": generations,
            "population": population, "mutation": 0.5, "crossover": 0.7, **_COMMON, "optimization_key": "metric",
        },
        session_order=(
            "train_fn", "boundary_dict", "direction", "generations", "population", "mutation", "crossover",
            "cleanup_generations", *_OLD,
        ),
        aliases={
            **_FUNCTION, "search_dict": "boundary_dict", "args_dict": "boundary_dict", "popsize": "population",
        },
        extra=_EVOLUTION,
    )  # fmt: skip


@called_as(_GRID)
def grid_search(call: Call) -> Result:
    """Run a trial for every combination of the values; the first hyperparameter varies slowest.

    Args:
        train_fn: The function, called with each hyperparameter as the argument of that name. It returns the metric,
            or a dictionary of metrics; if it returns nothing, there is no best trial.
        grid_dict: A list of values for each hyperparameter.
        direction: `Direction.MAX` to maximise the metric, `Direction.MIN` to minimise it.
        name: The experiment's name; made unique.
        local_logdir: Ignored: files are local while a trial runs, and kept afterwards.
        description: A text for readers, stored as an annotation.
        optimization_key: The metric to optimise, if ``train_fn`` returns a dictionary.

    Returns:
        The result, which unpacks as ``best_dir, best_params, best_metrics``.

    Raises:
        InvalidExperiment: An argument is wrong; no trial has run.
        ExperimentFailed: No trial has succeeded; the error holds the result.
        TypeError: The arguments fit no form of the call.
    """
    function = call.arguments["train_fn"]
    has_metric = not (callable(function) and returns_nothing(function))
    objective = call.arguments["optimization_key"] if has_metric else None
    return _run(call, grid_of(call.arguments["grid_dict"]), "grid", objective, {})


@called_as(_RANDOM)
def random_search(call: Call) -> Result:
    """Run trials with random hyperparameters.

    Args:
        train_fn: The function; it returns the metric, or a dictionary of metrics.
        boundary_dict: For each hyperparameter ``[lower, upper]``, categories, or a `sparksweep.search.Domain`.
        direction: `Direction.MAX` to maximise the metric, `Direction.MIN` to minimise it.
        samples: The number of trials.
        name: The experiment's name; made unique.
        local_logdir: Ignored: files are local while a trial runs, and kept afterwards.
        description: A text for readers, stored as an annotation.
        optimization_key: The metric to optimise, if ``train_fn`` returns a dictionary.
        seed: The seed of the random numbers: the same seed draws the same points.

    Returns:
        The result, which unpacks as ``best_dir, best_params, best_metrics``.

    Raises:
        InvalidExperiment: An argument is wrong; no trial has run.
        ExperimentFailed: No trial has succeeded; the error holds the result.
        TypeError: The arguments fit no form of the call.
    """
    call = replace(call, options={"max_trials": call.arguments["samples"], **call.options})
    domains = bounds(call.arguments["boundary_dict"])
    function = call.arguments["train_fn"]
    has_metric = not (callable(function) and returns_nothing(function))
    objective = call.arguments["optimization_key"] if has_metric else None
    return _run(call, domains, "random", objective, {})


def _evolve(call: Call) -> Result:
    arguments = call.arguments
    function = arguments["train_fn"]
    if callable(function) and returns_nothing(function):
        message = f"{name_of(function)} returns nothing: differential evolution needs a metric, so return a number or a dictionary of numbers"
        raise InvalidExperiment([FieldError("train_fn", message)])
    names = ("population", "generations", "mutation", "crossover", "mode", "strategy")
    settings = {name: arguments[name] for name in names}
    domains = bounds(arguments["boundary_dict"])
    return _run(call, domains, "differential-evolution", arguments["optimization_key"], settings)


@called_as(_evolution(generations=4, population=6))
def differential_evolution(call: Call) -> Result:
    """Search by differential evolution (Storn and Price, 1997), with population times generations trials.

    Args:
        train_fn: The function; it returns the metric, or a dictionary of metrics.
        boundary_dict: For each hyperparameter ``[lower, upper]``, categories, or a `sparksweep.search.Domain`.
            Bounds in the wrong order are swapped, with a warning.
        direction: `Direction.MAX` to maximise the metric, `Direction.MIN` to minimise it.
        generations: The number of generations, the first one included.
        population: The number of points in each generation.
        mutation: F, the weight of differences.
        crossover: CR, the probability that a hyperparameter is changed.
        name: The experiment's name; made unique.
        local_logdir: Ignored: files are local while a trial runs, and kept afterwards.
        description: A text for readers, stored as an annotation.
        optimization_key: The metric to optimise, if ``train_fn`` returns a dictionary.
        seed: The seed of the random numbers.
        mode: ``generational``, as in Hops, or ``asynchronous``, which never waits for a generation to end.
        strategy: ``rand1bin`` or ``adaptive``; by default the mode's own.

    Returns:
        The result, which unpacks as ``best_dir, best_params, best_metrics``.

    Raises:
        InvalidExperiment: An argument is wrong; no trial has run.
        ExperimentFailed: No trial has succeeded; the error holds the result.
        TypeError: The arguments fit no form of the call.
    """
    return _evolve(call)


@called_as(_evolution(generations=10, population=10))
def evolutionary_search(call: Call) -> Result:
    """Search by differential evolution, under the name and with the defaults of 2018: 10 generations of 10 points.

    See `differential_evolution` for the arguments and errors.
    """
    return _evolve(call)


@called_as(_LAUNCH)
def launch(call: Call) -> LaunchResult:
    """Run the function once, or once for each set of arguments.

    Args:
        train_fn: The function.
        args_dict: A list of values for each argument: the first values make the first run, the second ones the second.
        name: The experiment's name; made unique.
        local_logdir: Ignored: files are local while a trial runs, and kept afterwards.
        description: A text for readers, stored as an annotation.
        metric_key: A metric that the function must return.

    Returns:
        The result, which unpacks as ``logdir, outputs``.

    Raises:
        InvalidExperiment: An argument is wrong; no run was started.
        ExperimentFailed: No run has succeeded; the error holds the result.
        TypeError: The arguments fit no form of the call.
    """
    function = call.arguments["train_fn"]
    runs = launches(call.arguments["args_dict"])
    if not callable(function):
        message = f"{function!r} is not a function: launch takes a function object"
        raise InvalidExperiment([FieldError("train_fn", message)])
    check_function(function, list(runs[0]))
    by_label = {
        _label(run, number): bind(name_of(function), function, run)
        for number, run in enumerate(runs, start=1)
    }
    result = _run(
        call, {"arguments": choice(list(by_label))}, "grid", call.arguments["metric_key"], {},
        run=_with_arguments(function, by_label),
    )  # fmt: skip
    return LaunchResult(
        result.experiment, result._trials, logdir=result.logdir, reader=result._run.reader
    )


# ---------------------------------------------------------------------- shared by all functions


def _run(
    call: Call,
    domains: Mapping[str, object],
    algorithm: str,
    objective: str | None,
    settings: Mapping[str, Any],
    *,
    run: Callable[..., object] | None = None,
) -> Result:
    arguments = call.arguments
    for name in ("versioned_resources", "cleanup_generations"):
        if arguments.get(name):
            warn(f"{name} is ignored: it has no meaning outside Hopsworks")
    where = dict(call.where)
    progress = where.pop("progress", True)
    options: dict[str, Any] = {
        "name": unique_name(_named(arguments)),
        "description": arguments["description"],
        "seed": arguments.get("seed"),
        **call.options,
    }
    experiment = Experiment(
        run or arguments["train_fn"],
        domains,
        algorithm=algorithm,
        settings=settings,
        objective=objective,
        direction=direction_of(arguments.get("direction", Direction.MAX)),
        **options,
    )
    try:
        return experiment.submit(**where).wait(progress=progress)
    except ExperimentFailed as error:
        function = arguments["train_fn"]
        needs_metric = algorithm == "differential-evolution" or objective is None
        if needs_metric or not callable(function) or has_source(function):
            raise
        if not any(t.status.reason == TrialReason.METRIC_MISSING for t in error.result._trials):
            raise
        message = (
            f"{error}\nThe source of {name_of(function)} is not available: if it returns nothing on purpose, annotate it "
            "with -> None"
        )
        raise ExperimentFailed(message, error.result) from None


def _named(arguments: Mapping[str, Any]) -> str:
    name, function = as_python(arguments["name"]), arguments["train_fn"]
    if name is not None and not isinstance(name, str):
        raise invalid("name", f"{shown(name)} is not text")
    if name not in (None, _COMMON["name"]):
        return str(name)
    return name_of(function) if callable(function) else str(function).rpartition(":")[2]


def _label(arguments: Mapping[str, object], number: int) -> str:
    """Return the text of a run's arguments in the Experiment, whose parameters are texts."""
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{number}: {text}"[:200] if text else "none"


def _with_arguments(
    function: Callable[..., object], by_label: Mapping[str, tuple[Sequence[Any], Mapping[str, Any]]]
) -> Callable[..., object]:
    def run(arguments: str) -> object:
        args, kwargs = by_label[arguments]
        return function(*args, **kwargs)

    run.__name__ = run.__qualname__ = name_of(function)
    return run
