"""Random courses of an experiment's batches, for tests that compare a long-lived history with a new one."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import strategies as st

from sparksweep_core.api import (
    ObjectMeta,
    Stop,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialReason,
    TrialSpec,
    TrialState,
    TrialStatus,
    batch_name,
)
from sparksweep_core.contract.annotations import ENDING_ANNOTATION, SEED_ANNOTATION
from support.planner.planner_simulation import METRIC, START

ENDED = (TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED)


@st.composite
def statuses(draw: st.DrawFn, number: int, *, ended: bool) -> TrialStatus | None:
    """Draw a trial's status; None: it is not listed."""
    state = draw(st.sampled_from(ENDED if ended else tuple(TrialState)))
    if state is TrialState.PENDING and draw(st.booleans()):
        return None
    names = draw(st.sampled_from([[METRIC], [METRIC, "loss"], ["loss"], []]))
    value = st.sampled_from([-1.0, 0.5, 0.5, 2.0, 1e300, -0.0])
    start = draw(st.none() | st.integers(0, 9))
    moment: datetime | None = None if start is None else START + timedelta(seconds=start)
    return TrialStatus(
        number=number,
        state=state,
        attempt=draw(st.integers(0, 3)),
        metrics={name: draw(value) for name in names},
        reason=draw(
            st.sampled_from([None, "Completed", "Exception", "MetricNaN", "CommandFailed"])
        ),
        message=draw(st.none() | st.sampled_from(["", "it broke", "ü" * 2000, "a\nb\nc"])),
        start_time=moment,
        completion_time=draw(st.sampled_from([None, moment])),
    )


@st.composite
def batches_of(draw: st.DrawFn, index: int, trials: list[TrialSpec], *, ended: bool) -> TrialBatch:
    """Draw a version of a batch with these trials."""
    drawn = [draw(statuses(trial.number, ended=ended)) for trial in trials]
    stop = None
    annotations = draw(st.sampled_from([None, {SEED_ANNOTATION: "7"}, {SEED_ANNOTATION: "9"}]))
    if draw(st.integers(0, 30)) == 0:
        stop = Stop(reason=TrialReason.GOAL_REACHED, message="reached")
        ending = draw(st.sampled_from(["GoalReached", "DeadlineExceeded", "FromTheFuture"]))
        annotations = {**(annotations or {}), ENDING_ANNOTATION: ending}
    return TrialBatch(
        metadata=ObjectMeta(
            name=batch_name("digits", index),
            namespace="lab",
            annotations=annotations,
            creation_timestamp=draw(st.sampled_from([None, START])),
        ),
        spec=TrialBatchSpec(
            experiment="digits",
            index=index,
            trials=trials,
            parallel_trial_count=draw(st.sampled_from([None, 1, 3])),
            stop=stop,
        ),
        status=draw(
            st.sampled_from(
                [
                    None if not ended else TrialBatchStatus(trials=[s for s in drawn if s]),
                    TrialBatchStatus(
                        trials=[s for s in drawn if s],
                        driver=draw(st.sampled_from([None, "digits-driver-2", "digits-driver-10"])),
                        refused="no" if draw(st.integers(0, 40)) == 0 else None,
                    ),
                ]
            )
        ),
    )
