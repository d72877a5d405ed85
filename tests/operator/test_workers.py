"""Workers: the times of reconciles, the back-off after failures, the end.

The event loop's clock is simulated: when all tasks wait, it jumps to the time of the next timer.
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
    """Selector that advances the loop's clock instead of waiting."""

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


class FakeReconciler:
    """A reconciler that returns or raises the given results in turn, the last one repeatedly."""

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


def test_many_changes_before_a_reconcile_cause_one() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())
        for _ in range(100):
            reconciler.workers.enqueue(KEY)
        await asyncio.sleep(10)
        assert reconciler.at == [0]
        await reconciler.workers.close()

    run(test())


def test_many_changes_during_a_reconcile_cause_one_more() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())

        async def enqueue_often() -> None:
            for _ in range(100):
                reconciler.workers.enqueue(KEY)
            await asyncio.sleep(1)
            reconciler.before_end = None

        reconciler.before_end = enqueue_often
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(10)
        assert reconciler.at == [0, 1]
        await reconciler.workers.close()

    run(test())


def test_changes_of_reports_cause_one_reconcile_in_ten_seconds_and_none_beside_another() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())
        enqueue = reconciler.workers.enqueue
        enqueue(KEY, urgent=False)
        await asyncio.sleep(0.5)
        assert reconciler.at == [0], "without a worker"
        for _ in range(50):
            enqueue(KEY, urgent=False)
            await asyncio.sleep(0.5)
        assert reconciler.at == [0, 10.5, 20.5]
        enqueue(KEY, urgent=False)
        enqueue(KEY)
        await asyncio.sleep(20)
        assert reconciler.at == [0, 10.5, 20.5, 25.5]
        enqueue(KEY, urgent=False)
        await reconciler.workers.close()
        await asyncio.sleep(20)
        assert len(reconciler.at) == 4

    run(test())


def test_after_a_write_of_the_status_the_next_reconcile_waits_a_second() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result(wrote=True))
        reconciler.workers.enqueue(KEY)
        for _ in range(41):
            await asyncio.sleep(0.125)
            reconciler.workers.enqueue(KEY)
        assert reconciler.at == [0, 1, 2, 3, 4, 5]
        await reconciler.workers.close()

    run(test())


def test_after_a_reconcile_that_wrote_nothing_a_change_is_handled_at_once() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(0.25)
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(0.25)
        assert reconciler.at == [0, 0.25]
        await reconciler.workers.close()

    run(test())


def test_a_requeue_comes_after_its_delay_and_a_resync_in_any_case() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result(again=7), result())
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(module.RESYNC_S + 8)
        assert reconciler.at == [0, 7, 7 + module.RESYNC_S]
        await reconciler.workers.close()

    run(test())


def test_a_distant_moment_is_reached_in_steps() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result(again=10 * module.RESYNC_S))
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(2 * module.RESYNC_S + 1)
        assert reconciler.at == [0, module.RESYNC_S, 2 * module.RESYNC_S]
        await reconciler.workers.close()

    run(test())


def test_an_outage_is_retried_with_growing_delays_below_a_minute() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(Unavailable("no answer"))
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(60)
        pauses = [
            after - before for before, after in zip(reconciler.at, reconciler.at[1:], strict=False)
        ]
        assert pauses[:4] == [1, 2, 4, 8]
        assert set(pauses[4:]) == {module.LONGEST_OUTAGE_BACKOFF_S}
        await reconciler.workers.close()

    run(test())


def test_an_api_server_that_asks_to_wait_is_obeyed() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(Unavailable("too many requests", 30.0), result())
        reconciler.workers.enqueue(KEY)
        for _ in range(20):
            await asyncio.sleep(1)
            reconciler.workers.enqueue(KEY)
        assert reconciler.at == [0], "changes do not shorten the back-off"
        await asyncio.sleep(11)
        assert reconciler.at == [0, 30]
        await reconciler.workers.close()

    run(test())


def test_any_other_failure_is_tried_again_within_a_minute() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(
            *[Forbidden("pods is forbidden")] * 3, *[ValueError("ours")] * 9, result()
        )
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1000)
        pauses = [
            after - before for before, after in zip(reconciler.at, reconciler.at[1:], strict=False)
        ]
        assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert max(pauses[:12]) == module.LONGEST_BACKOFF_S
        await reconciler.workers.close()

    run(test())


@pytest.mark.parametrize("error", [Conflict("is being deleted"), NotFound("is gone")])
def test_a_conflict_is_retried_soon(error: Exception) -> None:
    """Deleting an earlier experiment's objects may take half a minute."""

    async def test() -> None:
        reconciler = FakeReconciler(*[error] * 15, result())
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(60)
        assert len(reconciler.at) >= 16, reconciler.at
        pauses = [
            after - before for before, after in zip(reconciler.at, reconciler.at[1:], strict=False)
        ]
        assert min(pauses) >= 0.5
        await reconciler.workers.close()

    run(test())


def test_a_success_resets_the_back_off() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(
            ValueError(), ValueError(), result(again=1), ValueError(), result()
        )
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(20)
        assert reconciler.at == [0, 1, 3, 4, 5]
        await reconciler.workers.close()

    run(test())


def test_the_worker_ends_with_the_experiment_and_a_later_change_starts_another() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        reconciler = FakeReconciler(result(), over=True)
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == before
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(reconciler.at) == 2
        assert reconciler.memos[0] is not reconciler.memos[1]
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_the_worker_stays_while_a_requeue_is_due() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result(again=50), result(), over=True)
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(51)
        assert reconciler.at == [0, 50]
        await reconciler.workers.close()

    run(test())


def test_a_change_during_the_last_reconcile_is_not_lost() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result(), over=True)

        async def enqueue() -> None:
            reconciler.before_end = None
            reconciler.workers.enqueue(KEY)

        reconciler.before_end = enqueue
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert len(reconciler.at) == 2

    run(test())


def test_experiments_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())

        async def hang() -> None:
            reconciler.before_end = None
            await asyncio.sleep(1000)

        reconciler.before_end = hang
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        reconciler.workers.enqueue(OTHER)
        await asyncio.sleep(1)
        assert reconciler.at == [0, 1]
        await reconciler.workers.close()

    run(test())


def test_closing_ends_everything_at_once() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        reconciler = FakeReconciler(result(wrote=True), Unavailable("no answer"))
        reconciler.workers.enqueue(KEY)
        reconciler.workers.enqueue(OTHER)
        await asyncio.sleep(0.5)
        started = asyncio.get_running_loop().time()
        await reconciler.workers.close()
        assert asyncio.get_running_loop().time() == started
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_closing_ends_a_worker_that_has_just_been_enqueued() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        reconciler = FakeReconciler(result())
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        reconciler.workers.enqueue(KEY)
        await reconciler.workers.close()
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_a_change_after_the_close_starts_nothing() -> None:
    async def test() -> None:
        reconciler = FakeReconciler(result())
        await reconciler.workers.close()
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(1)
        assert reconciler.at == []

    run(test())


def test_a_change_has_an_age_until_a_reconcile_of_it_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ages: list[float] = []

    class Watched(FakeReconciler):
        async def reconcile(self, key: Key, memo: Memo) -> Result:
            nonlocal now
            ages.append(self.workers.queue_age_s())
            now += 7
            return await super().reconcile(key, memo)

    async def run() -> None:
        reconciler = Watched(Unavailable("down"), IDLE, over=True)
        assert reconciler.workers.queue_age_s() == 0
        reconciler.workers.enqueue(KEY)
        await asyncio.sleep(0.1)
        assert reconciler.workers.queue_age_s() == 7, (
            "the reconcile failed, so the change is still unhandled"
        )
        await asyncio.sleep(60)
        assert reconciler.workers.queue_age_s() == 0

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(run())
    assert ages == [0, 0]
