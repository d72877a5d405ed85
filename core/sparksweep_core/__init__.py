"""The pure core: types, checks, algorithms, planner and the contract between programs. No I/O, clock or threads."""
