"""What a person looks at of a run, wherever it is: trials, files and logs of a run directory or of a cluster's Experiment.

Import from the modules: ``cluster_run`` brings the Kubernetes client along, which looking at a run directory does not need.
"""
