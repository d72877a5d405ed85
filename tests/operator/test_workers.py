"""Each experiment's loop: when it takes a result, how long it waits, when it ends.

The event loop's time is not the cache's: where every task waits, it jumps to the moment of the next timer.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from sparksweep_operator import workers as module
from sparksweep_operator.cache import Key
from sparksweep_operator.kube import Conflict, Forbidden, NotFound, Unavailable
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import IDLE, Result
from sparksweep_operator.workers import ExperimentWorkers

KEY = ("lab", "digits")
OTHER = ("lab", "other")


class _Jumps(selectors.SelectSelector):
    """Waits for nothing: it moves the loop's clock on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("every task waits for another")
        self.now += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumps = _Jumps()
        super().__init__(self.jumps)

    def time(self) -> float:
        return self.jumps.now


class Runs:
    """Runs that are results from a list, the last of them again and again."""

    def __init__(self, *results: Result | Exception, over: bool = False) -> None:
        self.results = list(results)
        self.over = over
        self.at: list[float] = []
        self.memos: list[Memo] = []
        self.before_end: Callable[[], Awaitable[None]] | None = None
        self.workers = ExperimentWorkers(self.reconcile, lambda key: self.over)

    async def reconcile(self, key: Key, memo: Memo) -> Result:
        self.at.append(asyncio.get_running_loop().time())
        self.memos.append(memo)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if self.before_end is not None:
            await self.before_end()
        if isinstance(result, Exception):
            raise result
        return result


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(test)


def result(*, wrote: bool = False, again: float | None = None) -> Result:
    return Result(wrote, None if again is None else timedelta(seconds=again))


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)


def test_many_wakes_before_a_turn_make_one_turn() -> None:
    async def test() -> None:
        runs = Runs(result())
        for _ in range(100):
            runs.workers.enqueue(KEY)
        await asyncio.sleep(10)
        assert runs.at == [0]
        await runs.workers.close()

    run(test())


def test_many_wakes_during_a_turn_make_one_more() -> None:
    async def test() -> None:
        runs = Runs(result())

        async def enqueue_often() -> None:
            for _ in range(100):
                runs.workers.enqueue(KEY)
            await asyncio.sleep(1)
            runs.before_end = None

        runs.before_end = enqueue_often
        runs.workers.enqueue(KEY)
        await asyncio.sleep(10)
        assert runs.at == [0, 1]
        await runs.workers.close()

    run(test())


def test_a_turn_that_wrote_the_status_is_followed_a_second_later_at_the_soonest() -> None:
    async def test() -> None:
        runs = Runs(result(wrote=True))
        runs.workers.enqueue(KEY)
        for _ in range(41):
            await asyncio.sleep(0.125)
            runs.workers.enqueue(KEY)
        assert runs.at == [0, 1, 2, 3, 4, 5]
        await runs.workers.close()

    run(test())


def test_a_turn_that_wrote_nothing_is_followed_at_once_when_there_is_news() -> None:
    async def test() -> None:
        runs = Runs(result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(0.25)
        runs.workers.enqueue(KEY)
        await asyncio.sleep(0.25)
        assert runs.at == [0, 0.25]
        await runs.workers.close()

    run(test())


def test_a_turn_comes_again_when_it_asked_for_it_and_now_and_then_anyway() -> None:
    async def test() -> None:
        runs = Runs(result(again=7), result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(module.RESYNC_S + 8)
        assert runs.at == [0, 7, 7 + module.RESYNC_S]
        await runs.workers.close()

    run(test())


def test_a_distant_moment_is_reached_in_steps() -> None:
    async def test() -> None:
        runs = Runs(result(again=10 * module.RESYNC_S))
        runs.workers.enqueue(KEY)
        await asyncio.sleep(2 * module.RESYNC_S + 1)
        assert runs.at == [0, module.RESYNC_S, 2 * module.RESYNC_S]
        await runs.workers.close()

    run(test())


def test_an_api_server_that_is_away_is_asked_ever_more_rarely_but_never_after_a_minute() -> None:
    async def test() -> None:
        runs = Runs(Unavailable("no answer"))
        runs.workers.enqueue(KEY)
        await asyncio.sleep(60)
        pauses = [after - before for before, after in zip(runs.at, runs.at[1:], strict=False)]
        assert pauses[:4] == [1, 2, 4, 8]
        assert set(pauses[4:]) == {module.LONGEST_OUTAGE_BACKOFF_S}
        await runs.workers.close()

    run(test())


def test_an_api_server_that_asks_to_wait_is_obeyed() -> None:
    async def test() -> None:
        runs = Runs(Unavailable("too many requests", 30.0), result())
        runs.workers.enqueue(KEY)
        for _ in range(20):
            await asyncio.sleep(1)
            runs.workers.enqueue(KEY)
        assert runs.at == [0], "news do not shorten the pause"
        await asyncio.sleep(11)
        assert runs.at == [0, 30]
        await runs.workers.close()

    run(test())


def test_any_other_failure_is_tried_again_within_a_minute() -> None:
    async def test() -> None:
        runs = Runs(*[Forbidden("pods is forbidden")] * 3, *[ValueError("ours")] * 9, result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1000)
        pauses = [after - before for before, after in zip(runs.at, runs.at[1:], strict=False)]
        assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert max(pauses[:12]) == module.LONGEST_BACKOFF_S
        await runs.workers.close()

    run(test())


@pytest.mark.parametrize("error", [Conflict("is being deleted"), NotFound("is gone")])
def test_one_who_was_too_late_or_too_early_looks_again_soon(error: Exception) -> None:
    """An earlier experiment's objects may take half a minute to be gone."""

    async def test() -> None:
        runs = Runs(*[error] * 15, result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(60)
        assert len(runs.at) >= 16, runs.at
        pauses = [after - before for before, after in zip(runs.at, runs.at[1:], strict=False)]
        assert min(pauses) >= 0.5
        await runs.workers.close()

    run(test())


def test_a_turn_that_worked_ends_the_pauses() -> None:
    async def test() -> None:
        runs = Runs(ValueError(), ValueError(), result(again=1), ValueError(), result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(20)
        assert runs.at == [0, 1, 3, 4, 5]
        await runs.workers.close()

    run(test())


def test_the_loop_ends_with_the_experiment_and_starts_anew_on_later_news() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        runs = Runs(result(), over=True)
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == before
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(runs.at) == 2
        assert runs.memos[0] is not runs.memos[1]
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_the_loop_stays_while_something_is_still_to_come() -> None:
    async def test() -> None:
        runs = Runs(result(again=50), result(), over=True)
        runs.workers.enqueue(KEY)
        await asyncio.sleep(51)
        assert runs.at == [0, 50]
        await runs.workers.close()

    run(test())


def test_news_that_come_in_the_last_turn_are_not_lost() -> None:
    async def test() -> None:
        runs = Runs(result(), over=True)

        async def enqueue() -> None:
            runs.before_end = None
            runs.workers.enqueue(KEY)

        runs.before_end = enqueue
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(runs.at) == 2

    run(test())


def test_experiments_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        runs = Runs(result())

        async def hang() -> None:
            runs.before_end = None
            await asyncio.sleep(1000)

        runs.before_end = hang
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        runs.workers.enqueue(OTHER)
        await asyncio.sleep(1)
        assert runs.at == [0, 1]
        await runs.workers.close()

    run(test())


def test_closing_ends_everything_at_once() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        runs = Runs(result(wrote=True), Unavailable("no answer"))
        runs.workers.enqueue(KEY)
        runs.workers.enqueue(OTHER)
        await asyncio.sleep(0.5)
        started = asyncio.get_running_loop().time()
        await runs.workers.close()
        assert asyncio.get_running_loop().time() == started
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_closing_ends_a_loop_that_has_just_been_woken() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        runs = Runs(result())
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        runs.workers.enqueue(KEY)
        await runs.workers.close()
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_news_after_the_close_start_nothing() -> None:
    async def test() -> None:
        runs = Runs(result())
        await runs.workers.close()
        runs.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert runs.at == []

    run(test())


def test_what_waits_for_a_turn_has_an_age_until_it_has_had_one_that_went_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ages: list[float] = []

    class Watched(Runs):
        async def reconcile(self, key: Key, memo: Memo) -> Result:
            nonlocal now
            ages.append(self.workers.queue_age_s())
            now += 7
            return await super().reconcile(key, memo)

    async def run() -> None:
        runs = Watched(Unavailable("down"), IDLE, over=True)
        assert runs.workers.queue_age_s() == 0
        runs.workers.enqueue(KEY)
        await asyncio.sleep(0.1)
        assert runs.workers.queue_age_s() == 7, "it failed, and waits for another result"
        await asyncio.sleep(60)
        assert runs.workers.queue_age_s() == 0

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(run())
    assert ages == [0, 0]
