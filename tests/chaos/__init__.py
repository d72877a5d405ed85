"""Seeded chaos: operator and drivers work while a random sequence of faults goes on, and what must always hold is checked.

``python -m cluster chaos --seed N --minutes M`` runs one seed. A seed gives the same experiments and the same sequence of
faults; their times relative to the parts' own threads are not repeatable.
"""
