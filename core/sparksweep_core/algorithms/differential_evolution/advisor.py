"""The hook of differential evolution: an advisor proposes candidates, and tells when a population should end.

Differential evolution works without one. `algorithms/model_assisted` has the one that there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sparksweep_core.algorithms.differential_evolution.lineage import Rates
from sparksweep_core.algorithms.differential_evolution.population import Member, Population
from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.api import Trial


class Candidate(NamedTuple):
    """A point that a trial might try."""

    point: dict[str, str]
    rates: Rates | None
    """F and CR if it is a child; None if it was drawn or proposed by an advisor."""


@dataclass(frozen=True, slots=True)
class AdviceRequest:
    """A trial that is to compete with a member, and all that its candidates may depend on."""

    number: int
    """Number of the trial."""
    target_member: Member
    """Member that the trial competes with."""
    ranked: Sequence[Member]
    """Members that have a cost, the best first."""
    observed: Sequence[Trial]
    """Trials whose results may be used."""
    unobserved: Sequence[Point]
    """Points of the trials after these, and of those made in this call."""
    children: Iterator[Candidate]
    """Children that the strategy makes of the member, each computed when it is taken. The rest is tried afterwards."""


class Advisor(Protocol):
    """Takes part in the choice of trials. Like the search, it is a function of the trials."""

    def candidates(self, request: AdviceRequest) -> Iterator[Candidate]:
        """Yield candidates for a trial, the best first; the first that was not tried before becomes the trial."""
        ...

    def has_stagnated(self, population: Population, trials: Sequence[Trial]) -> bool:
        """Return True if another population should start, though this one has not converged.

        Args:
            population: the newest one.
            trials: all trials so far.
        """
        ...
