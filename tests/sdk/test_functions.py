"""Checks of a function before any trial runs: what it takes, and whether it returns anything."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparksweep import Experiment
from sparksweep._functions import check_function, has_source, name_of, returns_nothing, with_values
from sparksweep.errors import InvalidExperiment
from sparksweep_trainer.trial.arguments import bind

LOSSES: list[float] = []


def training(lr: float, units: int) -> float:
    return lr * units


def test_whether_a_function_returns_anything_is_read_from_its_code() -> None:
    def bare(x: int) -> None:
        if x:
            return
        str(x)

    def sometimes(x: int) -> float | None:
        if x:
            return 0.5
        return None

    assert returns_nothing(bare)
    assert not returns_nothing(sometimes)
    assert not returns_nothing(training)
    assert not returns_nothing(max)


def test_only_returns_of_the_function_itself_count() -> None:
    def makes_others(x: int) -> None:
        def inner() -> int:
            return x

        class Inner:
            def method(self) -> int:
                return x

        str([inner(), Inner().method(), (lambda: x)()])

    def generates(x: int) -> Iterator[int]:
        yield x

    text = """
not indented"""

    assert text
    assert returns_nothing(makes_others)
    assert returns_nothing(functools.partial(makes_others, 1))
    assert not returns_nothing(functools.partial(training, 1))
    assert not returns_nothing(generates)


def made_by_exec(text: str, file: str = "<made by a test>") -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, file, "exec", dont_inherit=True), namespace)
    return namespace["f"]


def test_without_its_source_only_an_annotation_says_that_a_function_returns_nothing() -> None:
    assert not returns_nothing(made_by_exec("def f(x):\n    print(x)\n"))
    assert returns_nothing(made_by_exec("def f(x) -> None:\n    print(x)\n"))
    assert returns_nothing(made_by_exec("def f(x) -> 'None':\n    print(x)\n"))
    assert not returns_nothing(made_by_exec("def f(x) -> float:\n    return x\n"))


def test_a_lambda_is_taken_to_return_its_expression() -> None:
    assert not returns_nothing(lambda x: x)
    assert not returns_nothing(lambda x: None)


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",
        "\ndef f(x):\n    print(x)\n",
        "def f(y):\n    print(y)\n",
        "def g(x):\n    print(x)\n",
        "def f(x:\n",
        "f = 1\n",
        "",
    ],
)
def test_a_file_that_no_longer_holds_the_function_is_not_believed(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    assert not returns_nothing(made_by_exec("def f(x):\n    print(x)\n", str(file)))
    file.write_text("def f(x):\n    print(x)\n")
    linecache.checkcache(str(file))
    assert returns_nothing(made_by_exec("def f(x):\n    print(x)\n", str(file)))


# ---------------------------------------------------------------------- decorators


def computes(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        function(*args, **kwargs)
        return sum(LOSSES)

    return wrapper


def times(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        str(result)
        return result

    return wrapper


def passes(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            LOSSES.clear()

    return wrapper


def drops(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return wrapper


def mends(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if result is None:
            result = 0.5
        return result

    return wrapper


def fits(x: int) -> None:
    LOSSES.append(x)


def scores(x: int) -> float:
    return x


class Calls:
    def __call__(self, x: int) -> None:
        LOSSES.append(x)

    def fits(self, x: int) -> None:
        LOSSES.append(x)

    @classmethod
    def scores(cls, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("function", "nothing"),
    [
        (computes(fits), False),
        (times(fits), True),
        (times(scores), False),
        (passes(fits), True),
        (passes(scores), False),
        (passes(times(fits)), True),
        (passes(computes(fits)), False),
        (drops(scores), True),
        (mends(fits), False),
        (functools.partial(times(fits), x=1), True),
        (functools.lru_cache(fits), True),
        (functools.lru_cache(scores), False),
        (Calls(), True),
        (Calls().fits, True),
        (Calls.scores, False),
    ],
)
def test_a_decorators_value_counts_and_not_that_of_the_function_in_it(
    function: Callable[..., Any], nothing: bool
) -> None:
    assert returns_nothing(function) is nothing


def test_the_annotations_of_a_wrapped_function_say_nothing_about_its_decorator() -> None:
    made = made_by_exec(
        "import functools\n"
        "def g(x) -> None:\n    print(x)\n"
        "@functools.wraps(g)\n"
        "def f(x):\n    g(x)\n    return 0.5\n"
    )
    assert not returns_nothing(made)
    assert not has_source(made)
    assert has_source(training)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda opt, **kw: (opt, kw), ["opt", "other"]),
        (lambda opt, kw=None, **rest: (opt, kw, rest), ["opt", "kw", "other"]),
        (lambda opt, /, other: (opt, other), ["opt", "other"]),
        (lambda first=1, opt=2, /, *rest, other: (first, opt, rest, other), ["opt", "other"]),
        (lambda *args, opt, **args_: (args, opt, args_), ["opt", "args"]),
        (functools.partial(lambda a, opt, other: (a, opt, other), 1), ["opt", "other"]),
        (functools.partial(lambda opt, other, b: (opt, other, b), b=3), ["opt", "other"]),
        (dict, ["opt", "other"]),
    ],
)
def test_choices_of_any_object_reach_any_form_of_argument(
    function: Callable[..., Any], names: list[str]
) -> None:
    chosen: dict[str, dict[str, object]] = {
        name: {f"text {index}": {"value": index, name: 1}} for index, name in enumerate(names)
    }
    texts: dict[str, Any] = {name: next(iter(by_text)) for name, by_text in chosen.items()}
    args, kwargs = bind("training", with_values(function, chosen), texts)
    expected = {name: next(iter(by_text.values())) for name, by_text in chosen.items()}
    expected_args, expected_kwargs = bind("training", function, expected)  # type: ignore[arg-type]
    assert with_values(function, chosen)(*args, **kwargs) == function(
        *expected_args, **expected_kwargs
    )


def test_a_parameter_may_be_named_after_a_keyword_if_the_function_takes_any_name() -> None:
    def takes_all(**parameters: Any) -> Any:
        return parameters["lambda"]

    document = Experiment(takes_all, {"lambda": [1, 2], "learning-rate": [1]}).to_dict()
    assert [item["name"] for item in document["spec"]["parameters"]] == ["lambda", "learning-rate"]
    with pytest.raises(InvalidExperiment, match="takes no argument 'lambda'"):
        Experiment(scores, {"lambda": [1, 2]})


def entraîner(lr: float) -> float:
    return lr


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (entraîner, "entraîner"),
        (functools.partial(functools.partial(training, units=1)), "training"),
        (Calls(), "Calls"),
        (Calls().fits, "fits"),
        (lambda lr: lr, "<lambda>"),
    ],
)
def test_a_function_of_any_name_is_taken(function: Callable[..., Any], name: str) -> None:
    assert name_of(function) == name
    parameter = "x" if isinstance(getattr(function, "__self__", function), Calls) else "lr"
    experiment = Experiment(function, {parameter: [1, 2]}, objective=None)
    assert experiment.spec.trial_template.function is not None
    assert experiment.name.isascii()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (Calls, "is a class"),
        (made_by_exec("def f(x):\n    yield x\n"), "is a generator function"),
        (made_by_exec("async def f(x):\n    return x\n"), "is a coroutine function"),
        (made_by_exec("async def f(x):\n    yield x\n"), "is a generator function"),
        (functools.partial(made_by_exec("async def f(x):\n    return x\n")), "is a coroutine function"),
        (scores, "takes no argument 'y'"),
    ],
)  # fmt: skip
def test_a_function_that_no_trial_can_call_is_refused(
    function: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(InvalidExperiment, match=reason):
        check_function(function, ["x", "y"])
