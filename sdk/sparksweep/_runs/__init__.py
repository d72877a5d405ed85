"""Readers of a run's trials, files and logs: of a run directory, or of an Experiment on a cluster.

- ``reader``: the protocol; ``local_run`` and ``cluster_run``: the two readers; ``forwarding``: a port of a pod on this machine.
- ``follow``: a log to its end, or along with its trial; ``log_lines``: lines with their stream and time.
"""
