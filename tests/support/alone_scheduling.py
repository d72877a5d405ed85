"""Scheduling of tests by pytest-xdist when some are marked ``alone``: those run after all others, one at a time.

Two workers share one cluster. A test that takes a node's power away, stops the operator or counts what all namespaces do
is marked ``alone``: one worker runs it while the other has ended. Tests marked ``looks_back`` are the last of these.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler.loadgroup import LoadGroupScheduling
from xdist.workermanage import WorkerController

_GROUP = "alone-"


def mark_and_sort(items: list[pytest.Item]) -> None:
    """Put the tests that run alone behind the others, each into a group of its own."""
    items.sort(key=_rank)
    for number, item in enumerate(items):
        if _rank(item):
            item.add_marker(pytest.mark.xdist_group(f"{_GROUP}{number}"))


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("looks_back") is not None:
        return 2
    return int(item.get_closest_marker("alone") is not None)


class AloneScheduling(LoadGroupScheduling):
    """``--dist loadgroup``, but for tests in a group that `mark_and_sort` has made.

    A worker starts a test when it knows which one follows, or that none does. So the last worker gets the first of the
    tests that run alone at any time, and the second one only when the other workers have nothing left.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._last: WorkerController | None = None
        self._backlog = 3
        """Tests that a worker has at least, as in pytest-xdist; fewer where they are long, so that both end together."""

    @property
    def tests_finished(self) -> bool:
        """Return True if no worker has a test left but the one that it runs."""
        return super().tests_finished and not any(self._must_wait(node) for node in self.nodes)

    def schedule(self) -> None:
        """Hand out the first tests; called again, those for a worker that has replaced another."""
        assert self.collection_is_completed
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = list(next(iter(self.registered_collections.values())))
            units: dict[str, dict[str, bool]] = {}
            for nodeid in self.collection:
                units.setdefault(self._split_scope(nodeid), {})[nodeid] = False
            for group in sorted(units, key=lambda name: (_is_alone(name), -len(units[name]))):
                self.workqueue[group] = units[group]
            if any(map(_is_alone, units)):
                self._backlog = 2
        for node in self.nodes:
            self._reschedule(node)

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Note that a test has ended, and hand out more."""
        super().mark_test_complete(node, item_index, duration)
        if self._last is not None:
            self._reschedule(self._last)

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that has ended or crashed; return the test that it ran when it crashed."""
        if node is self._last:
            self._last = None
        return super().remove_node(node)

    def _reschedule(self, node: WorkerController) -> None:
        while not node.shutting_down and self._pending(node) < self._backlog:
            if self._must_wait(node):
                return
            alone = bool(self.workqueue) and _is_alone(next(iter(self.workqueue)))
            if not self.workqueue or (alone and self._last not in (None, node)):
                node.shutdown()
                return
            if alone:
                self._last = node
            self._assign_work_unit(node)

    def _must_wait(self, node: WorkerController) -> bool:
        """Return True if the worker's next test runs alone and another worker is not done."""
        unfinished = [
            group for group, tests in self.assigned_work[node].items() if not all(tests.values())
        ]
        others = any(self._pending(other) for other in self.nodes if other is not node)
        return bool(unfinished) and _is_alone(unfinished[0]) and others

    def _pending(self, node: WorkerController) -> int:
        return self._pending_of(self.assigned_work[node])


def _is_alone(group: str) -> bool:
    # Behind the name of a group that the test is in as well.
    return _GROUP in group


def scheduler(config: pytest.Config, log: Any) -> AloneScheduling | None:
    """Return the scheduler for ``--dist loadgroup``, None for any other."""
    return AloneScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
