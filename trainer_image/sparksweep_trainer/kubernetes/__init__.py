"""The driver pod of an experiment on a cluster: batches in, statuses out, executors looked after.

    TrialBatches ──watch──> batches ──submit──> TrialService <──HTTP── slots on executors
         ^                                          │ record                  ^
         └──────────PATCH── status_writer <─────────┘     Spark ──pods──> executors <──watch── executors.py

``application`` joins the parts, ``python -m sparksweep_trainer.kubernetes`` starts it. ``kube_api`` and ``watching`` are
the little of a Kubernetes client that this takes, from the standard library: the image needs no other.
"""
