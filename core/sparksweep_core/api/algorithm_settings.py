"""Settings of each algorithm, with their bounds and defaults. Read by the checks and by the algorithms."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sparksweep_core.api.search_spec import (
    NUMBER_PATTERN,
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
)
from sparksweep_core.errors import FieldError, InvalidExperiment

SETTINGS_PATH = "spec.algorithm.algorithmSettings"

MAX_SEED = 2**63 - 1
MAX_POPULATION = 10_000
MAX_GENERATIONS = 100_000

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(NUMBER_PATTERN)


Value = int | float | str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its default, its range in words, and a function that parses its text."""

    default: Value | None
    """None: it has no value unless one is given."""
    range: str
    parse: Callable[[str], Value | None]
    """Returns None for text that is not a value of the setting."""
    alias: str | None = None


def _integer(low: int, high: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        value = int(text) if _INTEGER.fullmatch(text) else None
        return value if value is not None and low <= value <= high else None

    return parse


def _number(accepts: Callable[[float], bool]) -> Callable[[str], float | None]:
    def parse(text: str) -> float | None:
        if not _DECIMAL.fullmatch(text):
            return None
        value = float(text)
        return value if math.isfinite(value) and accepts(value) else None

    return parse


def _one_of(kind: type[StrEnum]) -> Callable[[str], Value | None]:
    return lambda text: text if text in set(kind) else None


def _names(kind: type[StrEnum]) -> str:
    return " or ".join(kind)


class EvolutionMode(StrEnum):
    """Times at which differential evolution proposes its next trials."""

    ASYNCHRONOUS = "asynchronous"
    """At the end of any trial."""
    GENERATIONAL = "generational"
    """At the end of a generation."""


class EvolutionStrategy(StrEnum):
    """Rules by which differential evolution makes a trial from earlier ones."""

    SCREENED = "screened"
    """The adaptive strategy, where a model of the trials so far chooses among several children."""
    ADAPTIVE = "adaptive"
    """current-to-pbest/1/bin, with mutation and crossover that adapt to past successes."""
    RAND_1_BIN = "rand1bin"
    """The classic rand/1/bin, with fixed mutation and crossover."""


_ELSEWHERE = {
    "population": ("popsize", "populationsize", "np"),
    "generations": ("maxiter", "maxgenerations", "ngenerations"),
    "mutation": ("f", "scalefactor", "mutationfactor", "mutationrate"),
    "crossover": ("cr", "recombination", "crossoverrate", "crossoverprobability"),
    "seed": ("randomseed", "randomstate", "rng"),
}
"""By a setting here, names of SciPy and others for it, in lower case and without underscores."""

DEFAULT_SEED = 0
"""Seed of a search that has neither a given nor a drawn one."""

_SEED = Setting(DEFAULT_SEED, "an integer from 0 to 2^63-1", _integer(0, MAX_SEED))
# Katib calls a random search's seed random_state.
_KATIB_SEED = Setting(_SEED.default, _SEED.range, _SEED.parse, alias="random_state")

SETTINGS: Mapping[AlgorithmName, Mapping[str, Setting]] = {
    AlgorithmName.GRID: {},
    AlgorithmName.RANDOM: {"seed": _KATIB_SEED},
    # The population's lower bound is the method's own: a target and three others (Storn and Price, 1997). The
    # defaults of absent settings depend on the others: see evolution_settings.
    AlgorithmName.DIFFERENTIAL_EVOLUTION: {
        "population": Setting(
            None, f"an integer from 4 to {MAX_POPULATION:,}", _integer(4, MAX_POPULATION)
        ),
        "generations": Setting(
            None, f"an integer from 1 to {MAX_GENERATIONS:,}", _integer(1, MAX_GENERATIONS)
        ),
        "mutation": Setting(
            0.5, "a number above 0 and up to 2", _number(lambda value: 0 < value <= 2)
        ),
        "crossover": Setting(0.7, "a number from 0 to 1", _number(lambda value: 0 <= value <= 1)),
        "strategy": Setting(None, _names(EvolutionStrategy), _one_of(EvolutionStrategy)),
        "mode": Setting(
            EvolutionMode.ASYNCHRONOUS.value, _names(EvolutionMode), _one_of(EvolutionMode)
        ),
        "seed": _SEED,
    },
}


def check_settings(algorithm: Algorithm) -> list[FieldError]:
    """Return every mistake in the algorithm's settings."""
    return _read(algorithm)[1]


def settings_of(algorithm: Algorithm) -> Mapping[str, Value]:
    """Return the algorithm's settings that have a value, by name, with the defaults filled in.

    Raises:
        InvalidExperiment: the settings were not checked before.
    """
    values, errors = _read(algorithm)
    if errors:
        raise InvalidExperiment(errors)
    return values


def has_seed(algorithm: Algorithm) -> bool:
    """Return True if the algorithm draws random numbers."""
    return "seed" in SETTINGS[algorithm.algorithm_name]


def given_seed(algorithm: Algorithm) -> int | None:
    """Return the seed among the algorithm's settings; None if they have none.

    Raises:
        InvalidExperiment: the settings were not checked before.
    """
    setting = SETTINGS[algorithm.algorithm_name].get("seed")
    names = () if setting is None else ("seed", setting.alias)
    if not any(item.name in names for item in algorithm.algorithm_settings):
        return None
    return int(settings_of(algorithm)["seed"])


def _read(algorithm: Algorithm) -> tuple[dict[str, Value], list[FieldError]]:
    settings = SETTINGS[algorithm.algorithm_name]
    names = {setting.alias: name for name, setting in settings.items() if setting.alias}
    names |= {name: name for name in settings}
    values = {
        name: setting.default for name, setting in settings.items() if setting.default is not None
    }
    errors = []
    given: dict[str, str] = {}
    for index, item in enumerate(algorithm.algorithm_settings):
        path = f"{SETTINGS_PATH}[{index}]"
        name = names.get(item.name)
        if name is None:
            errors.append(FieldError(f"{path}.name", _unknown(algorithm.algorithm_name, item)))
        elif name in given:
            repetition = "twice" if given[name] == item.name else f"as {given[name]} already"
            errors.append(
                FieldError(f"{path}.name", f'"{item.name}" is given {repetition}: keep one')
            )
        else:
            given[name] = item.name
            value = settings[name].parse(item.value)
            if value is None:
                message = f'"{item.value}" is not {settings[name].range}'
                errors.append(FieldError(f"{path}.value", message))
            else:
                values[name] = value
    return values, errors


def _unknown(algorithm: AlgorithmName, item: AlgorithmSetting) -> str:
    settings = SETTINGS[algorithm]
    if not settings:
        return f'"{item.name}": {algorithm} has no settings; remove it'
    plain = item.name.replace("_", "").lower()
    renamed = [name for name, others in _ELSEWHERE.items() if plain in others and name in settings]
    close = renamed or difflib.get_close_matches(item.name, settings, n=1)
    hint = f"did you mean {close[0]}? There are" if close else "there are"
    return f'"{item.name}" is not a setting of {algorithm}: {hint} {", ".join(settings)}'
