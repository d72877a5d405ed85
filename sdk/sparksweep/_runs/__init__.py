"""Readers of a run's trials, files and logs: of a run directory, or of an Experiment on a cluster."""
