"""kopf handlers: update the cache on watch events and enqueue experiments. The only importer of `kopf`.

Experiments and pods have two handlers each; TrialBatches have an informer of their own (`batch_informer`). The index function puts the object into our cache and returns nothing to index: kopf
calls index functions for all existing objects before any other handler, so that the first reconcile sees them all. The
event handler enqueues the experiment. Neither changes the object: no finalizer, no annotation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import kopf

from sparksweep_core.api.metadata import GROUP, VERSION
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_operator.batch_informer import BatchInformer
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.collector import ExperimentCollector
from sparksweep_operator.health import Readiness, serve_probes
from sparksweep_operator.kube import KubeError, KubernetesClient, Restored
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics, serve
from sparksweep_operator.reconciler import Reconciler, Result
from sparksweep_operator.settings import Settings
from sparksweep_operator.workers import ExperimentWorkers

log = logging.getLogger(__name__)

EXPERIMENTS = (GROUP, VERSION, "experiments")
PODS = ("", "v1", "pods")

SERVED_RESOURCES = ("experiments", "experiments/status", "trialbatches", "trialbatches/status")
CRD_POLL_S = 1.0
START_POLL_S = 5.0
"""Seconds after which the Experiments are listed again while the operator is not ready: some may have been deleted."""


async def run_operator(
    settings: Settings,
    *,
    namespaces: Sequence[str],
    liveness: str | None,
    metrics_port: int | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run until SIGTERM or SIGINT in the main thread, or until `stop` is set.

    Args:
        settings: settings of drivers.
        namespaces: namespaces to watch; empty for all.
        liveness: URL to serve the liveness probe at: ``http://0.0.0.0:8080/healthz``. The readiness probe is beside
            it, at ``/readyz``.
        metrics_port: port to serve metrics at, on all addresses; None to serve none.
        stop: event that ends the operator. Drivers and executors continue without it.
    """
    metrics, readiness = Metrics(), Readiness()
    async with KubernetesClient(metrics) as client, AsyncExitStack() as exit_stack:
        if metrics_port is not None:
            _, stop_serving = serve(metrics.registry, metrics_port)
            exit_stack.callback(stop_serving)
        if liveness is not None:
            runner = await serve_probes(liveness, readiness.obstacle)
            exit_stack.push_async_callback(runner.cleanup)
        await _wait_for_crds(client, stop)
        readiness.serves_crds()
        is_restored = True
        while is_restored:
            is_restored = await _follow(
                client,
                settings,
                namespaces=namespaces,
                metrics=metrics,
                readiness=readiness,
                stop=stop,
            )


async def _follow(
    client: KubernetesClient,
    settings: Settings,
    *,
    namespaces: Sequence[str],
    metrics: Metrics,
    readiness: Readiness,
    stop: asyncio.Event | None,
) -> bool:
    """Read all objects, and follow and reconcile them until the operator is to stop.

    Returns:
        True if the API server was restored to an earlier state instead: then nothing that was read counts any more.
    """
    cache = ObjectCache(metrics)
    collector = ExperimentCollector(cache, asyncio.get_running_loop())
    metrics.registry.register(collector)
    restored = False
    try:
        reconciler = Reconciler(
            cache,
            client,
            settings,
            load_batches=lambda key, owner: informer.load(key, owner),
            metrics=metrics,
        )

        async def reconcile(key: Key, memo: Memo) -> Result:
            try:
                await informer.connected(key[0])
                return await reconciler.reconcile(key, memo)
            finally:
                readiness.reconciled(key)

        workers = ExperimentWorkers(reconcile, lambda key: _is_finished(cache, key), metrics)
        informer = BatchInformer(cache, client, namespaces=namespaces, enqueue=workers.enqueue)
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(informer.run()),
                group.create_task(_follow_start(client, namespaces, readiness)),
            ]
            await kopf.operator(
                registry=_registry(cache, workers, others),
                settings=_kopf_settings(),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                stop_flag=stop,
            )
            for task in others:
                task.cancel()
    except* Restored as group_of_one:
        restored = True
        log.warning("reading everything again: %s", _innermost(group_of_one))
    finally:
        metrics.registry.unregister(collector)
    return restored


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _follow_start(
    client: KubernetesClient, namespaces: Sequence[str], readiness: Readiness
) -> None:
    """Tell `readiness` which Experiments exist, until all of those at the start have been reconciled."""
    while not readiness.is_ready:
        try:
            scopes: Sequence[str | None] = namespaces or [None]
            keys = [key for scope in scopes for key in await client.experiment_keys(scope)]
        except KubeError as error:
            log.info("the Experiments can't be listed: %s", error)
        else:
            readiness.exist(keys)
        await asyncio.sleep(START_POLL_S)


async def _wait_for_crds(client: KubernetesClient, stop: asyncio.Event | None) -> None:
    """Wait until the API server serves our kinds: kopf checks only once, and would never watch a later one."""
    logged = ""
    while stop is None or not stop.is_set():
        try:
            if await client.serves(SERVED_RESOURCES):
                return
            problem = f"the CRDs of {GROUP}/{VERSION} are not installed"
        except KubeError as error:
            problem = str(error)
        if problem != logged:
            log.warning("waiting for the CRDs: %s", problem)
            logged = problem
        await asyncio.sleep(CRD_POLL_S)


def _is_finished(cache: ObjectCache, key: Key) -> bool:
    facts = cache.facts(key)
    return facts is None or facts.is_ended


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Scanning lists and watches namespaces and CRDs, which needs cluster-wide rights.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    # Don't post log lines as events.
    settings.posting.enabled = False
    settings.watching.label_selectors["pods"] = EXPERIMENT_LABEL
    settings.watching.chunk_size = 50
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 600
    settings.networking.request_timeout = 30
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NoDiffs(prefix=GROUP)
    return settings


class _NoDiffs(kopf.AnnotationsDiffBaseStorage):
    """Storage of nothing: no handler asks for differences, for which kopf would copy each object at each event."""

    def build(
        self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None
    ) -> kopf.BodyEssence:
        """Return an empty essence."""
        del body, extra_fields
        return kopf.BodyEssence()


def _registry(
    cache: ObjectCache, workers: ExperimentWorkers, others: Iterable[asyncio.Task[None]]
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        inside = kopf.login_with_service_account(**arguments)
        return inside or kopf.login_with_kubeconfig(**arguments)

    @kopf.index(*EXPERIMENTS, registry=registry)
    async def index_experiment(body: kopf.Body, **_: Any) -> None:
        cache.upsert_experiment(body)
        _drop_managed_fields(body)

    @kopf.index(*PODS, registry=registry)
    async def index_pod(body: kopf.Body, **_: Any) -> None:
        cache.upsert_pod(body)
        _drop_managed_fields(body)

    @kopf.on.event(*EXPERIMENTS, registry=registry)
    async def experiment_changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        if event["type"] == "DELETED":
            workers.enqueue(cache.remove_experiment(body))
        elif not cache.is_own_write(body):
            # The reconcile that wrote a version has done all that follows from it.
            workers.enqueue(cache.upsert_experiment(body))

    @kopf.on.event(*PODS, registry=registry)
    async def pod_changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        workers.enqueue(
            cache.remove_pod(body) if event["type"] == "DELETED" else cache.upsert_pod(body)
        )

    @kopf.on.cleanup(registry=registry)
    async def close_workers(**_: Any) -> None:
        await workers.close()
        # Before kopf waits for all tasks of the loop: it gives them five seconds.
        for task in others:
            task.cancel()

    return registry


def _drop_managed_fields(body: kopf.Body) -> None:
    """Remove ``managedFields`` from a body, of which they are half: kopf keeps it until all lists have been read."""
    body["metadata"].pop("managedFields", None)
