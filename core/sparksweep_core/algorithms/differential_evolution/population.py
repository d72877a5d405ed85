"""The population of differential evolution: read from the newest trials, never stored.

The population has a fixed number of targets, which are indices. The member of a target is its best trial so far. Each
trial records the member that it competes with, so the newest trial of a target determines its member: that trial if it
has ended and is not worse, else the recorded one. A target has at most one unfinished trial, so its trials end in the order of their numbers, and
the order in which trials of different targets end does not matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates, parse
from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.api import Objective, ObjectiveType, Trial
from sparksweep_core.history import TrialSequence

CostFunction = Callable[[Trial], float | None]
"""Cost of a trial, lower is better; None if it has no result, or none yet."""


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that is, or was, a member of the population."""

    number: int
    point: Point
    cost: float | None
    """None if it failed, which is worse than any cost."""


@dataclass(frozen=True, slots=True)
class Success:
    """A trial that replaced its parent."""

    rates: Rates
    parent: Member
    is_improvement: bool
    """True if it is better than its parent, False if equally good."""


@dataclass(slots=True)
class Population:
    """State of one population, from its first trial to the newest."""

    restart: int
    size: int
    """Number of targets."""
    members: dict[int, Member] = field(default_factory=dict)
    """Member of each target; none for a target whose first trial has not ended."""
    busy: set[int] = field(default_factory=set)
    """Targets with an unfinished trial."""
    last_target: int = -1
    """Target of the newest trial."""
    successes: list[Success] = field(default_factory=list)
    """Successes among the last ended trials, the newest first."""
    ended_count: int = 0
    """Number of ended trials among which `successes` were searched."""

    @property
    def started_count(self) -> int:
        """Number of targets that have had a trial; targets get their first ones in order."""
        return len(self.members.keys() | self.busy)

    def ranked(self) -> list[Member]:
        """Return the members that have a cost, the best first; of equals the newer."""
        scored = [
            (member.cost, -member.number, member)
            for member in self.members.values()
            if member.cost is not None
        ]
        return [member for _, _, member in sorted(scored, key=lambda entry: entry[:2])]

    def has_converged(self, depth: int) -> bool:
        """Return True if trials of this population no longer lead to better ones.

        Args:
            depth: how many times `size` ended trials must have passed without an improvement.
        """
        if len(self.members) < self.size:
            return False
        costs = {member.cost for member in self.members.values()}
        if len(costs) == 1 and self.ended_count > self.size:
            return True
        has_improved = any(success.is_improvement for success in self.successes)
        return self.ended_count >= depth * self.size and not has_improved


def cost_function(objective: Objective) -> CostFunction:
    """Return a function from a trial to its cost: the objective's metric, negated if it is to be maximised, or None."""
    sign = 1.0 if objective.type is ObjectiveType.MINIMIZE else -1.0

    def cost(trial: Trial) -> float | None:
        value = trial.objective_value(objective)
        return None if value is None else sign * value

    return cost


def newest_population(
    trials: Sequence[Trial], cost_of: CostFunction, *, depth: int
) -> Population | None:
    """Return the population that the newest trials belong to; None if no trial belongs to any.

    Trials are read backwards until each target's member is determined and `depth` times the population's size of ended
    trials have been searched for successes. A target whose trial does not end for long has that trial as its newest, which
    is found among the unfinished ones, and holds up neither. A trial without a lineage is skipped.
    """
    population: Population | None = None
    visited_targets: set[int] = set()
    unfinished: dict[int, tuple[Trial, Lineage]] = {}
    for trial, lineage in _newest_first(trials):
        if population is None:
            population = Population(lineage.restart, lineage.size, last_target=lineage.target)
            unfinished = _unfinished(trials, lineage.restart)
        elif lineage.restart != population.restart or (
            len(visited_targets | unfinished.keys()) >= population.size
            and population.ended_count >= depth * population.size
        ):
            break
        _add(
            population,
            trial,
            lineage,
            is_newest=lineage.target not in visited_targets,
            trials=trials,
            cost_of=cost_of,
        )
        visited_targets.add(lineage.target)
    if population is not None:
        for target, (trial, lineage) in unfinished.items():
            if target not in visited_targets:
                _add(population, trial, lineage, is_newest=True, trials=trials, cost_of=cost_of)
    return population


def _unfinished(trials: Sequence[Trial], restart: int) -> dict[int, tuple[Trial, Lineage]]:
    """Return the newest unfinished trial of each target of a population that has one."""
    found = trials.unfinished() if isinstance(trials, TrialSequence) else reversed(trials)
    newest: dict[int, tuple[Trial, Lineage]] = {}
    for trial in found:
        lineage = parse(trial.spec.lineage) if trial.spec.lineage else None
        if lineage is None or lineage.restart != restart or trial.state.is_finished:
            continue
        before = newest.get(lineage.target)
        if before is None or before[0].number < trial.number:
            newest[lineage.target] = trial, lineage
    return newest


def finished_newest_first(trials: Sequence[Trial], restart: int) -> Iterator[Trial]:
    """Yield the ended trials of the newest population, the newest first.

    Args:
        trials: all trials.
        restart: index of the newest population.
    """
    for trial, lineage in _newest_first(trials):
        if lineage.restart != restart:
            return
        if trial.state.is_finished:
            yield trial


def _newest_first(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Lineage]]:
    """Yield the trials that have a lineage, the newest first."""
    for trial in reversed(trials):
        lineage = parse(trial.spec.lineage) if trial.spec.lineage else None
        if lineage is not None:
            yield trial, lineage


def _add(
    population: Population,
    trial: Trial,
    lineage: Lineage,
    *,
    is_newest: bool,
    trials: Sequence[Trial],
    cost_of: CostFunction,
) -> None:
    """Add a trial to the population, after all newer ones; `is_newest` says that it is its target's newest."""
    if not is_newest and not trial.state.is_finished:
        return
    parent_trial = None if lineage.parent is None else _numbered(trials, lineage.parent)
    parent = None if parent_trial is None else _member(parent_trial, cost_of)
    if not trial.state.is_finished:
        population.busy.add(lineage.target)
        if parent is not None:
            population.members[lineage.target] = parent
        return
    child = _member(trial, cost_of)
    population.ended_count += 1
    is_accepted = parent is None or not is_worse(child, parent)
    if is_newest:
        population.members[lineage.target] = child if is_accepted or parent is None else parent
    if parent is not None and lineage.rates is not None and is_accepted and child.cost is not None:
        success = Success(lineage.rates, parent, is_improvement=is_worse(parent, child))
        population.successes.append(success)


def is_worse(one: Member, other: Member) -> bool:
    """Return True if one's cost is higher than the other's; a missing cost is the highest."""
    if one.cost is None or other.cost is None:
        return other.cost is not None
    return one.cost > other.cost


def _member(trial: Trial, cost_of: CostFunction) -> Member:
    return Member(trial.number, trial.spec.parameters, cost_of(trial))


def _numbered(trials: Sequence[Trial], number: int) -> Trial | None:
    # Numbers rise by one, unless a batch was deleted by hand.
    guess = number - trials[0].number
    if 0 <= guess < len(trials) and trials[guess].number == number:
        return trials[guess]
    index = bisect_left(trials, number, key=lambda trial: trial.number)
    return trials[index] if index < len(trials) and trials[index].number == number else None
