"""Spark settings of an Experiment's application: client mode, one executor for each slot, no retries by Spark.

Values may hold ``$(NAME)``, which the driver replaces by its environment variable, as Kubernetes does in a pod's command.
Settings of a single driver's pod are passed like this, so that one ConfigMap serves all drivers.
"""

from __future__ import annotations

from sparksweep_core.api import Experiment
from sparksweep_core.api.quantities import format_bytes, memory_bytes
from sparksweep_core.contract.directories import (
    ACCOUNT_DIRECTORY,
    CA_FILE,
    CONFIG_DIRECTORY,
    SPARK_SECRET_DIRECTORY,
    SPARK_SECRET_FILE,
    TOKEN_FILE,
)
from sparksweep_core.contract.driver_config import (
    EXECUTOR_POD_FILE,
    KUBERNETES_MASTER,
    POD_TEMPLATE_SETTING,
)
from sparksweep_core.contract.environment import EXECUTOR_PREFIX_ENV, POD_IP_ENV, POD_NAME_ENV
from sparksweep_core.contract.names import EXECUTOR_CONTAINER
from sparksweep_core.contract.ports import SPARK_BLOCK_MANAGER_PORT, SPARK_DRIVER_PORT
from sparksweep_core.errors import FieldError
from sparksweep_core.validation.checks_storage import is_below
from sparksweep_operator.settings import Settings

MASTER = f"{KUBERNETES_MASTER}https://kubernetes.default.svc"

HEAP_MIB = 480
"""MiB of an executor's Java heap. Spark refuses less than 450 MiB without the part that the collector reserves; an
executor only hands out trials, and never fills it."""
MIN_MEMORY = 640 * 2**20
"""Least bytes of an executor: Java and Python take about 350 MiB of them."""

DRIVER_HEAP = "512m"
# The compiler for long-lived programs would cost a second at the start.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss512k -XX:MaxMetaspaceSize=192m"

# An executor's Java reads the secret before it has the driver's settings, and then takes a file only if the master is
# Kubernetes. Spark refuses its own settings among these options, and looks for "-Dspark" before it removes the quotes.
_EXECUTOR_MASTER = f'-D"spark.master={MASTER}"'


def check_cluster(experiment: Experiment, settings: Settings) -> list[FieldError]:
    """Return the errors of an Experiment that a local run accepts but this cluster can't run."""
    errors = []
    uri, allowed = experiment.spec.storage.uri, settings.storage_uris.split()
    if uri is not None and allowed and not is_below(uri, allowed):
        message = f"is not below one that this cluster allows: {', '.join(allowed)}"
        errors.append(FieldError("spec.storage.uri", message))
    memory = experiment.spec.trial_template.resources.memory
    if memory_bytes(memory) >= MIN_MEMORY:
        return errors
    message = (
        f"{memory}: must be at least {format_bytes(MIN_MEMORY)} on a cluster, "
        "where Spark's executor takes about 350Mi of it"
    )
    return [*errors, FieldError("spec.trialTemplate.resources.memory", message)]


def spark_conf(experiment: Experiment, settings: Settings) -> dict[str, str]:
    """Return the Spark settings of an experiment, by name."""
    template = experiment.spec.trial_template
    # Spark counts in whole MiB; the pod's limit is the sum of the two.
    limit_mib = memory_bytes(template.resources.memory) // 2**20
    return {
        "spark.kubernetes.namespace": experiment.metadata.namespace or "default",
        "spark.kubernetes.driver.pod.name": _value_of(POD_NAME_ENV),
        "spark.kubernetes.executor.podNamePrefix": _value_of(EXECUTOR_PREFIX_ENV),
        "spark.kubernetes.container.image": template.image or settings.trainer_image,
        "spark.kubernetes.container.image.pullPolicy": template.image_pull_policy
        or settings.image_pull_policy,
        POD_TEMPLATE_SETTING: f"{CONFIG_DIRECTORY}/{EXECUTOR_POD_FILE}",
        "spark.kubernetes.executor.podTemplateContainerName": EXECUTOR_CONTAINER,
        "spark.kubernetes.authenticate.caCertFile": f"{ACCOUNT_DIRECTORY}/{CA_FILE}",
        "spark.kubernetes.authenticate.oauthTokenFile": f"{ACCOUNT_DIRECTORY}/{TOKEN_FILE}",
        "spark.driver.host": _value_of(POD_IP_ENV),
        "spark.driver.bindAddress": _value_of(POD_IP_ENV),
        "spark.driver.port": str(SPARK_DRIVER_PORT),
        "spark.driver.blockManager.port": str(SPARK_BLOCK_MANAGER_PORT),
        "spark.driver.memory": DRIVER_HEAP,
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        # One task, and so one trial, for each executor; Kubernetes' settings limit the container.
        "spark.executor.cores": "1",
        "spark.task.cpus": "1",
        "spark.kubernetes.executor.request.cores": template.resources.cpu,
        "spark.executor.memory": f"{HEAP_MIB}m",
        "spark.executor.memoryOverhead": f"{limit_mib - HEAP_MIB}m",
        "spark.executor.extraJavaOptions": f"{JAVA_OPTIONS} {_EXECUTOR_MASTER}",
        # Spark requests an executor for each waiting slot, and releases it five seconds after its slot has ended.
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.executorIdleTimeout": "5s",
        "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
        "spark.kubernetes.allocation.batch.delay": "1s",
        "spark.kubernetes.allocation.batch.size": "100",
        # The first trial starts as soon as the first executor has registered.
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        # The driver counts lost executors itself: Spark would end the application after a few trials out of memory.
        "spark.executor.maxNumFailures": "1000000",
        "spark.kubernetes.executor.deleteOnTermination": "false",
        "spark.kubernetes.executor.disableConfigMap": "true",
        # At its end Spark would look for Services and claims of its own: it has none, and no right to list them.
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        "spark.kubernetes.executor.eventProcessingInterval": "500ms",
        "spark.network.timeout": "60s",
        "spark.authenticate": "true",
        "spark.authenticate.secret.file": f"{SPARK_SECRET_DIRECTORY}/{SPARK_SECRET_FILE}",
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.cipher": "AES/GCM/NoPadding",
        "spark.eventLog.enabled": "false",
    }


def _value_of(variable: str) -> str:
    return f"$({variable})"
