"""Interface of search algorithms, between the planner, which counts trials, and the search, which chooses them."""

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
    trials so far. Its caches only save time, so there is no state to save: another process with the same trials goes on
    with the same proposals.

    Its input is all trials that were created, in the order of their numbers, each with its state and metrics. A trial
    that failed, or was stopped, has no result: it is neither repeated nor replaced.

    No point is proposed twice while there are untried ones, unless the algorithm's docstring says otherwise.
    """

    ignores_results: ClassVar[bool] = False
    """True if the n-th trial does not depend on how the earlier ones ended. Trials may then be created far ahead, and
    one call for many gives the same ones as a call for each."""

    @abstractmethod
    def __init__(self, spec: ExperimentSpec) -> None:
        """Build the search.

        Raises:
            UnsupportedAlgorithm: it can't search this space.
        """

    @abstractmethod
    def size(self) -> int | None:
        """Return the number of trials after which the search ends by itself; None if it never does."""

    def bound(self) -> str | None:
        """Return the setting that `size` comes from, for messages; None if `size` is the number of points of the space."""
        return None

    def ahead(self, parallel: int) -> int:
        """Return the number of trials to have pending while `parallel` run.

        Two for each by default: the next one, and one more until the next plan. Fewer where later proposals are better.
        """
        return 2 * parallel

    @abstractmethod
    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """Return the trials that follow `trials`, at most `count`, numbered on from the last one.

        They are fewer only if the search has to wait for unfinished trials, or has itself ended: an empty list after
        every trial has ended means that there will be no more.

        Args:
            trials: all trials so far, by number; their numbers are those of the search's sequence, from 1.
            count: number of trials wanted, 0 or more.
        """


def next_number(trials: Sequence[Trial]) -> int:
    """Return the number of the trial that follows `trials`.

    It follows the highest number, not the count: if a batch was deleted by hand, no number is used twice.
    """
    return trials[-1].number + 1 if trials else 1


def numbered(points: Iterable[dict[str, str]], first: int) -> list[TrialSpec]:
    """Return trials for some points, in their order, numbered from `first`."""
    return [
        TrialSpec(number=number, parameters=point) for number, point in enumerate(points, first)
    ]
