"""Lifecycle of an experiment's driver: create its pod, close it at the end, delete pods that are no longer needed."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import timedelta

from sparksweep_core.ages import Age
from sparksweep_core.api import Experiment, ExperimentStatus
from sparksweep_core.api_server.errors import REFUSALS
from sparksweep_core.contract.names import (
    SPARK_SECRET_SUFFIX_BYTES,
    driver_name,
    spark_secret_name,
)
from sparksweep_core.contract.problems import EXECUTORS_REFUSED
from sparksweep_core.planner import DriverState, DriverStatus, Plan
from sparksweep_operator import manifests
from sparksweep_operator.batch_pages import read_page
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.driver_selection import DriverSelection
from sparksweep_operator.event_recorder import EventRecorder
from sparksweep_operator.events import driver_started
from sparksweep_operator.kube import Conflict, Invalid, KubernetesClient, NotFound
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pacing import NONE_AFTER, PROBE_AFTER, RECHECK_AFTER, creation_delay
from sparksweep_operator.pod_status import Pod
from sparksweep_operator.settings import Settings

log = logging.getLogger(__name__)

END_WITHIN = timedelta(minutes=10)
"""Time that a driver has to end by itself after the experiment, before its pod is deleted together with the viewer.
It has released its executors by then, and may be copying files."""


class DriverLifecycle:
    """Manager of drivers: creates and ends them as planned."""

    def __init__(
        self,
        cache: ObjectCache,
        client: KubernetesClient,
        settings: Settings,
        *,
        recorder: EventRecorder,
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._cache = cache
        self._client = client
        self._settings = settings
        self._recorder = recorder
        self._metrics = metrics
        self._monotonic = monotonic

    async def status(
        self, experiment: Experiment, selection: DriverSelection, memo: Memo
    ) -> DriverStatus:
        """Return the driver's status, with the error that keeps it or its executors from being created, if any."""
        status = selection.status
        if status.state is DriverState.ABSENT:
            memo.short_of_executors_since = memo.no_executor_since = None
            return DriverStatus(status.state, memo.creation_error or status.message)
        memo.creation_error = ""
        if status.state is DriverState.RUNNING:
            error = await self._executor_error(experiment, selection, memo)
            return DriverStatus(status.state, error or status.message)
        return status

    async def apply(
        self,
        experiment: Experiment,
        planned: Plan,
        selection: DriverSelection,
        *,
        memo: Memo,
        age: Age,
    ) -> None:
        """Create, close or delete the driver's pods according to the plan.

        Raises:
            KubeError: a request failed; the next reconcile repeats it.
        """
        namespace = experiment.metadata.namespace or ""
        unneeded = list(selection.obsolete)
        if not planned.driver_wanted:
            viewer = self._pod_to_keep(planned, selection, age)
            if viewer is not None and viewer is selection.live:
                async with self._recorder.telling(
                    experiment,
                    memo,
                    reason="BatchNotClosed",
                    action="The driver can't be told the end",
                ):
                    await self._close(experiment, memo)
            last = (selection.live, selection.last_ended)
            unneeded += [pod for pod in last if pod is not None and pod is not viewer]
        for pod in unneeded:
            async with self._recorder.telling(
                experiment,
                memo,
                reason="PodNotDeleted",
                action=f"Pod {pod.name} is not needed, and can't be deleted",
            ):
                await self._client.delete_pod(namespace, pod.name, pod.uid)
        if selection.live is not None or not planned.driver_wanted or selection.start_delay:
            return
        # Every write of its status or batches triggers a reconcile: each would repeat four requests that fail.
        if not creation_delay(memo, self._monotonic()):
            await self._create(experiment, selection, memo)

    async def _executor_error(
        self, experiment: Experiment, selection: DriverSelection, memo: Memo
    ) -> str:
        """Return the API server's error to the creation of an executor, which Spark writes to its log only."""
        status = experiment.status or ExperimentStatus()
        wanted = min(experiment.spec.slots, status.trials.pending + status.trials.running)
        if len(selection.executors) >= wanted:
            memo.short_of_executors_since, memo.executor_error = None, ""
            memo.no_executor_since = None
            return ""
        now = self._monotonic()
        if selection.executors:
            memo.no_executor_since = None
        elif memo.no_executor_since is None:
            memo.no_executor_since = now
        if memo.short_of_executors_since is None:
            memo.short_of_executors_since = now
        since_probe_s = None if memo.probed_at is None else now - memo.probed_at
        is_due = since_probe_s is None or since_probe_s >= RECHECK_AFTER.total_seconds()
        if now - memo.short_of_executors_since >= PROBE_AFTER.total_seconds() and is_due:
            memo.probed_at = now
            memo.executor_error = ""
            try:
                complete = await self._with_source(experiment)
                probe = manifests.executor_probe(complete, self._settings)
                await self._client.create(probe, dry_run=True)
            except REFUSALS as error:
                memo.executor_error = f"{EXECUTORS_REFUSED}: {error}"
        since, live = memo.no_executor_since, selection.live
        if memo.executor_error or since is None or live is None:
            return memo.executor_error
        # The driver asks in the same way, and its own words are in the message then.
        is_told = selection.status.message.startswith(EXECUTORS_REFUSED)
        if is_told or now - since < NONE_AFTER.total_seconds():
            return ""
        # Neither account is refused in a dry run, or the driver is of a version that does not ask.
        return (
            "No executor exists, although the API server would let the operator create one: a policy, a webhook or a missing "
            f"role may refuse the driver's account. The log of {live.name} has the API server's words."
        )

    def _pod_to_keep(self, planned: Plan, selection: DriverSelection, age: Age) -> Pod | None:
        """Return the driver's pod whose viewer outlives the experiment, unless its driver is overdue to end."""
        pod = selection.live or selection.last_ended
        if not planned.finished or pod is None or not pod.has_viewer:
            return None
        ended = planned.status.completion_time
        overdue = ended is not None and age(ended) > END_WITHIN
        return None if overdue and pod is selection.live else pod

    async def _close(self, experiment: Experiment, memo: Memo) -> None:
        """Set ``closed`` in the newest batch: the driver reads that the experiment has ended, and ends.

        The batches of an ended experiment are not cached, so this reads the newest one.
        """
        if memo.closed_batch:
            return
        metadata = experiment.metadata
        name = await self._client.newest_batch(metadata.namespace or "", metadata.name)
        # By a list: the operator has no right to get TrialBatches.
        query = {"fieldSelector": f"metadata.name={name}"}
        page = await self._client.list_batches(metadata.namespace, query) if name else None
        for read in read_page(page) if page else ():
            if read.batch is None:
                raise Invalid(read.problem)
            if metadata.uid not in read.identity.owners:
                # Batches of an earlier Experiment of that name are still being deleted.
                return
            if not read.batch.spec.closed:
                spec = read.batch.spec.model_copy(update={"closed": True})
                await self._client.apply_batch(read.batch.model_copy(update={"spec": spec}))
        memo.closed_batch = True

    async def _create(self, experiment: Experiment, selection: DriverSelection, memo: Memo) -> None:
        experiment = await self._with_source(experiment)
        code = manifests.code_config_map(experiment)
        try:
            if code is not None:
                await self._client.create_sealed(code)
            await self._client.create_sealed(
                manifests.driver_config_map(experiment, self._settings)
            )
            service = manifests.tensorboard_service(experiment)
            if service is not None:
                await self._client.create_owned(service)
            secret = await self._spark_secret(experiment, selection.next_number, memo)
            pod = manifests.driver_pod(
                experiment, selection.next_number, self._settings, spark_secret=secret
            )
            self._cache.upsert_pod(await self._client.create(pod))
        except (*REFUSALS, Conflict, NotFound) as error:
            # The user can help: a quota is used up, the service account is missing, another object has the name.
            memo.creation_error = f"The driver can't be created: {error}"
            memo.creation_failed_at = self._monotonic()
            return
        memo.creation_error, memo.creation_failed_at = "", None
        name = pod["metadata"]["name"]
        log.info("created the driver %s", name)
        if selection.next_number:
            self._metrics.count_driver_restart()
        reason = selection.status.message
        keeps_files = experiment.spec.storage.persistent_volume_claim is not None
        started = driver_started(name, selection.next_number, reason, keeps_files=keeps_files)
        await self._recorder.record(experiment, [started])

    async def _with_source(self, experiment: Experiment) -> Experiment:
        """Return the Experiment with its inline source, read from the API server if the cache has left it out.

        Raises:
            Conflict: the Experiment has changed meanwhile.
        """
        if not manifests.lacks_source(experiment):
            return experiment
        metadata = experiment.metadata
        body = await self._client.get_experiment(metadata.namespace or "", metadata.name)
        complete = Experiment.from_api(body)
        if (complete.metadata.uid, complete.metadata.generation) != (metadata.uid, metadata.generation):  # fmt: skip
            raise Conflict(f"Experiment {metadata.name} has changed")
        return complete

    async def _spark_secret(self, experiment: Experiment, number: int, memo: Memo) -> str:
        """Create the Secret with the driver's Spark secret, unless an earlier attempt has; return its name.

        A Secret whose creation was not answered is not looked for: the operator may not read Secrets. It stays unused
        until the Experiment is deleted.
        """
        if memo.spark_secret is not None and memo.spark_secret[0] == number:
            return memo.spark_secret[1]
        driver = driver_name(experiment.metadata.name, number)
        name = spark_secret_name(driver, secrets.token_hex(SPARK_SECRET_SUFFIX_BYTES))
        value = secrets.token_bytes(manifests.SECRET_BYTES)
        await self._client.create(manifests.spark_secret(experiment, name, value))
        memo.spark_secret = (number, name)
        return name
