"""Many experiments at once, and namesakes in two namespaces: nothing is mixed up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment

# Eleven drivers and their executors take half of the machine's memory.
pytestmark = [pytest.mark.nodes, pytest.mark.alone]

SOURCE = """
import time

def training(x):
    time.sleep(0.3)
    return {offset} - abs(x - 7.5) - x / 1000
"""


def test_namesakes_in_two_namespaces_and_ten_at_once_in_one(
    make_namespace: Callable[[], Namespace],
) -> None:
    first, second = make_namespace(), make_namespace()
    for offset, namespace in ((100, first), (200, second)):
        namespace.apply(
            experiment("same", trials=8, source=SOURCE.format(offset=offset), parallel=1)
        )
    for number in range(9):
        source = SOURCE.format(offset=1000 * number)
        first.apply(experiment(f"one-of-{number}", trials=8, source=source, parallel=1))
    expected = [(first, "same", 100), (second, "same", 200)]
    expected += [(first, f"one-of-{number}", 1000 * number) for number in range(9)]
    for namespace, name, offset in expected:
        namespace.wait_until_finished(name, timeout_s=400)
        status = namespace.assert_complete(name, trials=8)
        assert status["bestTrial"]["objective"] == pytest.approx(offset - 0.507)
