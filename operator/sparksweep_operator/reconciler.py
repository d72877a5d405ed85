"""Reconcile one experiment: read its state, plan, carry the plan out. Level-triggered, safe to repeat.

A plan is carried out in its order: batches, status, driver. After a failure or an interruption the next reconcile does
what is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from sparksweep_core.ages import Age
from sparksweep_core.api import Experiment, ExperimentReason, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import REFUSALS
from sparksweep_core.errors import FieldError, Unreadable
from sparksweep_core.history import HistoryView
from sparksweep_core.planner import Locations, Plan, fail_oversized, hold_refused, plan, reject
from sparksweep_core.validation.document import size_errors, stored_errors
from sparksweep_core.validation.reading import own_version, read_object, unknown_fields
from sparksweep_operator import manifests
from sparksweep_operator.cache import Body, Key, ObjectCache
from sparksweep_operator.driver_lifecycle import DriverLifecycle
from sparksweep_operator.driver_selection import DriverSelection, select_driver
from sparksweep_operator.event_recorder import EventRecorder
from sparksweep_operator.events import MESSAGE, Event, events_between
from sparksweep_operator.kube import (
    Conflict,
    KubeError,
    KubernetesClient,
    NotFound,
    TooLarge,
)
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pacing import (
    RECHECK_AFTER,
    progress_interval,
    requeue_delay,
    status_delay,
)
from sparksweep_operator.planner_threads import PlannerThreads
from sparksweep_operator.settings import Settings
from sparksweep_operator.unreadable import status_with_problem

log = logging.getLogger(__name__)

REFRESH_AFTER = timedelta(seconds=50)
"""Age at which the cache is compared with the API server: watches miss deletions while they are disconnected."""
BATCH_CONFLICTS = 5
"""Number of times that a batch's name may be taken before the condition says so: each is tried again after half a
second."""
PRUNED_AGAIN_AFTER = timedelta(minutes=10)
"""Time after which fields that the CRDs lacked are written once more: they may have been updated."""
LoadBatches = Callable[[Key, str], Awaitable[None]]
"""Lists the batches of the Experiment with a key and a UID into the cache."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a reconcile."""

    wrote_status: bool
    requeue_after: timedelta | None
    """Time after which to reconcile again if nothing happens first; None to wait for a change."""


IDLE = Result(wrote_status=False, requeue_after=None)


def _now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Reconciler of experiments: brings the cluster to the planned state."""

    def __init__(
        self,
        cache: ObjectCache,
        client: KubernetesClient,
        settings: Settings,
        *,
        load_batches: LoadBatches,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reconcile nothing yet.

        Args:
            cache: newest versions of all objects.
            client: client of the API server.
            settings: settings of drivers.
            load_batches: lists the batches of an experiment, given its UID, into the cache.
            metrics: instruments to report to.
            clock: the wall clock, for times that are stored.
            monotonic: the monotonic clock, in seconds, for intervals.
        """
        self._settings = settings
        self._cache = cache
        self._client = client
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._recorder = EventRecorder(client, clock)
        self._drivers = DriverLifecycle(
            cache,
            client,
            settings,
            recorder=self._recorder,
            metrics=self._metrics,
            monotonic=monotonic,
        )
        self._load_batches = load_batches
        self._monotonic = monotonic
        self._planners = PlannerThreads()

    async def reconcile(self, key: Key, memo: Memo) -> Result:
        """Reconcile an experiment once.

        Raises:
            KubeError: a request to the API server failed; another reconcile may succeed.
        """
        await self._refresh_cache(key, memo)
        body = self._cache.experiment(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            # All that belongs to it is deleted with it, by owner references.
            return IDLE
        owner = self._cache.needs_batches(key)
        if owner is not None:
            await self._load_batches(key, owner)
            return await self.reconcile(key, memo)
        if not _is_checked(body, memo) and _lacks_source(body):
            complete = await self._client.get_experiment(*key)
            self._cache.upsert_experiment(complete)
            if _spec_version(complete) != _spec_version(body):
                return await self.reconcile(key, memo)
            body = complete
        try:
            experiment = _parse(body, memo, self._settings)
        except Unreadable as error:
            return await self._report_unreadable(
                body, ExperimentReason.UNREADABLE_EXPERIMENT, str(error)
            )
        unreadable = self._cache.unreadable_batches(key)
        if unreadable and not _has_ended(body):
            # To plan without them would run their trials again.
            _, message = min(unreadable.items())
            more = f" The same holds for {len(unreadable) - 1} more." if len(unreadable) > 1 else ""
            return await self._report_unreadable(
                body, ExperimentReason.UNREADABLE_BATCH, message + more
            )
        uid = body["metadata"]["uid"]
        # Before the first await since the check above: while one waits, the cache may forget the batches.
        history = self._cache.history(key).view()
        await self._announce_unknown_fields(experiment, memo)
        now = self._clock()
        age = memo.ages.at(now, self._monotonic())
        selection = select_driver(self._cache.pods(key), history.summary, owner=uid, age=age)
        locations = _locations(experiment, selection.viewer_pod)
        if memo.spec_errors:
            message = _joined(memo.spec_errors)
            planned = reject(experiment, message, now=now, locations=locations, age=age)
        else:
            driver = await self._drivers.status(experiment, selection, memo)
            make_plan = partial(
                plan, experiment, history, driver=driver, now=now, locations=locations, age=age
            )
            planned, memo.plan_s = await self._planners.run(make_plan, expected_s=memo.plan_s)
        return await self._apply(experiment, planned, selection, history, memo=memo, age=age)

    async def _refresh_cache(self, key: Key, memo: Memo) -> None:
        """Remove objects from the cache that no longer exist, if the last comparison is too old."""
        now = self._monotonic()
        if memo.refreshed_at is None:
            # The first reconcile follows right after the watches' initial lists or an event.
            memo.refreshed_at = memo.pruned_since = now
        if now - memo.pruned_since >= PRUNED_AGAIN_AFTER.total_seconds():
            self._cache.forget_pruned(key)
            memo.pruned_since = now
        if now - memo.refreshed_at < REFRESH_AFTER.total_seconds():
            return
        pods = await self._client.list_pods(*key)
        version = int(pods["metadata"]["resourceVersion"])
        self._cache.replace_pods(key, pods["items"], version=version)
        cached = self._cache.experiment(key)
        if cached is not None:
            try:
                self._cache.upsert_experiment(await self._client.get_experiment(*key))
            except NotFound:
                self._cache.remove_experiment(cached)
        memo.refreshed_at = now

    async def _report_unreadable(
        self, body: Body, reason: ExperimentReason, message: str
    ) -> Result:
        """Say in the Experiment's condition that an object can't be read; its driver and its trials go on.

        A change of the object, and every resync, reconciles again.
        """
        self._metrics.count_unreadable(reason)
        status = status_with_problem(body, reason, message, now=self._clock())
        if status is not None:
            log.error("%s", message)
            metadata = body["metadata"]
            key = metadata["namespace"], metadata["name"]
            write = self._client.apply_status_values(metadata, status)
            await self._cache_written(key, write, status)
        return Result(wrote_status=status is not None, requeue_after=RECHECK_AFTER)

    async def _announce_unknown_fields(self, experiment: Experiment, memo: Memo) -> None:
        """Record an event about fields of the spec that a later version has defined, once for each spec."""
        if not memo.unknown_fields:
            return
        names, memo.unknown_fields = ", ".join(memo.unknown_fields), ()
        message = f"sparksweep {own_version()} does not know these fields and ignores them: {names}"
        log.warning("%s: %s", experiment.metadata.name, message)
        await self._recorder.record(experiment, [Event("Warning", "UnknownFields", message)])

    async def _announce_refused_status(
        self, experiment: Experiment, error: KubeError, memo: Memo
    ) -> None:
        """Record an event about a status that the API server refuses, once for each reason: no condition can say it."""
        reason = str(error)
        if memo.refused_status == reason:
            return
        memo.refused_status = reason
        advice = ""
        if isinstance(error, TooLarge):
            advice = " Remove annotations of the Experiment, or shorten its spec: together with its status it has too many bytes."
        message = f"The API server refuses the status, which stays as it is: {reason}.{advice}"
        log.warning("%s: %s", experiment.metadata.name, message)
        await self._recorder.record(
            experiment, [Event("Warning", "StatusRefused", message[:MESSAGE])]
        )

    # ------------------------------------------------------------------ carrying a plan out

    async def _apply(
        self,
        experiment: Experiment,
        planned: Plan,
        selection: DriverSelection,
        history: HistoryView,
        *,
        memo: Memo,
        age: Age,
    ) -> Result:
        refused = memo.was_refused = False
        try:
            memo.unannounced_batches += await self._write_batches(planned.batches, history)
        except TooLarge as error:
            message = f"A TrialBatch is larger than the API server stores: {error}"
            planned = fail_oversized(experiment, planned, message, now=self._clock(), age=age)
        except (*REFUSALS, Conflict) as error:
            if isinstance(error, Conflict):
                # Usually it is our own, not in the cache yet, or one of an earlier Experiment that is being deleted.
                memo.batch_conflicts += 1
                if memo.batch_conflicts <= BATCH_CONFLICTS:
                    raise
            # Whatever else the plan wants is done all the same, and the refusal is said.
            refused = True
            message = f"A TrialBatch is refused: {error}"
            planned = hold_refused(experiment, planned, message, now=self._clock())
        else:
            memo.batch_conflicts = 0
        before = experiment.status or ExperimentStatus()
        interval = progress_interval(self._cache.running_count)
        delay = status_delay(before, planned.status, memo, now=self._monotonic(), interval=interval)
        writes_status = planned.status != before and not delay
        if writes_status:
            try:
                await self._write_status(experiment, planned.status, memo)
            except REFUSALS as error:
                refused, writes_status = True, False
                await self._announce_refused_status(experiment, error, memo)
        creation_error = memo.creation_error
        await self._drivers.apply(experiment, planned, selection, memo=memo, age=age)
        if planned.expired:
            log.info("deleting %s: its TTL is over", experiment.metadata.name)
            async with self._recorder.telling(
                experiment,
                memo,
                reason="NotDeleted",
                action="Its TTL is over, and it can't be deleted",
            ):
                await self._client.delete_experiment(experiment)
        error_changed = memo.creation_error != creation_error
        requeue_after = requeue_delay(
            planned, selection, memo, self._monotonic(), error_changed=error_changed
        )
        if delay:
            requeue_after = min(requeue_after or delay, delay)
        if refused or memo.was_refused:
            requeue_after = min(requeue_after or RECHECK_AFTER, RECHECK_AFTER)
        return Result(writes_status, requeue_after)

    async def _write_batches(
        self, changed: Sequence[TrialBatch], history: HistoryView
    ) -> list[TrialBatch]:
        """Create or update batches; return those that were created."""
        names = {record.name for record in history.records} if changed else set()
        created = []
        for batch in changed:
            if batch.metadata.name in names:
                body = await self._client.apply_batch(batch)
            else:
                body = await self._client.create_batch(batch)
                created.append(batch)
            self._cache.upsert_batch(body, written=batch.spec)
        return created

    async def _write_status(
        self, experiment: Experiment, status: ExperimentStatus, memo: Memo
    ) -> None:
        """Write the planned status to the API server, and record events about the change."""
        metadata = experiment.metadata
        key = metadata.namespace or "", metadata.name
        write = self._client.apply_status(experiment, status)
        await self._cache_written(key, write, status.to_dict())
        memo.status_written_at, memo.refused_status = self._monotonic(), ""
        batches, memo.unannounced_batches = memo.unannounced_batches, []
        before = experiment.status or ExperimentStatus()
        await self._recorder.record(experiment, events_between(before, status, batches))

    async def _cache_written(self, key: Key, write: Awaitable[Body], status: Body) -> None:
        """Make a write of an Experiment's status and cache its answer; after a conflict cache the Experiment as it is now.

        Raises:
            Conflict: the plan was made from an Experiment that has changed since.
        """
        try:
            body = await write
        except Conflict:
            # The watch may lag behind: the next reconcile must not plan from the same version again.
            self._cache.upsert_experiment(await self._client.get_experiment(*key))
            raise
        self._cache.upsert_experiment(body, is_own=True, written=status)


def _parse(body: Body, memo: Memo, settings: Settings) -> Experiment:
    """Read an Experiment; if its spec is new, check it and put the errors and unknown fields into `memo`.

    Raises:
        Unreadable: a later version wrote a value that this one does not understand.
    """
    metadata = body["metadata"]
    subject = f"Experiment {metadata['namespace']}/{metadata['name']}"
    experiment = read_object(Experiment, body, subject)
    if _has_ended(body):
        # Ended: nothing is made from its spec any more, and its inline source is not cached.
        memo.spec_errors = ()
        return experiment
    if not _is_checked(body, memo):
        memo.checked_version, memo.spec_errors = _spec_version(body), ()
        memo.creation_failed_at = None
        errors = stored_errors(experiment, body) or manifests.check_cluster(experiment, settings)
        if not errors and experiment.status is None:
            errors = size_errors(body.get("spec"))
        memo.spec_errors = tuple(errors)
        memo.unknown_fields = tuple(unknown_fields(Experiment, {"spec": body.get("spec")}))
    return experiment


def _spec_version(body: Body) -> tuple[str, int]:
    """Return what identifies a spec: the Experiment's UID and its generation."""
    return body["metadata"]["uid"], body["metadata"]["generation"]


def _is_checked(body: Body, memo: Memo) -> bool:
    """Return True if the spec needs no check: it was checked, or the experiment has ended."""
    return _has_ended(body) or memo.checked_version == _spec_version(body)


def _lacks_source(body: Body) -> bool:
    """Return True if a document comes from the cache without its inline source."""
    template = (body.get("spec") or {}).get("trialTemplate") or {}
    source = template.get("source")
    return source is not None and "inline" not in source and "configMap" not in source


def _has_ended(body: Body) -> bool:
    return bool((body.get("status") or {}).get("completionTime"))


def _locations(experiment: Experiment, viewer_pod: str | None) -> Locations:
    return Locations(
        results=manifests.results_location(experiment, viewer_pod),
        tensorboard=manifests.tensorboard_address(experiment, viewer_pod),
    )


def _joined(errors: Sequence[FieldError]) -> str:
    return "; ".join(str(error) for error in errors)
