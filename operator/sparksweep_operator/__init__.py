"""The Kubernetes operator: a kopf shell around the planner.

In the order in which a change of an Experiment passes through:

- ``handlers``: kopf's watches; ``cache``: newest version of each object; ``workers``: a queue and a task for each experiment.
- ``reconciler``: one reconcile of one experiment, with ``memo``, ``pacing``, ``event_recorder`` and ``driver_lifecycle``.
- ``driver_selection``, ``pod_status``, ``events``, ``manifests``: pure parts of it.
- ``kube``: requests to the API server; ``metrics``, ``collector``: Prometheus; ``settings``: environment variables.
"""
