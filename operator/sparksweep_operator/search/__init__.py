"""The search: which points of the parameter space the trials try. Pure functions of the spec, the seed and the trials."""

from sparksweep_operator.search.base import Algorithm, UnsupportedAlgorithm
from sparksweep_operator.search.grid import GridSearch
from sparksweep_operator.search.random_search import RandomSearch
from sparksweep_operator.search.registry import create
from sparksweep_operator.search.space import Space

__all__ = ["Algorithm", "GridSearch", "RandomSearch", "Space", "UnsupportedAlgorithm", "create"]
