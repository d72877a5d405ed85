"""Figures that benchmarks/search.py prints: regret, the area over the convergence curve, and functions won."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FLOOR = 1e-8

Steps = Sequence[tuple[int, float]]
"""Improvements of a run: numbers of trials from 1, and regrets."""


@dataclass(frozen=True)
class Score:
    """Score of one run, cut off after a number of trials."""

    regret: float
    """log10 of the regret."""
    aocc: float


Scores = dict[tuple[int, int], Score]
"""Scores by function and instance."""


def scored(steps: Steps, budget: int) -> Score:
    """Score a run's first trials; a solver that ended early keeps its last regret."""
    begun = [
        (number, math.log10(max(regret, FLOOR))) for number, regret in steps if number <= budget
    ]
    ends = [*(number for number, _ in begun[1:]), budget + 1]
    area = sum(
        (end - number) * (1 - (min(max(logarithm, -8.0), 2.0) + 8) / 10)
        for (number, logarithm), end in zip(begun, ends, strict=True)
    )
    return Score(begun[-1][1], area / budget)


def median_regret(scores: Sequence[Score]) -> float:
    """Return the median of log10 of the regret."""
    return statistics.median(score.regret for score in scores)


def mean_aocc(scores: Sequence[Score]) -> float:
    """Return the mean area over the convergence curve of all runs."""
    return statistics.fmean(score.aocc for score in scores)


def interval(
    scores: Scores, figure: Callable[[Sequence[Score]], float], samples: int = 1000
) -> tuple[float, float, float]:
    """Return a figure and its 95 % bootstrap interval; instances are drawn for each function separately."""
    draw = random.Random(0)
    by_function: dict[int, list[Score]] = {}
    for (function, _), score in scores.items():
        by_function.setdefault(function, []).append(score)
    drawn = sorted(
        figure(
            [score for group in by_function.values() for score in draw.choices(group, k=len(group))]
        )
        for _ in range(samples)
    )
    return figure(list(scores.values())), drawn[samples // 40], drawn[-1 - samples // 40]


def duel(mine: Scores, theirs: Scores) -> tuple[list[int], list[int]]:
    """Return the functions on which one has the lower median regret, and those on which the other has.

    Where the other ran fewer instances, both are judged by those.
    """
    common = mine.keys() & theirs.keys()
    won, lost = [], []
    for function in sorted({function for function, _ in common}):
        ours, others = (
            statistics.median(scores[run].regret for run in common if run[0] == function)
            for scores in (mine, theirs)
        )
        if ours < others - 1e-9:
            won.append(function)
        elif ours > others + 1e-9:
            lost.append(function)
    return won, lost


def line(name: str, scores: Scores, mine: Scores) -> str:
    """Format one line of a cell's table; it gives the number of instances if the solver ran fewer."""
    regret = "{:6.2f} [{:5.2f}, {:5.2f}]".format(*interval(scores, median_regret))
    aocc = "{:.3f} [{:.3f}, {:.3f}]".format(*interval(scores, mean_aocc))
    if scores is mine:
        return f"  {name:25} {regret}   {aocc}"
    won, lost = duel(mine, scores)
    notes = [f"lost {', '.join(f'f{function}' for function in lost)}"] if len(lost) < 9 else []
    if len(scores) < len(mine):
        notes.append(f"{len({instance for _, instance in scores})} instances")
    return f"  {name:25} {regret}   {aocc}   {len(won):2d} won, {len(lost):2d} lost  {'; '.join(notes)}"
