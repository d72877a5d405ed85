"""Differential evolution: population, strategies, offspring and lineage. Independent of `models` and `model_assisted`."""
