"""The Spark settings of an Experiment's application: client mode, one executor a slot, retries ours alone.

Values may hold ``$(NAME)``: the driver puts its environment variable in its place, as Kubernetes does in a pod's
command. What belongs to a single driver pod comes in so, and the ConfigMap stays the same for all of them.
"""

from __future__ import annotations

from sparksweep_core.api import Experiment
from sparksweep_core.api.quantities import format_bytes, memory_bytes
from sparksweep_core.contract.directories import (
    ACCOUNT_DIRECTORY,
    CA_FILE,
    CONFIG_DIRECTORY,
    TOKEN_FILE,
)
from sparksweep_core.contract.driver_config import EXECUTOR_POD_FILE, KUBERNETES_MASTER
from sparksweep_core.contract.environment import EXECUTOR_PREFIX_ENV, POD_IP_ENV, POD_NAME_ENV
from sparksweep_core.contract.names import EXECUTOR_CONTAINER
from sparksweep_core.contract.ports import SPARK_BLOCK_MANAGER_PORT, SPARK_DRIVER_PORT
from sparksweep_core.errors import FieldError
from sparksweep_operator.settings import Settings

MASTER = f"{KUBERNETES_MASTER}https://kubernetes.default.svc"

HEAP_MIB = 480
"""Java's heap on an executor, of which Spark wants 450 MiB beside what this collector keeps free. It only hands out
trials, and never fills it."""
MIN_MEMORY = 640 * 2**20
"""Bytes below which Java and Python leave a trial nothing: together they hold about 350 MiB."""

DRIVER_HEAP = "512m"
# What optimises long-lived programs costs an idle one a second at its start.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss512k -XX:MaxMetaspaceSize=192m"


def check_cluster(experiment: Experiment) -> list[FieldError]:
    """What a cluster can't run although a local run can."""
    memory = experiment.spec.trial_template.resources.memory
    if memory_bytes(memory) >= MIN_MEMORY:
        return []
    message = (
        f"{memory}: on a cluster at least {format_bytes(MIN_MEMORY)}, "
        "of which Spark's executor takes about 350Mi"
    )
    return [FieldError("spec.trialTemplate.resources.memory", message)]


def spark_conf(experiment: Experiment, settings: Settings) -> dict[str, str]:
    """The settings."""
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
        "spark.kubernetes.executor.podTemplateFile": f"{CONFIG_DIRECTORY}/{EXECUTOR_POD_FILE}",
        "spark.kubernetes.executor.podTemplateContainerName": EXECUTOR_CONTAINER,
        "spark.kubernetes.authenticate.caCertFile": f"{ACCOUNT_DIRECTORY}/{CA_FILE}",
        "spark.kubernetes.authenticate.oauthTokenFile": f"{ACCOUNT_DIRECTORY}/{TOKEN_FILE}",
        "spark.driver.host": _value_of(POD_IP_ENV),
        "spark.driver.bindAddress": _value_of(POD_IP_ENV),
        "spark.driver.port": str(SPARK_DRIVER_PORT),
        "spark.driver.blockManager.port": str(SPARK_BLOCK_MANAGER_PORT),
        "spark.driver.memory": DRIVER_HEAP,
        "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
        # One task, and so one trial, an executor; what the container may use is said in Kubernetes' terms.
        "spark.executor.cores": "1",
        "spark.task.cpus": "1",
        "spark.kubernetes.executor.request.cores": template.resources.cpu,
        "spark.executor.memory": f"{HEAP_MIB}m",
        "spark.executor.memoryOverhead": f"{limit_mib - HEAP_MIB}m",
        "spark.executor.extraJavaOptions": _JAVA_OPTIONS,
        # An executor comes with a waiting slot, and goes five seconds after its slot has left.
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.executorIdleTimeout": "5s",
        "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
        "spark.kubernetes.allocation.batch.delay": "1s",
        "spark.kubernetes.allocation.batch.size": "100",
        # The first trial starts when the first executor is there.
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        # Lost executors are ours to count: Spark would end the application over a few trials out of memory.
        "spark.executor.maxNumFailures": "1000000",
        "spark.kubernetes.executor.deleteOnTermination": "false",
        "spark.kubernetes.executor.disableConfigMap": "true",
        # Or Spark would look for its own Services and claims at its end, which it may not, and has none of.
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        "spark.kubernetes.executor.eventProcessingInterval": "500ms",
        "spark.network.timeout": "60s",
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.cipher": "AES/GCM/NoPadding",
        "spark.eventLog.enabled": "false",
    }


def _value_of(variable: str) -> str:
    return f"$({variable})"
