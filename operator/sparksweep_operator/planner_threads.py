"""Threads that plan, shared by all experiments in the order in which they ask, long plans one at a time.

A search's models take up to a third of a second, during which the event loop has others to serve. Two threads, so that one
long plan does not hold up all others; more would only wait for the interpreter's lock. Two long plans would hold up all
others again: the second one waits for the first, in the loop and not in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

PLANNER_THREADS = 2
LONG_S = 0.05
"""Seconds from which a plan is a long one."""

T = TypeVar("T")


class PlannerThreads:
    """The threads. Belongs to one event loop."""

    def __init__(self, threads: int = PLANNER_THREADS) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="planner")
        self._long = asyncio.Semaphore(1)

    async def run(self, make_plan: Callable[[], T], *, expected_s: float) -> tuple[T, float]:
        """Call a function in one of the threads.

        Args:
            make_plan: the function.
            expected_s: seconds that it takes, as far as that is known: those that it took the last time.

        Returns:
            Its result, and the seconds that it took.
        """

        def measured() -> tuple[T, float]:
            began = time.monotonic()
            result = make_plan()
            return result, time.monotonic() - began

        async with self._long if expected_s >= LONG_S else nullcontext():
            return await asyncio.get_running_loop().run_in_executor(self._pool, measured)
