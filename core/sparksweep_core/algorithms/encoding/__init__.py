"""Encodings of a search space: points as texts, as ranks of a finite space, and as places in a unit cube."""
