"""Experiments on this machine: the planner and the trainer joined in one process, on Spark's local master.

What is here replaces Kubernetes only: the run directory stands for the API server's memory, this process for the
operator and the driver pod. What is decided, and how a trial runs, is the same code as on a cluster.
"""

from sparksweep.local.run_directory import RunDirectory
from sparksweep.local.runner import LocalRun, Observer

__all__ = ["LocalRun", "Observer", "RunDirectory"]
