"""Pseudorandom permutations as functions of a seed, each of whose elements is computed by itself."""

from __future__ import annotations

import math

from sparksweep_core.algorithms.keyed_random import key_hash

_ROUNDS = 24
"""Rounds of the Feistel network. Four make a pseudorandom permutation of a large domain (Luby and Rackoff, 1988); with
the domains of a few points that are common here, the first two elements are measurably uneven after 8 and not after
16."""


class Permutation:
    """A pseudorandom order of 0 ... size - 1; each element is computed by itself.

    The construction is the generalized Feistel cipher with cycle walking of J. Black and P. Rogaway, "Ciphers with
    Arbitrary Finite Domains", CT-RSA 2002. A number is a pair (left, right) in a rectangle of width * height >= size
    cells; each round adds a hash of one half to the other, modulo its side, which can be undone, so the rounds permute
    the cells. A cell beyond `size` is permuted again until it falls inside; as the permutation's cycles are closed,
    this ends, and permutes the rest. The rectangle has fewer than 2 * sqrt(size) + 2 cells too many, so it rarely
    takes more than one try.
    """

    def __init__(self, size: int, *, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._width = math.isqrt(size - 1) + 1
        self._height = -(-size // self._width)

    @property
    def key(self) -> tuple[int, int]:
        """Size and seed, which determine the order."""
        return self._size, self._seed

    def __getitem__(self, rank: int) -> int:
        """Return the number at a rank from 0 to size - 1."""
        if not 0 <= rank < self._size:
            raise IndexError(rank)
        number = self._permute(rank)
        while number >= self._size:
            number = self._permute(number)
        return number

    def _permute(self, cell: int) -> int:
        left, right = cell % self._width, cell // self._width
        for round_number in range(0, _ROUNDS, 2):
            left = (left + key_hash((self._seed, round_number, right))) % self._width
            right = (right + key_hash((self._seed, round_number + 1, left))) % self._height
        return left + right * self._width
