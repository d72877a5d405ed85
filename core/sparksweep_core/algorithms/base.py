"""What a search algorithm is: the seam between the planner, which counts trials, and the search, which chooses them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from sparksweep_core.api import ExperimentSpec, Trial, TrialSpec
from sparksweep_core.errors import SparksweepError


class UnsupportedAlgorithm(SparksweepError):
    """The algorithm can't search this space; the message says what it needs."""


class Algorithm(ABC):
    """A search: chooses the parameters of the trials, one after the other.

    An algorithm is built from an ExperimentSpec and is a pure function of it, of the seed in its settings, and of the
    trials so far. What it keeps between two calls only saves time, so there is nothing to save: another process that sees
    the same trials goes on with the same ones. Equal specs, seeds and trials give equal answers.

    The trials it is given are all that were created, in the order of their numbers, each with its state and metrics.
    A trial that failed, or was stopped, is one that gave no result: it is neither repeated nor replaced.

    No point is proposed twice while there are points that were not, unless the algorithm's docstring says otherwise.
    """

    ignores_results: ClassVar[bool] = False
    """True when the n-th trial does not depend on how the earlier ones ended. Trials may then be created far ahead,
    and asking for many at once gives the same ones as asking for one after the other."""

    @abstractmethod
    def __init__(self, spec: ExperimentSpec) -> None:
        """Build the search.

        Raises:
            UnsupportedAlgorithm: it can't search this space.
        """

    @abstractmethod
    def size(self) -> int | None:
        """How many trials the search would make if nothing else ended it; None when it would never end by itself."""

    def ahead(self, parallel: int) -> int:
        """How many trials should wait while `parallel` run: two for each, one to be next, one while the planner turns.

        Fewer where a trial is the better the later it is made.
        """
        return 2 * parallel

    @abstractmethod
    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """The trials that follow `trials`, at most `count`, numbered on from the last one.

        Fewer only if the search has to wait for trials that have not ended, or has itself ended: when every trial has
        ended and the answer is empty, there will be no more.

        Args:
            trials: all trials so far, by number; their numbers are those of the search's sequence, from 1.
            count: how many are wanted, 0 or more.
        """


def next_number(trials: Sequence[Trial]) -> int:
    """The number of the trial that follows `trials`.

    After the highest number, not the count: if a batch was deleted by hand, no number comes twice.
    """
    return trials[-1].number + 1 if trials else 1


def numbered(points: Iterable[dict[str, str]], first: int) -> list[TrialSpec]:
    """The trials that try these points, one after the other, from a number on."""
    return [
        TrialSpec(number=number, parameters=point) for number, point in enumerate(points, first)
    ]
