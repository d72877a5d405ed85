"""The closed sets of states, condition types and reasons that users and their scripts may rely on."""

from __future__ import annotations

from enum import StrEnum


class TrialState(StrEnum):
    """States of a trial. The last three are final: a trial never leaves them."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def is_finished(self) -> bool:
        """True if the state is final."""
        return self in (TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED)


class TrialReason(StrEnum):
    """Reasons for the end of a trial's attempt."""

    COMPLETED = "Completed"
    """The function returned, or the command exited with 0, with the metrics asked for."""
    EXCEPTION = "Exception"
    """The function raised; the message begins with the exception, and its traceback follows."""
    EXITED = "Exited"
    """sys.exit or os._exit before the function returned; a command's exit code other than 0."""
    SIGNALLED = "Signalled"
    """Ended by a signal that sparksweep did not send."""
    SEGMENTATION_FAULT = "SegmentationFault"
    """SIGSEGV or SIGBUS: native code touched memory it must not."""
    OOM_KILLED = "OOMKilled"
    """Killed over its memory limit; the message has the peak and the limit."""
    OUT_OF_MEMORY = "OutOfMemory"
    """The function raised MemoryError; the message has the peak and the limit."""
    TIMED_OUT = "TimedOut"
    """Ran longer than timeoutSeconds."""
    METRIC_MISSING = "MetricMissing"
    """The objective's metric was not returned or printed."""
    METRIC_NOT_NUMERIC = "MetricNotNumeric"
    """A metric is not a number."""
    METRIC_NAN = "MetricNaN"
    """The objective is NaN."""
    METRIC_INFINITE = "MetricInfinite"
    """The objective is infinite."""
    EXECUTOR_LOST = "ExecutorLost"
    """The executor, its node or the driver went away while it ran, too often."""
    START_FAILED = "StartFailed"
    """The program could not be started: not found, not executable, or its fork server died."""
    GOAL_REACHED = "GoalReached"
    """Stopped, or never started: another trial reached the goal."""
    EXPERIMENT_FAILED = "ExperimentFailed"
    """Stopped, or never started: the experiment failed."""
    INTERRUPTED = "Interrupted"
    """Stopped by the user; it runs again when the experiment is resumed."""


class ConditionType(StrEnum):
    """Types of an Experiment's conditions."""

    ACCEPTED = "Accepted"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class ExperimentReason(StrEnum):
    """Reasons of an Experiment's conditions."""

    # Accepted
    VALID = "Valid"
    BOUNDS_EXCHANGED = "BoundsExchanged"
    """Accepted, but a parameter's min was more than its max: they were put in order."""
    GRID_TRUNCATED = "GridTruncated"
    """Accepted, but the grid has more points than maxTrialCount: the first ones run."""
    INVALID_SPEC = "InvalidSpec"
    FUNCTION_REFUSED = "FunctionRefused"
    """The function can't take the parameters, or can't be imported."""
    # Running
    TRIALS_RUNNING = "TrialsRunning"
    WAITING_FOR_DRIVER = "WaitingForDriver"
    """The driver's pod is being started, or can't be."""
    WAITING_FOR_EXECUTORS = "WaitingForExecutors"
    """No executor runs yet, or none can."""
    UNREADABLE_EXPERIMENT = "UnreadableExperiment"
    """A later version wrote the Experiment, and this one does not understand a value. It goes on once it can be read."""
    UNREADABLE_BATCH = "UnreadableBatch"
    """The same of a TrialBatch. Nothing is planned without it."""
    BATCH_REFUSED = "BatchRefused"
    """The API server, a quota or an admission policy refuses a TrialBatch: the message has its words. It is tried again."""
    STOPPING = "Stopping"
    """The end is decided; trials that still run are being stopped."""
    FINISHED = "Finished"
    # Suspended
    SUSPENDED_BY_USER = "SuspendedByUser"
    INTERRUPTED = "Interrupted"
    RESUMED = "Resumed"
    # Complete
    GOAL_REACHED = "GoalReached"
    SEARCH_SPACE_EXHAUSTED = "SearchSpaceExhausted"
    MAX_TRIALS_REACHED = "MaxTrialsReached"
    # Failed
    MAX_FAILED_TRIALS_REACHED = "MaxFailedTrialsReached"
    IDENTICAL_FAILURES = "IdenticalFailures"
    """Without maxFailedTrialCount: the first trials all failed in the same way, and none has succeeded."""
    NO_TRIAL_SUCCEEDED = "NoTrialSucceeded"
    OBJECT_TOO_LARGE = "ObjectTooLarge"
    """A TrialBatch has more bytes than the API server stores."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
