"""The driver: starts Spark, hands trials to slots, and keeps the ledger of their statuses.

``spark`` starts Spark, the trial server and the slots, which are Spark's jobs in ``spark_jobs``; ``slot_manager`` decides
how many slots there are, from the bookkeeping of ``slot_registry``, and ``slot_loss`` names the cause when one is lost.
Slots send their requests to ``trial_server``, which asks ``trial_service``: the lock and the waiting around
``code_check``, which comes before the first trial, and ``ledger``, which assigns trials and records outcomes.
``retry_policy`` decides what runs again.
"""

from sparksweep_trainer.driver.installed_pyspark import prefer_installed

# Before `spark` imports it.
prefer_installed()
