"""Differential evolution: population, strategies, offspring and lineage. It knows no models."""
