"""The invariants, checked on every version that the objects had, and at the end."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

from urllib3.exceptions import HTTPError

from chaos.scene import Scene
from support.control_plane.driver_threads import score
from support.control_plane.histories import TrialHistory
from support.control_plane.kube_api import Refused
from support.control_plane.lab import FINISHED, STATES

HISTORY_S = 5.0
"""Seconds between two readings of the versions of batches: the API server has those of about a minute."""


class BrokenInvariant(AssertionError):
    """Something that must always hold does not; the message says what."""


class Watcher:
    """Compares each look at the objects with the last one."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._best: dict[str, float] = {}
        self._ended: dict[str, int] = {}
        self._history = TrialHistory(scene.lab)
        self._read_at = time.monotonic()
        self.looks = 0

    @property
    def ended(self) -> int:
        """Number of trials that have ended, of all experiments so far."""
        return sum(self._ended.values())

    @property
    def versions(self) -> int:
        """Number of versions of batches that were checked."""
        return self._history.versions

    def look(self) -> None:
        """Check the Experiment's status, and at times the versions of batches since the last time.

        Raises:
            BrokenInvariant: counts do not add up, a trial is no longer finished, or the best metric got worse.
        """
        if time.monotonic() - self._read_at > HISTORY_S:
            self.read_history()
        body = self._scene.lab.api.find("experiments", self._scene.name)
        if body is None or not body.get("status"):
            return
        self.looks += 1
        uid, status = body["metadata"]["uid"], body["status"]
        counts = status["trials"]
        _demand(counts["created"] == sum(counts[state] for state in STATES), f"counts: {counts}")
        ended = sum(counts[state] for state in ("succeeded", "failed", "stopped"))
        _demand(ended >= self._ended.get(uid, 0), f"{ended} trials ended, {self._ended.get(uid)} before")  # fmt: skip
        self._ended[uid] = ended
        best = (status.get("bestTrial") or {}).get("objective")
        if best is not None:
            before = self._best.get(uid, -math.inf)
            _demand(best >= before, f"the best metric was {before} and is {best}")
            self._best[uid] = best
        _demand("finalizers" not in body["metadata"], "a finalizer")

    def read_history(self) -> None:
        """Check all versions of all batches since the last time.

        Raises:
            AssertionError: a trial's parameters have changed, or the outcome of one that had ended.
        """
        self._read_at = time.monotonic()
        try:
            self._history.read()
        except (Refused, OSError, HTTPError) as error:
            # The API server is away: the next time.
            if isinstance(error, Refused) and error.code < 500:
                raise


def check_end(scene: Scene, expected: dict[str, Any]) -> int:
    """Check the final state of an experiment that has ended; return its number of trials.

    Raises:
        BrokenInvariant: a trial is missing, ran after its end, or counts twice; the best is not the best.
    """
    status = scene.lab.status(scene.name)
    uid = expected["metadata"]["uid"]
    condition = scene.lab.condition("Complete", scene.name)
    _demand(condition["status"] == "True", f"it ended with {status['conditions']}")
    batches = scene.lab.batches(scene.name)
    specs = {trial["number"]: trial for batch in batches for trial in batch["spec"]["trials"]}
    trials = [trial for batch in batches for trial in batch["status"]["trials"]]
    numbers = Counter(trial["number"] for trial in trials)
    _demand(numbers.keys() == specs.keys(), f"{len(specs)} trials, {len(numbers)} with a status")
    _demand(set(numbers.values()) == {1}, f"a trial with two statuses: {numbers.most_common(3)}")
    _demand(sorted(specs) == list(range(1, len(specs) + 1)), "numbers are missing")
    size = expected["spec"].get("maxTrialCount") or int(
        expected["spec"]["parameters"][0]["feasibleSpace"]["max"]
    )
    _demand(len(specs) == size, f"{len(specs)} trials of {size}")
    points = Counter(trial["parameters"]["x"] for trial in specs.values())
    _demand(max(points.values()) == 1, f"a point that was tried twice: {points.most_common(1)}")
    _demand({trial["state"] for trial in trials} <= set(FINISHED), "a trial that has not ended")
    states = Counter(trial["state"] for trial in trials)
    for state in FINISHED:
        counted = status["trials"][state.lower()]
        _demand(counted == states[state], f"{counted} {state} in the status, {states[state]} in the batches")  # fmt: skip
    for trial in trials:
        if trial["state"] == "Succeeded":
            value = {"score": score(specs[trial["number"]]["parameters"])}
            _demand(trial["metrics"] == value, f"trial {trial['number']}: {trial['metrics']}")
    best = max((trial["metrics"]["score"] for trial in trials if trial["state"] == "Succeeded"), default=None)  # fmt: skip
    _demand((status.get("bestTrial") or {}).get("objective") == best, f"best: {best}")
    _check_plays(scene, uid, {trial["number"]: trial["attempt"] for trial in trials})
    return size


def _check_plays(scene: Scene, uid: str, attempts: dict[int, int]) -> None:
    """Check that nothing ran after the attempt that counts: an ended trial never runs again."""
    for driver, number, attempt in scene.scripts[uid].plays:
        last = attempts[number]
        _demand(attempt <= last, f"trial {number} ended with attempt {last}, {driver} began {attempt}")  # fmt: skip


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise BrokenInvariant(message)
