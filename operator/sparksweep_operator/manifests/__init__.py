"""Manifests of the objects that the operator creates for an Experiment, as JSON values. Pure."""

from sparksweep_operator.manifests.code import code_config_map, lacks_source
from sparksweep_operator.manifests.config_maps import driver_config_map
from sparksweep_operator.manifests.driver_pod import driver_pod
from sparksweep_operator.manifests.executor_pod import executor_pod, executor_probe
from sparksweep_operator.manifests.locations import results_location, tensorboard_address
from sparksweep_operator.manifests.service import tensorboard_service
from sparksweep_operator.manifests.spark_conf import check_cluster
from sparksweep_operator.manifests.spark_secret import SECRET_BYTES, spark_secret

__all__ = [
    "SECRET_BYTES",
    "check_cluster",
    "code_config_map",
    "driver_config_map",
    "driver_pod",
    "executor_pod",
    "executor_probe",
    "lacks_source",
    "results_location",
    "spark_secret",
    "tensorboard_address",
    "tensorboard_service",
]
