"""Each experiment's loop: when it takes a turn, how long it waits, when it ends.

The event loop's time is not the world's: where every task waits, it jumps to the moment of the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from sparksweep_operator import workers as module
from sparksweep_operator.cache import Key
from sparksweep_operator.kube import Conflict, Forbidden, NotFound, Unavailable
from sparksweep_operator.reconciler import IDLE, Memory, Turn
from sparksweep_operator.workers import Loops

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


class Turns:
    """Turns that are played from a list, the last of them again and again."""

    def __init__(self, *played: Turn | Exception, over: bool = False) -> None:
        self.played = list(played)
        self.over = over
        self.at: list[float] = []
        self.memories: list[Memory] = []
        self.before_end: Callable[[], Awaitable[None]] | None = None
        self.loops = Loops(self.take, lambda key: self.over)

    async def take(self, key: Key, memory: Memory) -> Turn:
        self.at.append(asyncio.get_running_loop().time())
        self.memories.append(memory)
        turn = self.played.pop(0) if len(self.played) > 1 else self.played[0]
        if self.before_end is not None:
            await self.before_end()
        if isinstance(turn, Exception):
            raise turn
        return turn


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(test)


def turn(*, wrote: bool = False, again: float | None = None) -> Turn:
    return Turn(wrote, None if again is None else timedelta(seconds=again))


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.random, "uniform", lambda low, high: 1.0)


def test_many_wakes_before_a_turn_make_one_turn() -> None:
    async def test() -> None:
        turns = Turns(turn())
        for _ in range(100):
            turns.loops.wake(KEY)
        await asyncio.sleep(10)
        assert turns.at == [0]
        await turns.loops.close()

    run(test())


def test_many_wakes_during_a_turn_make_one_more() -> None:
    async def test() -> None:
        turns = Turns(turn())

        async def wake_often() -> None:
            for _ in range(100):
                turns.loops.wake(KEY)
            await asyncio.sleep(1)
            turns.before_end = None

        turns.before_end = wake_often
        turns.loops.wake(KEY)
        await asyncio.sleep(10)
        assert turns.at == [0, 1]
        await turns.loops.close()

    run(test())


def test_a_turn_that_wrote_the_status_is_followed_a_second_later_at_the_soonest() -> None:
    async def test() -> None:
        turns = Turns(turn(wrote=True))
        turns.loops.wake(KEY)
        for _ in range(41):
            await asyncio.sleep(0.125)
            turns.loops.wake(KEY)
        assert turns.at == [0, 1, 2, 3, 4, 5]
        await turns.loops.close()

    run(test())


def test_a_turn_that_wrote_nothing_is_followed_at_once_when_there_is_news() -> None:
    async def test() -> None:
        turns = Turns(turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(0.25)
        turns.loops.wake(KEY)
        await asyncio.sleep(0.25)
        assert turns.at == [0, 0.25]
        await turns.loops.close()

    run(test())


def test_a_turn_comes_again_when_it_asked_for_it_and_now_and_then_anyway() -> None:
    async def test() -> None:
        turns = Turns(turn(again=7), turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(module.RESYNC_S + 8)
        assert turns.at == [0, 7, 7 + module.RESYNC_S]
        await turns.loops.close()

    run(test())


def test_a_distant_moment_is_reached_in_steps() -> None:
    async def test() -> None:
        turns = Turns(turn(again=10 * module.RESYNC_S))
        turns.loops.wake(KEY)
        await asyncio.sleep(2 * module.RESYNC_S + 1)
        assert turns.at == [0, module.RESYNC_S, 2 * module.RESYNC_S]
        await turns.loops.close()

    run(test())


def test_an_api_server_that_is_away_is_asked_ever_more_rarely_but_never_after_a_minute() -> None:
    async def test() -> None:
        turns = Turns(Unavailable("no answer"))
        turns.loops.wake(KEY)
        await asyncio.sleep(60)
        pauses = [after - before for before, after in zip(turns.at, turns.at[1:], strict=False)]
        assert pauses[:4] == [1, 2, 4, 8]
        assert set(pauses[4:]) == {module.LONGEST_OUTAGE_PAUSE_S}
        await turns.loops.close()

    run(test())


def test_an_api_server_that_asks_to_wait_is_obeyed() -> None:
    async def test() -> None:
        turns = Turns(Unavailable("too many requests", 30.0), turn())
        turns.loops.wake(KEY)
        for _ in range(20):
            await asyncio.sleep(1)
            turns.loops.wake(KEY)
        assert turns.at == [0], "news do not shorten the pause"
        await asyncio.sleep(11)
        assert turns.at == [0, 30]
        await turns.loops.close()

    run(test())


def test_any_other_failure_is_tried_again_within_a_minute() -> None:
    async def test() -> None:
        turns = Turns(*[Forbidden("pods is forbidden")] * 3, *[ValueError("ours")] * 9, turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(1000)
        pauses = [after - before for before, after in zip(turns.at, turns.at[1:], strict=False)]
        assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert max(pauses[:12]) == module.LONGEST_PAUSE_S
        await turns.loops.close()

    run(test())


@pytest.mark.parametrize("error", [Conflict("is being deleted"), NotFound("is gone")])
def test_one_who_was_too_late_or_too_early_looks_again_soon(error: Exception) -> None:
    """An earlier experiment's objects may take half a minute to be gone."""

    async def test() -> None:
        turns = Turns(*[error] * 15, turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(60)
        assert len(turns.at) >= 16, turns.at
        pauses = [after - before for before, after in zip(turns.at, turns.at[1:], strict=False)]
        assert min(pauses) >= 0.5
        await turns.loops.close()

    run(test())


def test_a_turn_that_worked_ends_the_pauses() -> None:
    async def test() -> None:
        turns = Turns(ValueError(), ValueError(), turn(again=1), ValueError(), turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(20)
        assert turns.at == [0, 1, 3, 4, 5]
        await turns.loops.close()

    run(test())


def test_the_loop_ends_with_the_experiment_and_starts_anew_on_later_news() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        turns = Turns(turn(), over=True)
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == before
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        assert len(turns.at) == 2
        assert turns.memories[0] is not turns.memories[1]
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_the_loop_stays_while_something_is_still_to_come() -> None:
    async def test() -> None:
        turns = Turns(turn(again=50), turn(), over=True)
        turns.loops.wake(KEY)
        await asyncio.sleep(51)
        assert turns.at == [0, 50]
        await turns.loops.close()

    run(test())


def test_news_that_come_in_the_last_turn_are_not_lost() -> None:
    async def test() -> None:
        turns = Turns(turn(), over=True)

        async def wake() -> None:
            turns.before_end = None
            turns.loops.wake(KEY)

        turns.before_end = wake
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        assert len(turns.at) == 2

    run(test())


def test_experiments_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        turns = Turns(turn())

        async def hang() -> None:
            turns.before_end = None
            await asyncio.sleep(1000)

        turns.before_end = hang
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        turns.loops.wake(OTHER)
        await asyncio.sleep(1)
        assert turns.at == [0, 1]
        await turns.loops.close()

    run(test())


def test_closing_ends_everything_at_once() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        turns = Turns(turn(wrote=True), Unavailable("no answer"))
        turns.loops.wake(KEY)
        turns.loops.wake(OTHER)
        await asyncio.sleep(0.5)
        started = asyncio.get_running_loop().time()
        await turns.loops.close()
        assert asyncio.get_running_loop().time() == started
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_closing_ends_a_loop_that_has_just_been_woken() -> None:
    async def test() -> None:
        before = len(asyncio.all_tasks())
        turns = Turns(turn())
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        turns.loops.wake(KEY)
        await turns.loops.close()
        assert len(asyncio.all_tasks()) == before

    run(test())


def test_news_after_the_close_start_nothing() -> None:
    async def test() -> None:
        turns = Turns(turn())
        await turns.loops.close()
        turns.loops.wake(KEY)
        await asyncio.sleep(1)
        assert turns.at == []

    run(test())


def test_what_waits_for_a_turn_has_an_age_until_it_has_had_one_that_went_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    ages: list[float] = []

    class Watched(Turns):
        async def take(self, key: Key, memory: Memory) -> Turn:
            nonlocal now
            ages.append(self.loops.oldest_wake_s())
            now += 7
            return await super().take(key, memory)

    async def run() -> None:
        turns = Watched(Unavailable("down"), IDLE, over=True)
        assert turns.loops.oldest_wake_s() == 0
        turns.loops.wake(KEY)
        await asyncio.sleep(0.1)
        assert turns.loops.oldest_wake_s() == 7, "it failed, and waits for another turn"
        await asyncio.sleep(60)
        assert turns.loops.oldest_wake_s() == 0

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(run())
    assert ages == [0, 0]
