"""Encodings of a search space: points as texts, as indices of a finite space, and as positions in a unit cube."""
