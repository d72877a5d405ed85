"""Garbage collection of the processes that serve many others: the operator and a cluster's driver.

A full collection looks at every object of the process, and all its threads wait: 50 to 80 ms with our modules alone, every few
seconds. What these processes make and drop, pages of batches and requests, has hardly any cycles.
"""

from __future__ import annotations

import gc

THRESHOLD = 20_000
"""Objects that are made, and not freed, before the youngest generation of garbage is collected; Python's default is 700."""


def collect_rarely() -> None:
    """Leave all objects that exist now out of collections, and most collections out."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, *gc.get_threshold()[1:])
