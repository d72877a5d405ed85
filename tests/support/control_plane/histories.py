"""Checks of every version that the objects of an experiment had."""

from __future__ import annotations

from typing import Any

from support.control_plane.lab import FINISHED, Lab

FINAL = ("state", "reason", "message", "metrics", "attempt", "startTime", "completionTime")
"""Fields of a trial's status that do not change after its end."""


def check_trials(lab: Lab) -> int:
    """Check that each trial keeps its parameters, and after its end its outcome; return the number of versions read."""
    specs: dict[tuple[str, int], Any] = {}
    ends: dict[tuple[str, int], Any] = {}
    versions = 0
    for event in lab.api.history("trialbatches", lab.began):
        batch = event["object"]
        uid = batch["metadata"]["ownerReferences"][0]["uid"]
        if event["type"] == "DELETED":
            continue
        versions += 1
        for trial in batch["spec"]["trials"]:
            before = specs.setdefault((uid, trial["number"]), trial)
            assert before == trial, f"trial {trial['number']} has changed: {before} -> {trial}"
        for trial in batch.get("status", {}).get("trials", []):
            key = uid, trial["number"]
            end = {name: trial.get(name) for name in FINAL}
            if key in ends:
                assert ends[key] == end, f"an ended trial has changed: {ends[key]} -> {end}"
            elif trial["state"] in FINISHED:
                ends[key] = end
    return versions
