"""Garbage collection of processes that serve many."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
import sparksweep_core.api
from sparksweep_core import garbage

before = len(gc.get_objects())
garbage.collect_rarely()
print(before, len(gc.get_objects()), gc.get_freeze_count(), *gc.get_threshold())
"""


def test_objects_that_exist_are_in_no_later_collection() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    before, after, frozen, *thresholds = map(int, done.stdout.split())
    assert after < before / 10
    assert frozen > before / 2
    assert thresholds == [20_000, 10, 10]
