"""Parameter values reach a function as its arguments: by name, typed, and refused when they can't."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.trial.arguments import ArgumentsError, Value, bind, decode, refusal


def call(function: Callable[..., Any], **values: Value) -> Any:
    """Call a function as a trial does."""
    args, kwargs = bind("training", function, values)
    return function(*args, **kwargs)


def refused(function: Callable[..., Any], **values: Value) -> str:
    with pytest.raises(ArgumentsError) as caught:
        bind("training", function, values)
    return str(caught.value)


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("double", "1", 1.0),
        ("double", "1e-3", 0.001),
        ("int", "7", 7),
        ("int", "-3", -3),
        ("int", "1e3", 1000),
        ("int", "12345678901234567890123", 12345678901234567890123),
        ("discrete", "16", 16),
        ("discrete", "0.5", 0.5),
        ("discrete", "1e2", 100.0),
        ("categorical", "16", "16"),
        ("categorical", "adam", "adam"),
    ],
)
def test_a_value_has_its_parameters_type(kind: str, text: str, value: Value) -> None:
    decoded = decode(kind, text)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"), [("int", "1.5"), ("int", "many"), ("double", "much"), ("discrete", "adam")]
)
def test_a_text_that_is_no_value_of_the_type_is_an_error(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decode(kind, text)


@given(st.integers())
def test_integers_of_any_size_stay_exact(number: int) -> None:
    assert decode("int", str(number)) == number
    assert decode("discrete", str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_stay_exact(number: float) -> None:
    assert decode("double", repr(number)) == number


# ---------------------------------------------------------------------- binding


def test_arguments_go_by_name_whatever_the_order() -> None:
    def training(learning_rate: float, dropout: float) -> Any:
        return learning_rate, dropout

    assert call(training, dropout=0.5, learning_rate=0.1) == (0.1, 0.5)


def test_defaults_are_honoured() -> None:
    def training(learning_rate: float, epochs: int = 3, *, seed: int = 7) -> Any:
        return learning_rate, epochs, seed

    assert call(training, learning_rate=0.1) == (0.1, 3, 7)
    assert call(training, learning_rate=0.1, seed=8) == (0.1, 3, 8)


def test_kwargs_take_what_no_argument_names_and_args_get_nothing() -> None:
    def training(x: float, *args: Any, **rest: Any) -> Any:
        return x, args, rest

    assert call(training, x=1, y=2, z="3") == (1, (), {"y": 2, "z": "3"})


def test_positional_only_arguments_get_their_values_too() -> None:
    def training(x: float, y: float = 5, z: float = 6, /, w: float = 7) -> Any:
        return x, y, z, w

    assert call(training, x=1) == (1, 5, 6, 7)
    assert call(training, x=1, z=3, w=4) == (1, 5, 3, 4)


def test_a_partial_function_and_a_callable_object_are_called_as_they_are() -> None:
    def training(x: float, scale: float) -> float:
        return x * scale

    class Training:
        def __call__(self, x: float) -> float:
            return -x

    assert call(functools.partial(training, scale=3), x=2) == 6
    assert call(Training(), x=2) == -2


def test_an_unknown_parameter_is_refused_with_what_the_function_takes() -> None:
    def training(learning_rate: float, layers: int = 1) -> None: ...

    message = refused(training, learning_rte=0.1)
    assert "takes no argument 'learning_rte'" in message
    assert "it takes learning_rate, layers" in message
    assert "did you mean 'learning_rate'?" in message


def test_an_argument_that_has_its_parameter_is_no_suggestion() -> None:
    def training(rate: float) -> None: ...

    assert "did you mean" not in refused(training, rate=0.1, rates=0.2)


def test_a_missing_argument_is_refused_with_the_parameters_there_are() -> None:
    def training(learning_rate: float, layers: int) -> None: ...

    message = refused(training, learning_rate=0.1)
    assert "needs the argument 'layers'" in message
    assert "its parameters are learning_rate" in message


def test_a_function_without_arguments_takes_no_parameter() -> None:
    assert "it takes none" in refused(lambda: 0.5, x=1)
    assert call(lambda: 0.5) == 0.5


_NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
_POSITIONAL_ONLY, _ORDINARY, _KEYWORD_ONLY = range(3)


@given(
    arguments=st.dictionaries(_NAMES, st.tuples(st.integers(0, 2), st.booleans()), max_size=5),
    rest=st.booleans(),
    values=st.dictionaries(_NAMES, st.integers(0, 9), max_size=5),
)
def test_a_function_that_is_not_refused_gets_every_value_by_its_name(
    arguments: dict[str, tuple[int, bool]], rest: bool, values: dict[str, int]
) -> None:
    # Python wants defaults last, positional-only first, keyword-only at the end.
    ordered = sorted(arguments.items(), key=lambda item: (item[1][0] == _KEYWORD_ONLY, item[1][1]))
    kinds = [kind for _, (kind, _) in ordered]
    last = max((i for i, kind in enumerate(kinds) if kind == _POSITIONAL_ONLY), default=-1)
    words: list[str] = []
    starred = False
    for index, (name, (kind, has_default)) in enumerate(ordered):
        if kind == _KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        words.append(f"{name}='default'" if has_default else name)
        if index == last and not starred:
            words.append("/")
    signature = ", ".join([*words, *(["**rest"] if rest else [])])
    namespace: dict[str, Any] = {}
    exec(f"def training({signature}): return locals()", namespace)
    takes_all = rest or values.keys() <= arguments.keys()
    has_all = all(default or name in values for name, (_, default) in arguments.items())
    try:
        received = call(namespace["training"], **values)
    except ArgumentsError:
        assert not (takes_all and has_all)
        return
    assert takes_all
    assert has_all
    received |= received.pop("rest", {})
    assert received == dict.fromkeys(arguments, "default") | values


# ---------------------------------------------------------------------- what can be called


class _Model:
    async def __call__(self, x: float) -> float:
        return x

    def method(self, x: float) -> float:
        return x


async def _coroutine(x: float) -> float:
    return x


def _generator(x: float) -> Any:
    yield x


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (_Model, "is a class"),
        (0.5, "of type float"),
        (_coroutine, "is a coroutine function"),
        (functools.partial(_coroutine, x=1), "is a coroutine function"),
        (_Model(), "is a coroutine function"),
        (_generator, "is a generator function"),
    ],
)
def test_what_can_not_return_a_metric_is_refused(thing: object, reason: str) -> None:
    assert reason in (refusal(thing) or "accepted")


@pytest.mark.parametrize(
    "thing", [refusal, _Model().method, functools.partial(refusal, 1), max, lambda x: x]
)
def test_functions_of_every_kind_are_accepted(thing: object) -> None:
    assert refusal(thing) is None
