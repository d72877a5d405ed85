"""Messages that tests of several parts expect."""

from __future__ import annotations

SWAPPED_BOUNDS = "min was greater than max, so they were swapped"
"""Begins the condition of an Experiment with such a parameter, and the warning of the function that made it."""
