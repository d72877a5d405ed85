"""kopf handlers: update the cache on watch events and enqueue experiments. The only importer of `kopf`.

Each resource has two handlers. The index function puts the object into our cache and returns nothing to index: kopf
calls index functions for all existing objects before any other handler, so that the first reconcile sees them all. The
event handler enqueues the experiment. Neither changes the object: no finalizer, no annotation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import kopf

from sparksweep_core.api.metadata import GROUP, VERSION
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.collector import ExperimentCollector
from sparksweep_operator.kube import KubeError, KubernetesClient
from sparksweep_operator.metrics import Metrics, serve
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from sparksweep_operator.workers import ExperimentWorkers

log = logging.getLogger(__name__)

EXPERIMENTS = (GROUP, VERSION, "experiments")
BATCHES = (GROUP, VERSION, "trialbatches")
PODS = ("", "v1", "pods")

SERVED_RESOURCES = ("experiments", "experiments/status", "trialbatches", "trialbatches/status")
CRD_POLL_S = 1.0


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
        liveness: URL to serve the liveness probe at: ``http://0.0.0.0:8080/healthz``.
        metrics_port: port to serve metrics at, on all addresses; None to serve none.
        stop: event that ends the operator. Drivers and executors continue without it.
    """
    metrics = Metrics()
    async with KubernetesClient(metrics) as client, AsyncExitStack() as exit_stack:
        cache = ObjectCache(metrics)
        metrics.registry.register(ExperimentCollector(cache, asyncio.get_running_loop()))
        if metrics_port is not None:
            _, stop_serving = serve(metrics.registry, metrics_port)
            exit_stack.callback(stop_serving)
        await _wait_for_crds(client, stop)
        reconciler = Reconciler(cache, client, settings, metrics=metrics)
        workers = ExperimentWorkers(
            reconciler.reconcile, lambda key: _is_finished(cache, key), metrics
        )
        await kopf.operator(
            registry=_registry(cache, workers),
            settings=_kopf_settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            liveness_endpoint=liveness,
            stop_flag=stop,
        )


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
    body = cache.experiment(key)
    return body is None or bool((body.get("status") or {}).get("completionTime"))


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Scanning lists and watches namespaces and CRDs, which needs cluster-wide rights.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    # Don't post log lines as events.
    settings.posting.enabled = False
    settings.watching.label_selectors["pods"] = EXPERIMENT_LABEL
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 600
    settings.networking.request_timeout = 30
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings


def _registry(cache: ObjectCache, workers: ExperimentWorkers) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        inside = kopf.login_with_service_account(**arguments)
        return inside or kopf.login_with_kubeconfig(**arguments)

    @kopf.index(*EXPERIMENTS, registry=registry)
    async def index_experiment(body: kopf.Body, **_: Any) -> None:
        cache.upsert_experiment(body)

    @kopf.index(*BATCHES, registry=registry)
    async def index_batch(body: kopf.Body, **_: Any) -> None:
        cache.upsert_batch(body)

    @kopf.index(*PODS, registry=registry)
    async def index_pod(body: kopf.Body, **_: Any) -> None:
        cache.upsert_pod(body)

    @kopf.on.event(*EXPERIMENTS, registry=registry)
    async def experiment_changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        deleted = event["type"] == "DELETED"
        workers.enqueue(cache.remove_experiment(body) if deleted else cache.upsert_experiment(body))

    @kopf.on.event(*BATCHES, registry=registry)
    async def batch_changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        key = cache.remove_batch(body) if event["type"] == "DELETED" else cache.upsert_batch(body)
        if key is not None:
            workers.enqueue(key)

    @kopf.on.event(*PODS, registry=registry)
    async def pod_changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        workers.enqueue(
            cache.remove_pod(body) if event["type"] == "DELETED" else cache.upsert_pod(body)
        )

    @kopf.on.cleanup(registry=registry)
    async def close_workers(**_: Any) -> None:
        await workers.close()

    return registry
