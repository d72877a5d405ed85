"""Record of how differential evolution made a trial: the target it competes with, its parent and its rates.

Which target was free, and what had been learnt of mutation and crossover, depends on which trials had ended when this
one was made. That can't be computed later, so it is written into the trial's spec. With it, the population follows from
the newest trials alone, at any time and in any process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TEXT = re.compile(
    r"restart=(\d{1,7}) target=(\d{1,7}) of=(\d{1,7})"
    r"(?: parent=(\d{1,7})(?: mutation=(\d\.\d{1,9}) crossover=(\d\.\d{1,9}))?)?"
)


DIGITS = 4
"""Decimal places of F and CR."""


@dataclass(frozen=True, slots=True)
class Rates:
    """F and CR, the two rates that a trial was made with."""

    mutation: float
    crossover: float

    def rounded(self) -> Rates:
        """Return the rates as a lineage's text keeps them."""
        return Rates(round(self.mutation, DIGITS), round(self.crossover, DIGITS))


@dataclass(frozen=True, slots=True)
class Lineage:
    """Origin of a trial."""

    restart: int
    """Index of the population: 0 is the first one, 1 the one after the first restart."""
    target: int
    """Index of the trial's place in the population, from 0."""
    size: int
    """Number of members of the population."""
    parent: int | None = None
    """Number of the trial that was the target's member; None for the first trial of a target."""
    rates: Rates | None = None
    """F and CR; None if the point was drawn, or proposed by a model, instead of made from members."""

    def __str__(self) -> str:
        first = f"restart={self.restart} target={self.target} of={self.size}"
        if self.parent is None:
            return first
        second = f"{first} parent={self.parent}"
        if self.rates is None:
            return second
        mutation, crossover = self.rates.mutation, self.rates.crossover
        return f"{second} mutation={mutation:.{DIGITS}f} crossover={crossover:.{DIGITS}f}"


@lru_cache(maxsize=4096)
def parse(text: str) -> Lineage | None:
    """Return the lineage that a text stands for; None if it is not one."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    restart, target, size, parent, mutation, crossover = match.groups()
    if int(target) >= int(size):
        return None
    return Lineage(
        restart=int(restart),
        target=int(target),
        size=int(size),
        parent=None if parent is None else int(parent),
        rates=None if mutation is None else Rates(float(mutation), float(crossover)),
    )
