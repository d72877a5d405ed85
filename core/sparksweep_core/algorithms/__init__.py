"""Search algorithms: pure functions of the spec, the seed and the trials, which choose the points to try."""

from sparksweep_core.algorithms.base import Algorithm, UnsupportedAlgorithm
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.algorithms.grid import GridSearch
from sparksweep_core.algorithms.random_search import RandomSearch
from sparksweep_core.algorithms.registry import create

__all__ = ["Algorithm", "GridSearch", "RandomSearch", "Space", "UnsupportedAlgorithm", "create"]
