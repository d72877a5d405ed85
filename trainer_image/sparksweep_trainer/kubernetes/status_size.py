"""Bounds a TrialBatch's status in bytes as etcd stores it. Pure.

Messages are bounded when they are made, and ordinary statuses are far below the bound. Of one that is not, messages are
shortened first, then reports, then metrics other than the objective are left out, each with a note in the trial's message.
"""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import limits
from sparksweep_core.stored_size import shortened, stored_bytes

Json = dict[str, Any]

MESSAGE_STEPS = (2048, 1024, 512, 256, 128)
"""Bytes to which messages are shortened, one step after the other until the status fits."""
SMALLEST_BYTES = 64 * 1024
"""Bytes below which no status is shortened: an API server that refuses that refuses it for another reason."""
NOTE = "({} metrics of this trial were left out of the TrialBatch, which would be too large for etcd; its files have them)"


def fit(status: Json, *, objective: str | None, limit: int = limits.BATCH_STATUS_BYTES) -> Json:
    """Return a status of at most `limit` stored bytes, or the smallest there is.

    Args:
        status: the status; it is not changed.
        objective: name of the metric that is kept to the last; None if there is none.
        limit: bytes.
    """
    if stored_bytes(status) <= limit:
        return status
    trials: list[Json] = [dict(trial) for trial in status["trials"]]
    smaller = {**status, "trials": trials}
    for step in MESSAGE_STEPS:
        if smaller.get("refused"):
            smaller["refused"] = shortened(smaller["refused"], max(step, 1024))
        for trial in trials:
            if trial.get("message"):
                trial["message"] = shortened(trial["message"], step)
        if stored_bytes(smaller) <= limit:
            return smaller
    over = stored_bytes(smaller) - limit
    for part in ("reported", "metrics"):
        # The largest first: a batch of a few extravagant trials keeps the rest whole.
        for trial in sorted(trials, key=lambda trial: -stored_bytes(trial.get(part))):
            if over <= 0:
                return smaller
            before = stored_bytes(trial)
            _leave_out(trial, part, objective)
            over -= before - stored_bytes(trial)
    return smaller


def _leave_out(trial: Json, part: str, objective: str | None) -> None:
    """Remove the metrics of one part of a trial's status, the objective's excepted, and say so in its message."""
    value = trial.get(part)
    if not value:
        return
    metrics: dict[str, float] = value["metrics"] if part == "reported" else value
    kept = {name: number for name, number in metrics.items() if name == objective}
    left_out = len(metrics) - len(kept)
    if not left_out:
        return
    trial[part] = {**value, "metrics": kept} if part == "reported" else kept
    note = NOTE.format(left_out)
    lines = [line for line in (trial.get("message") or "").split("\n") if not _is_note(line)]
    trial["message"] = "\n".join([*filter(None, lines), note])


def _is_note(line: str) -> bool:
    return line.startswith("(") and line.endswith(NOTE.partition("{}")[2])
