"""The planner: a pure function from an experiment's state to the actions to take. Used by the operator and local runs."""

from sparksweep_core.planner.planning import plan, reject
from sparksweep_core.planner.types import DriverState, DriverStatus, Locations, Plan

__all__ = ["DriverState", "DriverStatus", "Locations", "Plan", "plan", "reject"]
