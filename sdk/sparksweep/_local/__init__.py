"""Experiments on this machine: the planner and the trainer joined in one process, on Spark's local master.

This package replaces Kubernetes only: the run directory takes the place of the API server's storage, this process that of
the operator and the driver pod. The planner and the trainer are the same code as on a cluster.

Import from the modules: ``runner`` imports Spark and Arrow, which reading a run directory does not need.
"""
