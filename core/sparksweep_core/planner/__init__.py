"""The planner: decides what there is to do for an experiment. Pure; the operator and local runs do what it says."""

from sparksweep_core.planner.planning import plan, reject
from sparksweep_core.planner.types import DriverState, DriverView, Plan

__all__ = ["DriverState", "DriverView", "Plan", "plan", "reject"]
