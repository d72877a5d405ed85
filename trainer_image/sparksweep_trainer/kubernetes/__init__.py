"""The driver pod of an experiment on a cluster: reads TrialBatches, writes their statuses, watches executors.

    TrialBatches ──watch──> batches ──submit──> TrialService <──HTTP── slots on executors
         ^                                          │ record                  ^
         └──────────PATCH── status_writer <─────────┘     Spark ──pods──> executors <──watch── executor_watch

While no executor exists, ``executor_probe`` asks the API server for the reason, which Spark keeps to its log.
``application`` joins the parts, ``python -m sparksweep_trainer.kubernetes`` starts it. ``api_client`` and ``informer``
are the Kubernetes client, on the standard library's HTTP: docs/decisions/0009 says why.
"""
