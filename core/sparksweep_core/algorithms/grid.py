"""Grid search: every point of the space once, in the order of itertools.product."""

from __future__ import annotations

from collections.abc import Sequence

from sparksweep_core.algorithms.base import Algorithm, UnsupportedAlgorithm, next_number, numbered
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.api import ExperimentSpec, Trial, TrialSpec
from sparksweep_core.validation.checks_search import in_order


class GridSearch(Algorithm):
    """Trial n is the n-th point; the first parameter varies slowest. Points are computed one by one, never stored."""

    ignores_results = True

    def __init__(self, spec: ExperimentSpec) -> None:
        self._space = Space([in_order(parameter) for parameter in spec.parameters])
        size = self._space.size
        if size is None:
            continuous = [
                name
                for name, dimension in zip(self._space.names, self._space.dimensions, strict=True)
                if dimension.cardinality is None
            ]
            raise UnsupportedAlgorithm(
                f"grid can't enumerate {', '.join(continuous)}: a double parameter needs a step."
            )
        self._size = size

    def size(self) -> int:
        """Return the number of points, which may be astronomic."""
        return self._size

    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """Return the next points."""
        first = next_number(trials)
        indices = range(first - 1, min(first - 1 + count, self._size))
        return numbered(map(self._space.point, indices), first)
