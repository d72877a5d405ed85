"""Differential evolution assisted by models: which trials they choose, and how."""
