"""Where an experiment built in Python runs: on this machine, or on a cluster. Both are used through `Backend` and `Run`."""
