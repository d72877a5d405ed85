"""Backends of `sparksweep.Experiment`: this machine, or a cluster. Both are used through `Backend` and `Run`."""
