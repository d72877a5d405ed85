"""Statuses of batches in bytes as etcd stores them: any outcomes fit, and what is shortened says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import TrialBatchStatus, TrialState, TrialStatus, limits
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.stored_size import stored_bytes
from sparksweep_trainer.kubernetes.status_size import fit
from support.hypothesis_profiles import examples

WORST = "<"
LOSS = "loss"


def trial(number: int, **fields: Any) -> TrialStatus:
    ended: dict[str, Any] = {"state": TrialState.FAILED, "attempt": 1, "reason": "Exception"}
    return TrialStatus(number=number, **(ended | fields))


def status(trials: list[TrialStatus], **fields: Any) -> dict[str, Any]:
    return TrialBatchStatus(driver="digits-driver-0", trials=trials, **fields).to_dict()


def metrics(count: int, character: str = "m", *, length: int = 128) -> dict[str, float]:
    """Return metrics with names of the greatest length; the first is the objective."""
    names = [f"{index:03}".ljust(length, character) for index in range(count - 1)]
    return {LOSS: 0.5} | dict.fromkeys(names, -1.2345678901234567e-100)


def test_an_ordinary_status_is_left_as_it_is() -> None:
    whole = status([trial(n, message="x" * 2000, metrics={LOSS: 0.5}) for n in range(1, 101)])
    assert fit(whole, objective=LOSS) is whole


@pytest.mark.parametrize("character", ["<", "\x00", "文", "🙂", '"', "\u2028", "a"])
def test_messages_are_shortened_first_and_to_their_first_line_and_end(character: str) -> None:
    message = "ValueError: bad\n" + character * (limits.MESSAGE - 40) + "the end"
    trials = [trial(n, message=message, metrics=metrics(5)) for n in range(1, 101)]
    whole = status(trials)
    before = json.dumps(whole)
    fitted = fit(whole, objective=LOSS)
    assert stored_bytes(fitted) <= limits.BATCH_STATUS_BYTES
    assert json.dumps(whole) == before, "the writer's own status stays whole"
    for item in fitted["trials"]:
        assert item["message"].startswith("ValueError: bad")
        assert item["message"].endswith("the end")
        assert item["metrics"] == metrics(5)


def test_metrics_beyond_the_objective_are_left_out_last_and_the_message_says_so() -> None:
    running = [
        trial(
            n,
            state=TrialState.RUNNING,
            reason=None,
            reported=ReportedMetrics(step=3, metrics=metrics(32, WORST)),
        )
        for n in range(1, 51)
    ]
    ended = [trial(n, metrics=metrics(32, WORST), message="It ended.") for n in range(51, 101)]
    fitted = fit(status([*running, *ended]), objective=LOSS)
    assert stored_bytes(fitted) <= limits.BATCH_STATUS_BYTES
    assert [item["reported"]["metrics"] for item in fitted["trials"][:50]] == [{LOSS: 0.5}] * 50
    assert all("31 metrics" in item["message"] for item in fitted["trials"][:50])
    whole = [item for item in fitted["trials"][50:] if len(item["metrics"]) == 32]
    assert 0 < len(whole) < 50, "no more is left out than must be"
    for item in fitted["trials"][50:]:
        assert item["metrics"][LOSS] == 0.5
        assert item["message"].startswith("It ended.")
        assert (len(item["metrics"]) == 32) != ("31 metrics" in item["message"])


TEXT = st.text(st.sampled_from('<>&\x00\n"\\a文🙂\u2028'), max_size=60)
NAMES = st.text(st.sampled_from("<&a文🙂"), min_size=1, max_size=128)
LONG = st.tuples(TEXT, st.integers(1, 400)).map(lambda pair: (pair[0] * pair[1])[:4096])
METRICS = st.tuples(st.integers(0, 32), st.sampled_from('<"m文')).map(
    lambda pair: metrics(pair[0], pair[1]) if pair[0] else {}
)


@given(
    messages=st.lists(LONG | st.none(), min_size=1, max_size=5),
    measured=st.lists(METRICS, min_size=1, max_size=5),
    reported=st.lists(METRICS | st.none(), min_size=1, max_size=5),
    refused=LONG | st.none(),
    node=st.sampled_from(["node-1", "<" * 253]),
    objective=st.sampled_from([LOSS, None, "absent"]),
)
@examples(100)
def test_the_status_of_a_hundred_trials_fits_whatever_their_outcomes_are(
    messages: list[str | None],
    measured: list[dict[str, float]],
    reported: list[dict[str, float] | None],
    refused: str | None,
    node: str,
    objective: str | None,
) -> None:
    trials = []
    for n in range(1, limits.BATCH_TRIALS + 1):
        last = reported[n % len(reported)]
        trials.append(
            trial(
                n,
                message=messages[n % len(messages)],
                metrics=measured[n % len(measured)],
                reported=None if last is None else ReportedMetrics(step=2**62, metrics=last),
                node=node,
                duration_seconds=1.2345678901234567e10,
                peak_memory_bytes=2**50,
            )
        )
    whole = status(trials, refused=refused)
    fitted = fit(whole, objective=objective)
    assert stored_bytes(fitted) <= limits.BATCH_STATUS_BYTES
    read = TrialBatchStatus.from_api(fitted)
    assert [item.number for item in read.trials] == [item.number for item in trials]
    for before, after in zip(trials, read.trials, strict=True):
        assert (after.state, after.attempt, after.reason) == (
            before.state,
            before.attempt,
            before.reason,
        )
        assert after.metrics.get(objective or "") == before.metrics.get(objective or "")
        left_out = len(before.metrics) > len(after.metrics)
        assert not left_out or "left out" in (after.message or "")


def test_the_worst_of_all_trials_fits() -> None:
    worst = "<" * 128
    trials = [
        trial(
            n,
            message=WORST * limits.MESSAGE,
            metrics=metrics(31, WORST) | {worst: 0.5},
            reported=ReportedMetrics(step=1, metrics=metrics(31, WORST) | {worst: 0.5}),
            node=WORST * 253,
        )
        for n in range(1, 101)
    ]
    whole = status(trials, refused=WORST * limits.MESSAGE)
    assert stored_bytes(whole) > 4 * limits.OBJECT_BYTES
    assert stored_bytes(fit(whole, objective=worst)) <= limits.BATCH_STATUS_BYTES
