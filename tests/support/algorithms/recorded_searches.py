"""Long searches whose proposals are recorded as digests, so that a change of how the past is stored changes no proposal.

    PYTHONPATH=tests python -m support.algorithms.recorded_searches

prints the digests, as `tests/core/algorithms/recorded_searches.json` has them.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sparksweep_core.algorithms import create
from sparksweep_core.api import Distribution, ExperimentSpec, Parameter, Trial, TrialState
from support.algorithms.search_spaces import double, ended, integer, listed, spec_of

CHUNK = 50
"""Trials of one digest."""
_PARALLEL = 4

CONTINUOUS = (double("x", "-5", "5"), double("y", "0", "1"), double("z", "1e-3", "10"))
PLANE = (double("x", "-5", "5"), double("y", "0", "1"))
LINE = (double("x", "-5", "5"),)
LATTICE = (integer("a", 1, 30), integer("b", 1, 20))
UNEVEN = (
    integer("a", 1, 12, distribution=Distribution.NORMAL),
    integer("b", 1, 12, distribution=Distribution.NORMAL),
    integer("c", 1, 6),
)
CATEGORIES = (
    listed("c", "relu", "tanh", "selu", "gelu"),
    integer("a", 1, 12),
    listed("d", "p", "q"),
)
MIXED = (double("x", "0", "1"), integer("a", 1, 64), listed("c", "relu", "tanh", "selu"))


@dataclass(frozen=True)
class Search:
    """A search, and the course of its trials."""

    name: str
    algorithm: str
    parameters: tuple[Parameter, ...]
    trials: int
    settings: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
    """True if the fifth trial does not end before the others."""
    max_trial_count: int | None = None

    def spec(self) -> ExperimentSpec:
        """Return the spec."""
        settings = dict(self.settings)
        if self.algorithm != "grid":
            settings.setdefault("seed", "11")
        spec = spec_of(self.parameters, self.algorithm, **settings)
        return spec.model_copy(
            update={"max_trial_count": self.max_trial_count, "parallel_trial_count": _PARALLEL}
        )


def _evolution(
    name: str, parameters: tuple[Parameter, ...], trials: int, **settings: str
) -> Search:
    hangs = settings.pop("hangs", "") == "True"
    return Search(
        name,
        "differential-evolution",
        parameters,
        trials,
        tuple(settings.items()),
        hangs=hangs,
        max_trial_count=2500,
    )


SEARCHES = (
    Search("grid", "grid", LATTICE, 700),
    Search("random, continuous", "random", CONTINUOUS, 500),
    Search("random, uniform and finite", "random", LATTICE, 700),
    Search("random, uneven and finite, to the end", "random", UNEVEN, 900),
    _evolution("adaptive, continuous", CONTINUOUS, 1500, strategy="adaptive"),
    _evolution("adaptive, with a hanging trial", MIXED, 600, strategy="adaptive", hangs="True"),
    _evolution("adaptive, finite, to the end", CATEGORIES, 120, strategy="adaptive"),
    _evolution("adaptive, lattice, to the end", LATTICE, 620, strategy="adaptive"),
    _evolution("rand/1/bin, mixed", MIXED, 1200, strategy="rand1bin"),
    _evolution(
        "generational, mixed", MIXED, 1000, mode="generational", population="20", generations="60"
    ),
    _evolution("model-assisted, plane", PLANE, 400),
    _evolution("model-assisted, line", LINE, 300),
    _evolution("model-assisted, continuous", CONTINUOUS, 500),
    _evolution("model-assisted, categories", CATEGORIES, 110),
    _evolution("model-assisted, mixed, with a hanging trial", MIXED, 450, hangs="True"),
)


def loss_of(trial: Trial, draw: random.Random) -> float:
    """Return a loss with a smooth part and noise; values of the same trial are the same."""
    total = 0.0
    for text in trial.spec.parameters.values():
        try:
            total += (float(text) - 0.7) ** 2
        except ValueError:
            total += len(text) % 3
    return round(total + 0.01 * draw.random(), 3)


def proposals(search: Search, read: Callable[[list[Trial]], Sequence[Trial]]) -> list[str]:
    """Run a search, and return a digest of each chunk of its trials.

    Args:
        search: the search.
        read: returns the past as the algorithm is given it.
    """
    draw = random.Random(search.name)
    spec = search.spec()
    algorithm = create(spec)
    trials: list[Trial] = []
    running: list[int] = []
    while len(trials) < search.trials:
        wanted = min(draw.choice([1, 1, 2, 3, 7]), search.trials - len(trials))
        made = algorithm.propose(read(trials), wanted)
        trials += [ended(trial, TrialState.PENDING, 0.0) for trial in made]
        waiting = [n for n, trial in enumerate(trials) if trial.state is TrialState.PENDING]
        for n in waiting[: _PARALLEL - len(running)]:
            trials[n] = ended(trials[n].spec, TrialState.RUNNING, 0.0)
            running.append(n)
        may_end = [n for n in running if not (search.hangs and n == 4)]
        if not made and not may_end:
            break
        for n in draw.sample(may_end, draw.randint(0 if made else 1, len(may_end))):
            running.remove(n)
            state = TrialState.SUCCEEDED if draw.random() < 0.93 else TrialState.FAILED
            trials[n] = ended(trials[n].spec, state, loss_of(trials[n], draw))
    return [
        blake2b(
            repr(
                [
                    (trial.number, trial.spec.parameters, trial.spec.lineage)
                    for trial in trials[start : start + CHUNK]
                ]
            ).encode(),
            digest_size=6,
        ).hexdigest()
        for start in range(0, len(trials), CHUNK)
    ]


if __name__ == "__main__":
    digests = {search.name: proposals(search, lambda trials: trials) for search in SEARCHES}
    sys.stdout.write(json.dumps(digests, indent=1) + "\n")
