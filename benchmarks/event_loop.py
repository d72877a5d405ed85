"""Benchmark: delay of the operator's event loop by ten plans of a search that are due at once.

    python benchmarks/event_loop.py [--plans 10]

The search is differential evolution's with two parameters, and the plan the slowest of its trials 170 to 190. The plans are
made in the loop itself, and in threads. Meanwhile a task of the loop repeatedly sleeps for a millisecond and measures how
late it continues; the ratio is the longest delay over the one without threads.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from search_solvers import experiment, trials_of

from sparksweep_core.algorithms import create
from sparksweep_operator.planner_threads import PLANNER_THREADS

SLEEP_S = 0.001


def slowest() -> tuple[float, Callable[[], object]]:
    """Return the seconds that the slowest proposal takes, and the proposal."""
    spec = experiment(2, 200, seed="1")
    trials = trials_of(spec, lambda point: sum((float(x) - 1) ** 2 for x in point.values()))

    def proposal(number: int) -> object:
        return create(spec).propose(trials[: number - 1], 1)

    timings: list[tuple[float, int]] = []
    for number in range(170, 191):
        begin = time.perf_counter()
        proposal(number)
        timings.append((time.perf_counter() - begin, number))
    seconds, number = max(timings)
    return seconds, partial(proposal, number)


async def loop_delays(propose: Callable[[], object], plans: int, threads: int) -> tuple[list[float], float]:  # fmt: skip
    """Return the delays of the loop and the seconds until all plans are made; 0 threads: in the loop."""
    delays: list[float] = []

    async def sleep_on() -> None:
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(SLEEP_S)
            delays.append(time.perf_counter() - begin - SLEEP_S)

    async def plan(pool: ThreadPoolExecutor) -> None:
        if threads:
            await asyncio.get_running_loop().run_in_executor(pool, propose)
        else:
            propose()

    sleeper = asyncio.create_task(sleep_on())
    await asyncio.sleep(10 * SLEEP_S)
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        begin = time.perf_counter()
        await asyncio.gather(*(plan(pool) for _ in range(plans)))
        seconds = time.perf_counter() - begin
    await asyncio.sleep(10 * SLEEP_S)
    sleeper.cancel()
    return delays, seconds


def main() -> None:
    """Print a row for the loop itself and for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--plans", type=int, default=10, help="number of plans due at once (default: 10)"
    )
    options = parser.parse_args()
    seconds, propose = slowest()
    print(f"one proposal: {1000 * seconds:.0f} ms; the operator plans in {PLANNER_THREADS} threads")
    alone = 0.0
    for threads in (0, 1, 2, 4, 8, 32):
        delays, total = asyncio.run(loop_delays(propose, options.plans, threads))
        longest = max(delays)
        alone = alone or longest
        where = f"{threads} threads" if threads else "in the loop"
        late = f"late {1000 * longest:.0f} ms at most, {1000 * median(delays):.1f} in the median"
        print(f"{where}: {late}, all after {total:.2f} s, ratio {longest / alone:.3f}")


if __name__ == "__main__":
    main()
