"""Asks the API server why no executor exists: a dry run of one's creation, under the driver's own account.

Spark creates executors inside Java and writes a refusal to its log only. The operator's own dry run is under another account,
which quotas, webhooks, admission policies and roles may treat differently.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sparksweep_core.api_server.errors import REFUSALS
from sparksweep_core.contract.driver_config import POD_TEMPLATE_SETTING
from sparksweep_core.contract.labels import EXECUTOR
from sparksweep_core.contract.problems import EXECUTORS_REFUSED
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json, pods_path
from sparksweep_trainer.kubernetes.executor_template import read_template
from sparksweep_trainer.kubernetes.settings import ClusterSettings

log = logging.getLogger(__name__)

AFTER_S = 15.0
"""Seconds without any executor, though Spark runs and trials wait, after which the API server is asked."""
AGAIN_S = 10.0
"""Seconds between two questions."""
EXECUTOR_ID = 0
"""Number in the name of the pod that is never made: Spark's own begin with 1."""
LOCAL_DIRECTORY = "spark-local-dir-1"
"""Spark's volume for its own files."""


class ExecutorProbe:
    """The reason why the driver's account can't create executors. One thread calls `step`; any may read `problem`."""

    def __init__(
        self,
        settings: ClusterSettings,
        *,
        is_without: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            settings: the driver's settings; its executors are pods.
            is_without: returns True if no executor exists, though Spark runs and trials need one.
            monotonic: the clock.
        """
        self._settings = settings
        self._is_without = is_without
        self._monotonic = monotonic
        self._since: float | None = None
        self._asked_at: float | None = None
        self._uid: str | None = None
        self.problem: str | None = None
        """The API server's words, for the user; None: it would create an executor, or one exists."""

    def step(self, api: ApiClient) -> None:
        """Ask the API server if it is time to.

        Raises:
            KubeError: it answers neither yes nor no.
        """
        if not self._is_without():
            self._since = self.problem = None
            return
        now = self._monotonic()
        if self._since is None:
            self._since, self._asked_at = now, None
        is_early = now - self._since < AFTER_S
        if is_early or (self._asked_at is not None and now - self._asked_at < AGAIN_S):
            return
        self._asked_at = now
        try:
            self._ask(api)
        except REFUSALS as error:
            problem = f"{EXECUTORS_REFUSED} by the driver's account: {error}"
            if problem != self.problem:
                log.warning("%s", problem)
            self.problem = problem
        except (OSError, ValueError, LookupError) as error:
            # The operator's files are of another version: Spark may understand them all the same.
            log.warning("an executor's pod can't be made for a dry run: %r", error)
        else:
            self.problem = None

    def _ask(self, api: ApiClient) -> None:
        settings = self._settings
        path = pods_path(settings.namespace)
        if self._uid is None:
            driver = api.request("GET", pods_path(settings.namespace, settings.driver))
            self._uid = driver["metadata"]["uid"]
        source = Path(settings.conf[POD_TEMPLATE_SETTING])
        if settings.spark_secret is None:
            template: Json = json.loads(source.read_bytes())
        else:
            template = read_template(source, spark_secret=settings.spark_secret)
        body = probe_pod(
            template,
            settings.conf,
            name=f"{settings.executor_prefix}{EXECUTOR_ID}",
            driver=settings.driver,
            uid=self._uid,
        )
        api.request("POST", path, query={"dryRun": "All"}, body=body)


def probe_pod(template: Json, conf: Mapping[str, str], *, name: str, driver: str, uid: str) -> Json:
    """Return an executor's pod as Spark makes it of the template, in all that quotas and policies look at.

    Args:
        template: the pod template, which is changed.
        conf: Spark's settings.
        name: name of the pod.
        driver: name of the driver's pod, the owner.
        uid: its UID.
    """
    metadata, spec = template["metadata"], template["spec"]
    metadata["name"] = name
    metadata.setdefault("labels", {})["spark-role"] = EXECUTOR
    metadata["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": driver, "uid": uid, "controller": True}
    ]
    spec["restartPolicy"] = "Never"
    spec.setdefault("volumes", []).append({"name": LOCAL_DIRECTORY, "emptyDir": {}})
    (container,) = spec["containers"]
    container |= {
        "image": conf["spark.kubernetes.container.image"],
        "imagePullPolicy": conf["spark.kubernetes.container.image.pullPolicy"],
        "args": [EXECUTOR],
    }
    container.setdefault("volumeMounts", []).append(
        {"name": LOCAL_DIRECTORY, "mountPath": "/var/data/spark-local"}
    )
    resources = container.setdefault("resources", {})
    memory = f"{_mebibytes(conf, 'memory') + _mebibytes(conf, 'memoryOverhead')}Mi"
    cpu = conf["spark.kubernetes.executor.request.cores"]
    resources.setdefault("requests", {}).update({"cpu": cpu, "memory": memory})
    resources.setdefault("limits", {})["memory"] = memory
    return template


def _mebibytes(conf: Mapping[str, str], name: str) -> int:
    return int(conf[f"spark.executor.{name}"].removesuffix("m"))
