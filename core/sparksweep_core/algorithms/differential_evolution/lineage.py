"""What differential evolution writes beside a trial's parameters: whose place it is to take, and how it was made.

Which target was free, and what had been learnt of mutation and crossover, depends on which trials had ended when this
one was made. No one could tell later, so it is kept in the trial's record. With it, the population follows from the
newest trials alone, at any time and in any process.
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
        """As the record keeps them."""
        return Rates(round(self.mutation, DIGITS), round(self.crossover, DIGITS))


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a trial came about."""

    restart: int
    """Which population it belongs to: 0 is the first one, 1 the one after the first restart."""
    target: int
    """The place in the population, from 0."""
    size: int
    """How many places there are."""
    parent: int | None = None
    """Number of the trial that held the place; None: the first one of the place."""
    rates: Rates | None = None
    """F and CR; None: it was drawn, not made from others."""

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
    """The lineage that a text stands for; None when it is none."""
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
