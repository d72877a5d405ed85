"""Random numbers as functions of a key: no generator's state has to be saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from random import Random
from statistics import NormalDist

BELOW_ONE = math.nextafter(1.0, 0.0)
"""The largest number of the unit interval [0, 1)."""
_NORMAL = NormalDist()

Draw = Callable[[], float]
"""Returns the next uniform number in [0, 1)."""


def uniforms(key: Sequence[int], count: int) -> list[float]:
    """Return independent uniform numbers in [0, 1), the same ones for the same key on every machine.

    Random.random() is the one method whose sequence Python guarantees across versions.
    """
    draw = uniform_stream(key)
    return [draw() for _ in range(count)]


def uniform_stream(key: Sequence[int]) -> Draw:
    """Return an endless source of the numbers of `uniforms`, one at each call."""
    return Random(key_hash(key)).random


def standard_normal(draw: Draw) -> float:
    """Draw from a standard normal distribution."""
    return _NORMAL.inv_cdf(min(max(draw(), 1e-9), BELOW_ONE))


def key_hash(key: Sequence[int]) -> int:
    """Return 512 bits that depend on every bit of the key, as Python's hash() does not."""
    return int.from_bytes(blake2b(repr(tuple(key)).encode()).digest(), "big")
