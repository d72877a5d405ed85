"""The planner: a pure function from an experiment's state to the actions to take. Used by the operator and local runs.

- ``planning``: ``plan``, the function itself; ``types``: its arguments and its result; ``snapshot``: the state it reads.
- ``completion``: ends of an experiment; ``reopening``: their removal, under higher limits.
- ``batching``: new batches of trials.
- ``status`` and ``conditions``: the Experiment's status.
"""

from sparksweep_core.planner.planning import fail_oversized, hold_refused, plan, reject
from sparksweep_core.planner.reopening import Reopened, obstacle, reopen
from sparksweep_core.planner.types import DriverState, DriverStatus, Locations, Plan

__all__ = [
    "DriverState", "DriverStatus", "Locations", "Plan", "Reopened", "fail_oversized", "hold_refused", "obstacle", "plan",
    "reject", "reopen",
]  # fmt: skip
