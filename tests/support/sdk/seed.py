"""The seed's training function, with arithmetic for a network, and its dictionaries exactly as they were published."""

from __future__ import annotations

from typing import Any

GRID = {"learning_rate": [0.001, 0.0005, 0.0001], "dropout": [0.45, 0.7]}
"""Six combinations."""
BOUNDS = {"learning_rate": [0.001, 0.0001], "dropout": [0.45, 0.7]}
"""Of the seed's differential evolution; the first pair is in the wrong order there."""
TABLE = [(0.001, 0.45), (0.001, 0.7), (0.0005, 0.45), (0.0005, 0.7), (0.0001, 0.45), (0.0001, 0.7)]  # fmt: skip
"""The seed's table of jobs 1 to 6."""


def accuracy(learning_rate: float, dropout: float) -> float:
    """Return a metric whose maximum is at 0.0004 and 0.5."""
    return 1 - abs(learning_rate - 0.0004) * 500 - abs(dropout - 0.5)


def training(learning_rate: float, dropout: float) -> Any:
    """Train as the seed advises, with imports inside the function."""
    import logging
    import os
    import sys

    from sparksweep import hdfs, report, tensorboard

    print(f"printed {learning_rate}")
    print("to standard error", file=sys.stderr)
    logging.warning("logged")
    os.write(1, b"written by C\n")
    with open(os.path.join(tensorboard.logdir(), "events.txt"), "w") as events:
        events.write(str(dropout))
    with open(hdfs.project_path() + "Resources/train.txt") as data:
        rows = len(data.readlines())
    report(1, rows=rows)
    return accuracy(learning_rate, dropout)
