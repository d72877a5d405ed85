"""Hops' experiments, as its notebooks call them.

    from sparksweep import experiment

    def training(learning_rate, dropout):
        ...
        return accuracy

    grid = {"learning_rate": [0.001, 0.0005], "dropout": [0.45, 0.7]}
    result = experiment.grid_search(training, grid, direction="max")

Arguments have Hops' names, those of 2018 and of its last version alike, and its order and defaults. A Spark session in
front is taken and ignored: each run has a Spark of its own. What is new is by keyword only, and the same in all
functions: `backend`, `namespace`, `directory` (see `Experiment.submit`), `progress`, and `sparksweep._builder.Options`.

Each function waits for the end, and returns a `Result`, which unpacks as Hops' tuple.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from sparksweep._builder import Options, direction_of, unique_name
from sparksweep._experiment import Experiment
from sparksweep._functions import check_function, name_of, returns_nothing
from sparksweep._hops_arguments import Call, Form, bounds, called_as, grid_of, launches
from sparksweep._result import Result
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep.search import choice

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
    """Which way is better. The texts ``max`` and ``min`` do as well."""

    MAX = "MAX"
    MIN = "MIN"


class LaunchResult(Result):
    """The result of `launch`: ``logdir, outputs = result``."""

    @property
    def outputs(self) -> dict[str, float] | list[dict[str, float]] | None:
        """The metrics that the run returned, None if none; of several runs a list, in their order."""
        found = [dict(trial.status.metrics) for trial in self._trials]
        return found if len(found) > 1 else (found[0] or None if found else None)

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
    """Run every combination of the values; the first hyperparameter varies slowest.

    Args:
        train_fn: called with each hyperparameter as the argument of that name; returns the metric, or a dict of
            metrics. One that returns nothing is run all the same, and no trial is best.
        grid_dict: by hyperparameter a list of values.
        direction: whether the metric is to be maximised or minimised.
        name: of the experiment.
        local_logdir: ignored: files are local while a trial runs, and kept after it.
        description: for people.
        optimization_key: the metric to compare by, when ``train_fn`` returns a dict.

    Raises:
        InvalidExperiment: an argument is wrong; nothing has run.
        ExperimentFailed: no trial has succeeded; the error holds the result.
    """
    function = call.arguments["train_fn"]
    has_metric = not (callable(function) and returns_nothing(function))
    objective = call.arguments["optimization_key"] if has_metric else None
    return _run(call, grid_of(call.arguments["grid_dict"]), "grid", objective, {})


@called_as(_RANDOM)
def random_search(call: Call) -> Result:
    """Run random points.

    Args:
        train_fn: returns the metric, or a dict of metrics.
        boundary_dict: by hyperparameter ``[lower, upper]``, categories, or what `sparksweep.search` makes.
        direction: whether the metric is to be maximised or minimised.
        samples: how many points.
        name: of the experiment.
        local_logdir: ignored: files are local while a trial runs, and kept after it.
        description: for people.
        optimization_key: the metric to compare by, when ``train_fn`` returns a dict.
        seed: the same seed draws the same points.

    Raises:
        InvalidExperiment: an argument is wrong; nothing has run.
        ExperimentFailed: no trial has succeeded; the error holds the result.
    """
    options = {"max_trials": call.arguments["samples"], **call.options}
    call = Call(call.arguments, options, call.where)  # type: ignore[arg-type]
    domains = bounds(call.arguments["boundary_dict"])
    function = call.arguments["train_fn"]
    has_metric = not (callable(function) and returns_nothing(function))
    objective = call.arguments["optimization_key"] if has_metric else None
    return _run(call, domains, "random", objective, {"seed": call.arguments["seed"]})


def _evolve(call: Call) -> Result:
    arguments = call.arguments
    function = arguments["train_fn"]
    if callable(function) and returns_nothing(function):
        message = f"{name_of(function)} returns nothing: differential evolution needs a metric, so return a number or a dictionary of numbers"
        raise InvalidExperiment([FieldError("train_fn", message)])
    names = ("population", "generations", "mutation", "crossover", "seed", "mode", "strategy")
    settings = {name: arguments[name] for name in names}
    domains = bounds(arguments["boundary_dict"])
    return _run(call, domains, "differential-evolution", arguments["optimization_key"], settings)


@called_as(_evolution(generations=4, population=6))
def differential_evolution(call: Call) -> Result:
    """Evolve a population of points: population times generations trials, the first generation included.

    Args:
        train_fn: returns the metric, or a dict of metrics.
        boundary_dict: by hyperparameter ``[lower, upper]``, categories, or what `sparksweep.search` makes. Bounds
            in the wrong order are exchanged, with a warning.
        direction: whether the metric is to be maximised or minimised.
        generations: how many, the first one included.
        population: points in each generation.
        mutation: F, the weight of differences.
        crossover: CR, the probability that a hyperparameter is changed.
        name: of the experiment.
        local_logdir: ignored: files are local while a trial runs, and kept after it.
        description: for people.
        optimization_key: the metric to compare by, when ``train_fn`` returns a dict.
        seed: the same seed gives the same trials.
        mode: ``generational``, as in Hops, or ``asynchronous``, which never waits for a generation to end.
        strategy: ``rand1bin`` or ``adaptive``; by default the one that goes with the mode.

    Raises:
        InvalidExperiment: an argument is wrong; nothing has run.
        ExperimentFailed: no trial has succeeded; the error holds the result.
    """
    return _evolve(call)


@called_as(_evolution(generations=10, population=10))
def evolutionary_search(call: Call) -> Result:
    """`differential_evolution` under its first name, with the defaults that it had then: 10 generations of 10."""
    return _evolve(call)


@called_as(_LAUNCH)
def launch(call: Call) -> LaunchResult:
    """Run the function once; with lists of arguments once for each place in the lists.

    Args:
        train_fn: the function.
        args_dict: by argument a list of values: the first values make the first run, the second ones the second.
        name: of the experiment.
        local_logdir: ignored: files are local while a trial runs, and kept after it.
        description: for people.
        metric_key: a metric that must be among what the function returns.

    Raises:
        InvalidExperiment: an argument is wrong; nothing has run.
        ExperimentFailed: no run has succeeded; the error holds the result.
    """
    function = call.arguments["train_fn"]
    runs = launches(call.arguments["args_dict"])
    if not callable(function):
        message = f"{function!r} is not a function: launch takes a function object"
        raise InvalidExperiment([FieldError("train_fn", message)])
    check_function(function, list(runs[0]))
    by_label = {_label(run, number): run for number, run in enumerate(runs, start=1)}
    result = _run(
        call, {"arguments": choice(list(by_label))}, "grid", call.arguments["metric_key"], {},
        run=_with_arguments(function, by_label),
    )  # fmt: skip
    return LaunchResult(result.experiment, result._trials, logdir=result.logdir)


# ---------------------------------------------------------------------- what they share


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
            warnings.warn(
                f"{name} is ignored: it has no meaning outside Hopsworks", UserWarning, stacklevel=4
            )
    where = dict(call.where)
    progress = where.pop("progress", True)
    options: Options = {
        "name": unique_name(_named(arguments)),
        "description": arguments["description"],
    }
    options.update(call.options)
    experiment = Experiment(
        run or arguments["train_fn"],
        domains,
        algorithm=algorithm,
        settings=settings,
        objective=objective,
        direction=direction_of(arguments.get("direction", Direction.MAX)),
        **options,
    )
    return experiment.submit(**where).wait(progress=progress)


def _named(arguments: Mapping[str, Any]) -> str:
    name, function = str(arguments["name"]), arguments["train_fn"]
    if name != _COMMON["name"]:
        return name
    return name_of(function) if callable(function) else str(function).rpartition(":")[2]


def _label(arguments: Mapping[str, object], number: int) -> str:
    """What the run is called in the Experiment, whose parameters are texts."""
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{number}: {text}"[:200] if text else "none"


def _with_arguments(
    function: Callable[..., object], by_label: Mapping[str, Mapping[str, Any]]
) -> Callable[..., object]:
    def run(arguments: str) -> object:
        return function(**by_label[arguments])

    run.__name__ = run.__qualname__ = name_of(function)
    return run
