"""Checks of every version that the objects of an experiment had."""

from __future__ import annotations

from typing import Any

from support.control_plane.lab import FINISHED, Lab

FINAL = ("state", "reason", "message", "metrics", "attempt", "startTime", "completionTime")
"""Fields of a trial's status that do not change after its end."""


class TrialHistory:
    """The versions of a namespace's batches. Read often: the API server has the events of about a minute."""

    def __init__(self, lab: Lab) -> None:
        """Begin with the namespace."""
        self._lab = lab
        self._since = lab.began
        self._specs: dict[tuple[str, int], Any] = {}
        self._ends: dict[tuple[str, int], Any] = {}
        self.versions = 0
        """Number of versions read so far."""

    def read(self) -> int:
        """Check that each trial keeps its parameters, and after its end its outcome; return the number of versions so far."""
        history = self._lab.api.history("trialbatches", self._since)
        for event in history.events:
            if event["type"] != "DELETED":
                self._check(event["object"])
        self._since = history.version
        return self.versions

    def _check(self, batch: dict[str, Any]) -> None:
        self.versions += 1
        uid = batch["metadata"]["ownerReferences"][0]["uid"]
        for trial in batch["spec"]["trials"]:
            before = self._specs.setdefault((uid, trial["number"]), trial)
            assert before == trial, f"trial {trial['number']} has changed: {before} -> {trial}"
        for trial in batch.get("status", {}).get("trials", []):
            key = uid, trial["number"]
            end = {name: trial.get(name) for name in FINAL}
            if key in self._ends:
                assert self._ends[key] == end, f"an ended trial has changed: {self._ends[key]} -> {end}"  # fmt: skip
            elif trial["state"] in FINISHED:
                self._ends[key] = end
        states = {trial["number"]: trial["state"] for trial in batch.get("status", {}).get("trials", [])}  # fmt: skip
        for trial in batch["spec"]["trials"]:
            if (uid, trial["number"]) in self._ends:
                assert states.get(trial["number"]) in FINISHED, f"trial {trial['number']} has no end any more"  # fmt: skip
