"""Differential evolution: population, strategies, offspring and lineage."""
