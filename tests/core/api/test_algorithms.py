"""Settings of the algorithms: their defaults, and their values at the bounds."""

from __future__ import annotations

import pytest

from sparksweep.errors import InvalidExperiment
from sparksweep_core.api import Algorithm, AlgorithmName, AlgorithmSetting
from sparksweep_core.api.algorithm_settings import SETTINGS, check_settings, settings_of
from sparksweep_core.api.evolution_settings import evolution_settings


def algorithm(name: AlgorithmName, **settings: str) -> Algorithm:
    return Algorithm(
        algorithm_name=name,
        algorithm_settings=[
            AlgorithmSetting(name=key, value=text) for key, text in settings.items()
        ],
    )


def test_settings_that_are_not_given_have_defaults() -> None:
    assert settings_of(algorithm(AlgorithmName.GRID)) == {}
    assert settings_of(algorithm(AlgorithmName.RANDOM)) == {"seed": 0}
    assert settings_of(algorithm(AlgorithmName.DIFFERENTIAL_EVOLUTION)) == {
        "mutation": 0.5,
        "crossover": 0.7,
        "mode": "asynchronous",
        "seed": 0,
    }


def test_katibs_random_state_is_the_seed() -> None:
    assert settings_of(algorithm(AlgorithmName.RANDOM, random_state="42")) == {"seed": 42}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("popsize", "population"),
        ("population_size", "population"),
        ("maxiter", "generations"),
        ("F", "mutation"),
        ("CR", "crossover"),
        ("recombination", "crossover"),
        ("random_seed", "seed"),
        ("populaton", "population"),
    ],
)
def test_a_setting_of_another_library_is_answered_with_the_one_that_is_meant(
    name: str, meant: str
) -> None:
    with pytest.raises(InvalidExperiment, match=f"did you mean {meant}\\? There are population"):
        settings_of(algorithm(AlgorithmName.DIFFERENTIAL_EVOLUTION, **{name: "4"}))


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_are_values_that_could_be_given(name: AlgorithmName) -> None:
    given = {
        key: str(setting.default)
        for key, setting in SETTINGS[name].items()
        if setting.default is not None
    }
    assert settings_of(algorithm(name, **given)) == settings_of(algorithm(name))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("population", "4", 4),
        ("population", "10000", 10000),
        ("population", "+12", 12),
        ("generations", "1", 1),
        ("mutation", "2", 2.0),
        ("mutation", "1e-9", 1e-9),
        ("crossover", "0", 0.0),
        ("crossover", "1.0", 1.0),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("strategy", "rand1bin", "rand1bin"),
        ("strategy", "adaptive", "adaptive"),
        ("strategy", "screened", "screened"),
        ("mode", "generational", "generational"),
    ],
)
def test_a_value_at_the_bound_is_taken(name: str, text: str, value: float | str) -> None:
    taken = settings_of(algorithm(AlgorithmName.DIFFERENTIAL_EVOLUTION, **{name: text}))[name]
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("population", "3"),
        ("population", "10001"),
        ("population", "1_0"),
        ("population", "1e1"),
        ("population", ""),
        ("generations", "-1"),
        ("mutation", "2.0001"),
        ("mutation", "inf"),
        ("mutation", " 1"),
        ("crossover", "-0.1"),
        ("crossover", "0.1.0"),
        ("seed", "9223372036854775808"),
        ("seed", "9" * 256),
        ("strategy", "rand2bin"),
        ("strategy", ""),
        ("mode", "Generational"),
    ],
)
def test_a_value_beyond_the_bound_is_refused(name: str, text: str) -> None:
    refused = algorithm(AlgorithmName.DIFFERENTIAL_EVOLUTION, **{name: text})
    (error,) = check_settings(refused)
    assert error.path == "spec.algorithm.algorithmSettings[0].value"
    with pytest.raises(InvalidExperiment, match="is not "):
        settings_of(refused)


@pytest.mark.parametrize(
    ("given", "most", "population", "trials", "strategy"),
    [
        ({}, None, None, 100, "screened"),
        ({}, 40, None, None, "screened"),
        ({"population": "6"}, 40, 6, None, "screened"),
        ({"population": "6"}, None, 6, 60, "screened"),
        ({"generations": "3"}, 40, 10, 30, "screened"),
        ({"population": "6", "generations": "3"}, 400, 6, 18, "screened"),
        ({"strategy": "rand1bin"}, None, None, 100, "rand1bin"),
        ({"mode": "generational"}, 40, 10, 100, "rand1bin"),
        ({"mode": "generational", "population": "6"}, None, 6, 60, "rand1bin"),
        ({"mode": "generational", "strategy": "adaptive"}, None, 10, 100, "adaptive"),
    ],
)
def test_what_is_absent_depends_on_what_is_given(
    given: dict[str, str],
    most: int | None,
    population: int | None,
    trials: int | None,
    strategy: str,
) -> None:
    chosen = evolution_settings(algorithm(AlgorithmName.DIFFERENTIAL_EVOLUTION, **given), most)
    assert (chosen.population, chosen.trials, chosen.strategy) == (population, trials, strategy)
