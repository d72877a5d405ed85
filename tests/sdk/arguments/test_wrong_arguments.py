"""Each argument with values of each wrong type: a finding with a path, and never an error of Python's or pydantic's own."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparksweep import Client, Experiment, experiment, search
from sparksweep._builder import OPTIONS
from sparksweep.errors import FieldError, InvalidCall, InvalidExperiment, UnknownArgument
from sparksweep_core.validation.document import parse_experiment

SPACE = {"lr": search.uniform(0.1, 0.2)}


def training(lr: float) -> float:
    return lr


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Color(enum.Enum):
    RED = "red"


class Unfitted:
    """An object whose attributes exist only later."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"no {name} before fit()")


class Shapeless:
    @property
    def shape(self) -> object:
        return 1 / 0


ITSELF: list[Any] = []
ITSELF.append(ITSELF)

ODD_VALUES: dict[str, Any] = {
    "object": object(), "unprintable": Unprintable(), "class": int, "function": training, "module": inspect,
    "bytes": b"ab", "nothing": "", "blank": " ", "text": "lots", "half": "\ud800", "null": "a\0b", "long": "x" * 100_000,
    "nan": float("nan"), "infinity": float("inf"), "huge": 10**400, "negative": -1, "fraction": 0.5, "bool": True,
    "complex": 1j, "decimal": Decimal("NaN"), "ratio": Fraction(1, 3), "list": ["a", 1], "nested": [[1], {"a": [None]}],
    "empty": [], "itself": ITSELF, "set": {1, "a"}, "tuple": (None,), "generator": (i for i in range(2)), "range": range(3),
    "dict": {"a": 1}, "keys": {1: "a"}, "none inside": {"a": None}, "empty dict": {}, "array": np.ones((2, 2)),
    "zero-d": np.array(1.5), "np.nan": np.float32("nan"), "series": pd.Series([1]), "frame": pd.DataFrame({"a": [1]}),
    "enum": Color.RED, "path": Path("a"), "domain": search.choice(1, 2), "alias": list[int], "date": pd.Timestamp(0),
    "error": ValueError("x"), "slice": slice(1), "endless": iter(int, 1),
}  # fmt: skip
"""Values of types that a notebook has at hand. Some are right for some arguments."""

ARGUMENTS = list(inspect.signature(Experiment).parameters)


def made_or_refused(
    arguments: dict[str, Any],
) -> tuple[Experiment | None, Sequence[FieldError]]:
    try:
        return Experiment(**arguments), ()
    except InvalidExperiment as error:
        return None, error.errors


@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_any_value_of_any_argument_is_taken_or_refused_in_words(argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {"run": "train:training", "parameters": SPACE, argument: value}
    made, errors = made_or_refused(arguments)
    assert all(item.path and item.message and "\n" not in item.message for item in errors)
    assert sum(len(str(item)) for item in errors) < 5000
    # What is taken is a document that the API server takes, too.
    assert made is None or parse_experiment(made.to_dict()).spec == made.spec


@pytest.mark.parametrize(
    "value",
    [None, 3, "x", [], object(), np.ones(2)],
    ids=["none", "number", "text", "empty list", "object", "array"],
)
@pytest.mark.parametrize(
    "name", ["grid_search", "random_search", "differential_evolution", "evolutionary_search"]
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_hops_calls_refuse_in_words(name: str, position: int, value: Any) -> None:
    arguments = [training, {"lr": [0.1, 0.2]}, "max"]
    arguments[position] = value
    with pytest.raises(InvalidExperiment):
        getattr(experiment, name)(*arguments)


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        ({"metrics": "auc"}, "metrics", "'auc' is not a list of text: write ['auc']"),
        ({"preload": "json"}, "preload", "'json' is not a list of text: write ['json']"),
        ({"parameters": None}, "parameters", "None is not a dictionary"),
        ({"parameters": {"lr x": [1]}}, "parameters['lr x']", "is not a parameter's name"),
        ({"parameters": {"lr": range(2000)}}, "parameters['lr'].values", "has 2,000 values, at most 1,000"),
        ({"parameters": {"lr": [(1, [search.uniform(0, 1)])]}}, "parameters['lr'].values[0]", "has a domain inside"),
        ({"parameters": {"lr": [{"kind": "svm", "C": search.uniform(0, 1)}]}}, "parameters['lr'].values[0]",
         "has a domain inside"),
        ({"parameters": {"lr": [SimpleNamespace(C=search.uniform(0, 1))]}}, "parameters['lr'].values[0]", "has a domain inside"),
        ({"env": {"A": "a\0b"}}, "spec.trialTemplate.env[0].value", "has a null character"),
        ({"max_trials": np.timedelta64(2, "s")}, "max_trials", "is not a whole number"),
        ({"goal": np.timedelta64(2, "s")}, "goal", "is not a finite number"),
        ({"cpu": np.timedelta64(2, "s")}, "cpu", "is not an amount"),
        ({"max_trials": Decimal("2.5")}, "max_trials", "Decimal('2.5') is not a whole number"),
        ({"max_trials": Decimal("inf")}, "max_trials", "Decimal('Infinity') is not a whole number"),
        ({"env": ["A"]}, "env", "['A'] is not a dictionary: write {\"NAME\": \"value\"}"),
        ({"env": {"A": 1}}, "env['A']", '1 is a number: write "1"'),
        ({"env": {"A": None}}, "env['A']", "None is not text"),
        ({"run": 3}, "run", '3 is neither a function, nor "module:function", nor a list'),
        ({"run": None}, "run", "None is neither a function"),
        ({"run": "python train.py --lr 1"}, "run", 'is a command in one text: give a list of its words, ["python", "train.py", ...]'),
        ({"run": int}, "function", "int is a class"),
        ({"run": [None]}, "run[0]", "None is not text"),
        ({"max_trials": 2.5}, "max_trials", "2.5 is not a whole number"),
        ({"max_trials": True}, "max_trials", "True is not a whole number"),
        ({"max_trials": "2"}, "max_trials", "'2' is not a whole number"),
        ({"max_trials": 10**400}, "spec.maxTrialCount", "1000"),
        ({"max_trials": float("nan")}, "max_trials", "nan is not a whole number"),
        ({"goal": float("inf")}, "goal", "inf is not a finite number"),
        ({"goal": True}, "goal", "True is not a finite number"),
        ({"goal": 0.9, "objective": None}, "goal", "0.9 has no effect without an objective"),
        ({"metrics": ["a"], "objective": None}, "metrics", "has no effect without an objective"),
        ({"memory": "lots"}, "spec.trialTemplate.resources.memory", '"lots" is not an amount of memory'),
        ({"memory": 4}, "memory", '4 is a number: write "4"'),
        ({"cpu": [2]}, "cpu", '[2] is not an amount, such as 2 or "500m"'),
        ({"direction": "up"}, "direction", "'up' is neither 'max' nor 'min'"),
        ({"direction": None}, "direction", "None is neither 'max' nor 'min'"),
        ({"objective": ""}, "spec.objective.objectiveMetricName", "is empty"),
        ({"name": ""}, "metadata.name", "is empty"),
        ({"settings": {"population": [1]}}, "settings['population']", "[1] is neither a number nor text"),
        ({"settings": ["population"]}, "settings", "is not a dictionary"),
        ({"template": {"maxRetries": 2}, "max_retries": 3}, "template['maxRetries']", "is given by max_retries= too: keep one"),
        ({"template": {"env": []}, "env": {"A": "1"}}, "template['env']", "is given by env= too: keep one"),
        ({"template": {"function": "m:f"}}, "template['function']", "is given by run= too: keep one"),
        ({"settings": {"seed": 1}, "seed": 2}, "seed", "2 is given as settings['seed'] too: keep one"),
        ({"settings": {"random_state": 1}, "seed": 2, "algorithm": "random", "max_trials": 3}, "seed",
         "2 is given as settings['random_state'] too: keep one"),
        ({"seed": -1}, "spec.algorithm.algorithmSettings[0].value", "is not an integer from 0"),
        ({"seed": "a"}, "seed", "'a' is not a whole number"),
        ({"storage": {"size": "1Gi"}}, "spec.storage.size", "did you mean sizeLimit?"),
        ({"tensorboard": "yes"}, "tensorboard", "'yes' is neither True nor False"),
        ({"tolerations": {"operator": "Exists"}}, "tolerations", "is not a list of mappings"),
        ({"template": {"volumes": [object()]}}, "template['volumes'][0]", "can't be written in YAML"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named_with_its_value(
    arguments: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(InvalidExperiment) as caught:
        Experiment(**{"run": "train:training", "parameters": SPACE, **arguments})
    errors = {item.path: item.message for item in caught.value.errors}
    assert path in errors, errors
    assert message in errors[path]


def test_every_wrong_argument_is_found_at_once() -> None:
    with pytest.raises(InvalidExperiment) as caught:
        Experiment(
            3,  # type: ignore[arg-type]
            {"a b": [1], "lr": 5},
            max_trials="2",  # type: ignore[arg-type]
            env={"A": 1},  # type: ignore[dict-item]
            direction="up",
        )
    assert {item.path for item in caught.value.errors} == {
        "run", "parameters['a b']", "parameters['lr']", "max_trials", "env['A']", "direction",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keyword", "nearest"),
    [
        ("max_trial", "max_trials"), ("maxtrials", "max_trials"), ("MaxTrials", "max_trials"), ("n_trials", "max_trials"),
        ("num_samples", "max_trials"), ("num_trials", "max_trials"), ("max_trial_count", "max_trials"),
        ("maxTrialCount", "max_trials"), ("max_evals", "max_trials"), ("timeout", "timeout_seconds"),
        ("timeout_second", "timeout_seconds"), ("gpu", "gpus"), ("num_gpus", "gpus"), ("n_jobs", "parallel"),
        ("parallel_trial_count", "parallel"), ("max_concurrent_trials", "parallel"), ("paralel", "parallel"),
        ("objective_metric_name", "objective"), ("metric", "objective"), ("optimization_key", "objective"),
        ("additional_metric_names", "metrics"), ("algorithm_name", "algorithm"), ("sampler", "algorithm"),
        ("algorithm_settings", "settings"), ("random_state", "seed"), ("mode", "direction"),
        ("objective_type", "direction"), ("base_image", "image"), ("env_per_trial", "env"), ("retries", "max_retries"),
        ("maxRetries", "max_retries"), ("backoff_limit", "max_retries"), ("max_failed_trial_count", "max_failed_trials"),
        ("time_budget_s", "deadline_seconds"), ("nodeSelector", "node_selector"), ("study_name", "name"),
        ("ttlSecondsAfterFinished", "ttl_seconds"), ("trial_template", "template"), ("memory_limit", "memory"),
        ("num_cpus", "cpu"), ("goals", "goal"),
    ],
)  # fmt: skip
def test_an_unknown_keyword_is_refused_with_the_nearest_name(keyword: str, nearest: str) -> None:
    make: Callable[..., object] = Experiment
    with pytest.raises(UnknownArgument, match=rf"did you mean {nearest}\b") as caught:
        make(training, SPACE, **{keyword: 1})
    assert isinstance(caught.value, TypeError)
    assert caught.value.errors[0].path == keyword


@pytest.mark.parametrize(
    ("keyword", "advice"),
    [
        ("packages_to_install", "install them there"), ("pruner", "no trial is ended early"),
        ("scheduler", "no trial is ended early"), ("resources_per_trial", "cpu=2"), ("callbacks", r"wait\(\)"),
        ("zzz", "there are run, parameters"),
    ],
)  # fmt: skip
def test_a_keyword_without_a_like_is_refused_with_advice(keyword: str, advice: str) -> None:
    make: Callable[..., object] = Experiment
    with pytest.raises(UnknownArgument, match=advice):
        make(training, SPACE, **{keyword: 1})


def calls() -> dict[str, tuple[Callable[..., object], str]]:
    """Return by name a call of each function, and the name nearest to its wrong keyword."""
    made: Any = Experiment(training, SPACE)
    client: Any = Client.__new__(Client)
    hops: Any = experiment
    spaces: Any = search
    return {
        "submit": (lambda: made.submit(dir="x"), "directory"),
        "wait": (lambda: made.wait(verbose=0), "progress"),
        "cancel": (lambda: made.cancel(now=True), "and no other"),
        "from_yaml": (lambda: made.from_yaml(sourc="a"), "source"),
        "get": (lambda: made.get("a", ns="b"), "namespace"),
        "client": (lambda: Client(ns="a"), "namespace"),  # type: ignore[call-arg]
        "client.change": (lambda: client.change("a", paralel=2), "parallel"),
        "client.change in Katib's words": (lambda: client.change("a", n_jobs=2), "parallel"),
        "client.change of the document": (lambda: client.change("a", maxTrialCounts=2), "maxTrialCount"),
        "client.delete": (lambda: client.delete(nam="a"), "name"),
        "grid_search": (lambda: hops.grid_search(training, {"lr": [1]}, n_jobs=2), "parallel"),
        "random_search": (lambda: hops.random_search(training, {"lr": [0, 1.5]}, n_iter=2), "samples"),
        "evolution": (lambda: hops.differential_evolution(training, {"lr": [0, 1.5]}, maxiter=2), "generations"),
        "launch": (lambda: hops.launch(training, {"lr": [0]}, max_trial=2), "max_trials"),
        "uniform": (lambda: spaces.uniform(0, 1, q=0.1), "step"),
        "log": (lambda: spaces.uniform(1, 2, log=True), "log_uniform"),
        "low": (lambda: spaces.uniform(min=1, max=2), "low"),
        "choice": (lambda: spaces.choice(values=[1]), "by position"),
    }  # fmt: skip


@pytest.mark.parametrize("name", calls())
def test_each_function_refuses_an_unknown_keyword(name: str) -> None:
    call, nearest = calls()[name]
    with pytest.raises(UnknownArgument, match=nearest):
        call()


@pytest.mark.parametrize(
    ("arguments", "keywords", "path", "message"),
    [
        ((), {}, "run", "is missing: Experiment needs it"),
        ((training,), {}, "parameters", "is missing: Experiment needs it"),
        ((training, SPACE, "random"), {}, "arguments", "takes 2 by position, not 3; give the others by name"),
        ((training, SPACE), {"run": training}, "run", "twice"),
    ],
)  # fmt: skip
def test_a_call_that_does_not_fit_is_refused(
    arguments: tuple[object, ...], keywords: dict[str, object], path: str, message: str
) -> None:
    make: Callable[..., object] = Experiment
    with pytest.raises(InvalidCall) as caught:
        make(*arguments, **keywords)
    assert (caught.value.errors[0].path, message in caught.value.errors[0].message) == (path, True)


@pytest.mark.parametrize(
    "name",
    ["grid_search", "random_search", "differential_evolution", "evolutionary_search", "launch"],
)
def test_the_signature_of_a_hops_call_has_every_option(name: str) -> None:
    parameters = inspect.signature(getattr(experiment, name)).parameters
    assert set(OPTIONS) <= set(parameters)
    assert {"backend", "namespace", "directory", "progress"} <= set(parameters)
    assert not any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def test_a_function_that_returns_nothing_needs_no_objective() -> None:
    def silent(lr: float) -> None:
        str(lr)

    with pytest.raises(
        InvalidExperiment, match=r"silent returns nothing.*objective=None"
    ) as caught:
        Experiment(silent, SPACE)
    assert caught.value.errors[0].path == "run"
    assert Experiment(silent, {"lr": [1]}, objective=None).spec.objective is None


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("max_trials", np.int64(5), 5), ("max_trials", np.array(5), 5), ("max_trials", 5.0, 5),
        ("max_trials", np.float32(5), 5), ("max_trials", Decimal(5), 5), ("seed", Fraction(14, 2), "7"), ("goal", np.float32(0.5), 0.5), ("goal", Decimal("0.5"), 0.5),
        ("goal", Fraction(1, 2), 0.5), ("goal", np.array(0.5), 0.5), ("goal", 3, 3.0),
        ("objective", np.str_("acc"), "acc"), ("env", {np.str_("A"): np.str_("b")}, [{"name": "A", "value": "b"}]),
        ("preload", ("json", "csv"), ["json", "csv"]), ("preload", pd.Index(["json"]), ["json"]),
        ("preload", np.array(["json", "csv"]), ["json", "csv"]), ("metrics", (m for m in ["a", "b"]), ["a", "b"]),
        ("metrics", {"b", "a"}, ["a", "b"]), ("cpu", np.int64(2), "2"), ("cpu", 0.5, "0.5"), ("cpu", 2.0, "2"),
        ("gpus", np.uint8(1), 1), ("direction", np.str_("MIN"), "minimize"), ("tensorboard", np.bool_(False), False),
        ("seed", np.uint64(7), "7"), ("settings", {"population": np.int32(5)}, "5"),
        ("settings", {"mutation": np.float64(0.25)}, "0.25"),
    ],
)  # fmt: skip
def test_scalars_and_lists_of_numpy_and_pandas_are_taken(
    argument: str, value: Any, expected: object
) -> None:
    made = Experiment(**{"run": "train:training", "parameters": SPACE, argument: value}).to_dict()
    spec = made["spec"]
    template = spec["trialTemplate"]
    written = {
        "max_trials": spec.get("maxTrialCount"),
        "goal": spec["objective"].get("goal"),
        "objective": spec["objective"]["objectiveMetricName"],
        "metrics": spec["objective"]["additionalMetricNames"],
        "direction": spec["objective"]["type"],
        "env": template.get("env"),
        "preload": template.get("preload"),
        "cpu": template["resources"]["cpu"],
        "gpus": template["resources"]["gpu"]["count"],
        "tensorboard": spec["tensorboard"]["enabled"],
        "seed": [item["value"] for item in spec["algorithm"]["algorithmSettings"]][:1],
        "settings": [item["value"] for item in spec["algorithm"]["algorithmSettings"]][:1],
    }
    found = written[argument]
    assert found == ([expected] if argument in ("seed", "settings") else expected)


@pytest.mark.parametrize(
    "name",
    ["gr\u00f6\u00dfe", "\u5b66\u7fd2\u7387", "\u03b1", "_", "\u0434\u043b\u0438\u043d\u0430"],
)
def test_a_parameter_may_have_a_name_in_any_alphabet(name: str) -> None:
    made = Experiment("train:training", {name: [1, 2]})
    assert [item.name for item in made.spec.parameters] == [name]
    assert Experiment.from_yaml(made.to_yaml()).spec == made.spec


@pytest.mark.parametrize("value", [Unfitted(), Shapeless(), Unprintable()], ids=type)
def test_a_value_may_be_an_object_whose_attributes_fail(value: object) -> None:
    assert Experiment(training, {"lr": [value, 1]}).spec.parameters[0].name == "lr"


def test_a_name_is_written_as_python_writes_it() -> None:
    made = Experiment("train:training", {"gro\u0308\u00dfe": [1]})
    assert made.spec.parameters[0].name == "gr\u00f6\u00dfe"
    with pytest.raises(InvalidExperiment, match="one name to Python"):
        Experiment("train:training", {"gro\u0308\u00dfe": [1], "gr\u00f6\u00dfe": [1]})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "1a",
        "-a",
        ".a",
        "a\u00d7b",
        "a/b",
        "a\n",
        "a\0",
        "a" * 65,
        "$a",
        "\u2603",
        "a\u200b",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidExperiment, match="is not a parameter's name"):
        Experiment("train:training", {name: [1]})
