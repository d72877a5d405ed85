"""The population of differential evolution as the newest trials tell it: read from the trials, never kept.

Each place of the population (a "target") is held by the best trial that was made for it. A trial names the one whose
place it is to take, so the newest trial of a place says who holds it: that trial if it has ended and is not worse, else
the one it names. A place has at most one unfinished trial, so its trials end in the order of their numbers, and it does
not matter in which order the trials of different places end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates, parse
from sparksweep_core.api import Objective, ObjectiveType, Trial

Costs = Callable[[Trial], float | None]
"""What a trial costs, lower is better; None: it has no result, or none yet."""


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that holds a place, or held one."""

    number: int
    point: Mapping[str, str]
    cost: float | None
    """None: it failed, which is worse than any cost."""


@dataclass(frozen=True, slots=True)
class Success:
    """A trial that took its parent's place."""

    rates: Rates
    parent: Member
    is_improvement: bool
    """Whether it is better, and not as good."""


@dataclass(slots=True)
class Population:
    """What the trials of one restart have led to."""

    restart: int
    size: int
    """How many places there are."""
    members: dict[int, Member] = field(default_factory=dict)
    """Who holds each place; a place whose first trial has not ended has nobody."""
    busy: set[int] = field(default_factory=set)
    """Places with an unfinished trial."""
    last: int = -1
    """The place that the newest trial was made for."""
    successes: list[Success] = field(default_factory=list)
    """Of the last trials that have ended, those that took a place, the newest first."""
    ended: int = 0
    """How many trials were looked at for that."""

    @property
    def begun(self) -> int:
        """How many places have had a trial; they get their first ones in order."""
        return len(self.members.keys() | self.busy)

    def ranked(self) -> list[Member]:
        """The members that have a cost, the best first; of equals the newer."""
        known = [(member.cost, -member.number, member) for member in self.members.values()]
        return [
            member
            for cost, _, member in sorted(
                (entry for entry in known if entry[0] is not None), key=lambda entry: entry[:2]
            )
        ]

    def has_converged(self, depth: int) -> bool:
        """Whether trials of this population no longer lead to better ones."""
        if len(self.members) < self.size:
            return False
        costs = {member.cost for member in self.members.values()}
        if len(costs) == 1 and self.ended > self.size:
            return True
        is_better = any(success.is_improvement for success in self.successes)
        return self.ended >= depth * self.size and not is_better


def costs_by(objective: Objective) -> Costs:
    """What trials cost under an objective: its metric, negated when it is to be maximised."""
    sign = 1.0 if objective.type is ObjectiveType.MINIMIZE else -1.0

    def cost(trial: Trial) -> float | None:
        value = trial.objective_value(objective)
        return None if value is None else sign * value

    return cost


def newest_population(trials: Sequence[Trial], cost_of: Costs, *, depth: int) -> Population | None:
    """The population that the newest trials belong to; None when no trial belongs to any.

    It is read backwards, as far as it takes to find who holds each place, and at least `depth` sizes' worth of trials
    that have ended, to find the successes. A trial without a lineage is passed over.
    """
    found: Population | None = None
    seen: set[int] = set()
    for trial, lineage in _backwards(trials):
        if found is None:
            found = Population(lineage.restart, lineage.size, last=lineage.target)
        elif lineage.restart != found.restart or (
            len(seen) >= found.size and found.ended >= depth * found.size
        ):
            break
        _take(
            found,
            trial,
            lineage,
            is_newest=lineage.target not in seen,
            trials=trials,
            cost_of=cost_of,
        )
        seen.add(lineage.target)
    return found


def finished_newest_first(trials: Sequence[Trial], restart: int) -> Iterator[Trial]:
    """The ended trials of the newest population, the newest first; it is the one of this restart."""
    for trial, lineage in _backwards(trials):
        if lineage.restart != restart:
            return
        if trial.state.is_finished:
            yield trial


def _backwards(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Lineage]]:
    """The trials that have a lineage, the newest first."""
    for trial in reversed(trials):
        lineage = parse(trial.spec.lineage) if trial.spec.lineage else None
        if lineage is not None:
            yield trial, lineage


def _take(
    found: Population,
    trial: Trial,
    lineage: Lineage,
    *,
    is_newest: bool,
    trials: Sequence[Trial],
    cost_of: Costs,
) -> None:
    if not is_newest and not trial.state.is_finished:
        return
    before = None if lineage.parent is None else _numbered(trials, lineage.parent)
    parent = None if before is None else _member(before, cost_of)
    if not trial.state.is_finished:
        found.busy.add(lineage.target)
        if parent is not None:
            found.members[lineage.target] = parent
        return
    child = _member(trial, cost_of)
    found.ended += 1
    is_accepted = parent is None or not is_worse(child, parent)
    if is_newest:
        found.members[lineage.target] = child if is_accepted or parent is None else parent
    if parent is not None and lineage.rates is not None and is_accepted and child.cost is not None:
        found.successes.append(Success(lineage.rates, parent, is_worse(parent, child)))


def is_worse(one: Member, other: Member) -> bool:
    """Whether one's cost is higher; no cost is the highest."""
    if one.cost is None or other.cost is None:
        return other.cost is not None
    return one.cost > other.cost


def _member(trial: Trial, cost_of: Costs) -> Member:
    return Member(trial.number, trial.spec.parameters, cost_of(trial))


def _numbered(trials: Sequence[Trial], number: int) -> Trial | None:
    # Numbers rise by one, unless a batch was deleted by hand.
    guess = number - trials[0].number
    if 0 <= guess < len(trials) and trials[guess].number == number:
        return trials[guess]
    place = bisect_left(trials, number, key=lambda trial: trial.number)
    return trials[place] if place < len(trials) and trials[place].number == number else None
