"""Tests that run alone start when every other test has ended, whatever the other worker is at."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from support.alone_scheduling import AloneScheduling

CONFIG: Any = SimpleNamespace(getvalue={"tx": ["2*popen"]}.get, option=SimpleNamespace())


class Worker:
    """Runs its first test when it knows the next one, or that none follows, as a worker of pytest-xdist does."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.queue: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.queue += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def can_run(self) -> bool:
        return len(self.queue) > 1 or (self.shutting_down and bool(self.queue))


def run(collection: list[str], order: random.Random) -> list[tuple[str, list[str]]]:
    """Run all tests on two workers; return each test as it starts, with those that run at the same time."""
    workers: list[Any] = [Worker("gw0"), Worker("gw1")]
    scheduler = AloneScheduling(CONFIG)
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, collection)
    scheduler.schedule()
    started: list[tuple[str, list[str]]] = []
    running: dict[Any, int] = {}
    while True:
        if scheduler.tests_finished:
            for worker in workers:
                worker.shutdown()
        for worker in workers:
            if worker not in running and worker.can_run():
                beside = [collection[index] for index in running.values()]
                running[worker] = worker.queue[0]
                started.append((collection[running[worker]], beside))
        if not running:
            break
        done = order.choice(list(running))
        done.queue.pop(0)
        scheduler.mark_test_complete(done, running.pop(done))
        if done.shutting_down and not done.queue:
            assert scheduler.remove_node(done) is None
            workers.remove(done)
    assert all(worker.shutting_down and not worker.queue for worker in workers)
    return started


@pytest.mark.parametrize("alone", [0, 1, 2, 5])
@pytest.mark.parametrize("others", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("seed", range(5))
def test_every_test_runs_once_and_those_alone_at_the_end_by_themselves(
    alone: int, others: int, seed: int
) -> None:
    collection = [f"test_{number}" for number in range(others)]
    collection += [f"last_{number}@alone-{number}" for number in range(alone)]
    started = run(collection, random.Random(seed))
    assert sorted(name for name, _ in started) == sorted(collection)
    assert [name for name, _ in started if "@" in name] == collection[others:]
    for place, (name, beside) in enumerate(started):
        if "@" in name:
            assert beside == []
            assert place >= others


def test_two_workers_are_busy_until_the_tests_that_run_alone() -> None:
    collection = [f"test_{number}" for number in range(21)] + ["last@alone-1"]
    started = run(collection, random.Random(1))
    assert sum(bool(beside) for _, beside in started) >= 19
