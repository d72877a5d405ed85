"""Experiments on this machine: the planner and the trainer joined in one process, on Spark's local master.

What is here replaces Kubernetes only: the run directory stands for the API server's memory, this process for the
operator and the driver pod. What is decided, and how a trial runs, is the same code as on a cluster.

Import from the modules: ``runner`` brings Spark and Arrow along, which reading a run directory does not need.
"""
