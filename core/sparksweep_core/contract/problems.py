"""Beginnings of a driver's words about its trouble, by which the operator recognises a kind of trouble."""

EXECUTORS_REFUSED = "Executors can't be created"
"""The API server refuses executors; its own words follow."""
