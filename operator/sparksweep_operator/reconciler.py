"""One turn for one experiment: look at what is, plan, do what the plan says. Level-triggered, safe to repeat.

What is done comes in the plan's order: batches, status, driver. Whatever fails or is interrupted between two steps is
found undone by the next turn.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from sparksweep_core.api import Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.errors import FieldError, InvalidExperiment
from sparksweep_core.planner import DriverState, DriverStatus, Locations, Plan, plan, reject
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator import manifests
from sparksweep_operator.cache import Body, Key, ObjectCache
from sparksweep_operator.driver_selection import DriverSelection, select_driver
from sparksweep_operator.events import Event, driver_started, events_between
from sparksweep_operator.kube import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    KubernetesClient,
    NotFound,
)
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod
from sparksweep_operator.settings import Settings

log = logging.getLogger(__name__)

STATUS_INTERVAL = timedelta(seconds=1)
"""An Experiment's status is written at most this often."""
PROGRESS_INTERVAL = timedelta(seconds=2)
"""And this often when nothing has changed but how far the trials are."""
RECHECK_AFTER = timedelta(seconds=10)
"""How soon to look again at what is expected to change by itself."""
REFRESH_AFTER = timedelta(seconds=50)
"""How old what the watches have told may be: they tell of no deletion that happened while they were broken off."""
END_WITHIN = timedelta(minutes=10)
"""How long a driver may take to end by itself after the experiment, before its pod goes, viewer and all. It has given
its executors back by then, and may be copying files."""
PROBE_AFTER = timedelta(seconds=15)
"""How long a driver may have too few executors before the API server is asked why."""
PLANNERS = 2
"""Threads that plan, because the models of a search take up to a third of a second and the event loop has others to
serve. Two, so that one long plan does not keep all the others waiting; more would only wait for the interpreter's lock."""


@dataclass(slots=True)
class Memo:
    """What one turn tells the next. None of it is needed: a restarted operator begins without."""

    checked: tuple[str, int] | None = None
    """UID and generation of the spec that was checked last..."""
    errors: tuple[FieldError, ...] = ()
    """...and what was found."""
    refreshed: datetime | None = None
    """When the cache was compared with the API server last."""
    trouble: str = ""
    """Why the driver's pod could not be created..."""
    refused: datetime | None = None
    """...and when that was, if the spec is still the same."""
    short_since: datetime | None = None
    """Since when there are fewer executors than there should be."""
    probed: datetime | None = None
    refusal: str = ""
    """What the API server says to another executor."""
    wrote: datetime | None = None
    """When the status was written last."""
    untold: list[TrialBatch] = field(default_factory=list)
    """The batches created since then."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a turn."""

    wrote_status: bool
    requeue_after: timedelta | None
    """When to come again if nothing happens; None: when something does."""


IDLE = Result(wrote_status=False, requeue_after=None)


def _now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Turns experiments towards what they should be."""

    def __init__(
        self,
        cache: ObjectCache,
        client: KubernetesClient,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._cache = cache
        self._client = client
        self._settings = settings
        self._clock = clock
        self._planners = ThreadPoolExecutor(PLANNERS, thread_name_prefix="planner")

    async def reconcile(self, key: Key, memo: Memo) -> Result:
        """Take one turn.

        Raises:
            KubeError: the API server did not do what it was asked; another turn may fare better.
        """
        await self._refresh(key, memo)
        body = self._cache.experiment(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            # What belongs to it is deleted with it, by its owner references.
            return IDLE
        experiment = self._checked(body, memo)
        batches = self._cache.batches(key, body["metadata"]["uid"])
        now = self._clock()
        selection = select_driver(
            self._cache.pods(key), batches, owner=body["metadata"]["uid"], now=now
        )
        locations = _locations(experiment, selection.viewer_pod)
        if memo.errors:
            planned = reject(experiment, _listed(memo.errors), now=now, locations=locations)
        else:
            driver = await self._driver_status(experiment, selection, memo, now)
            make_plan = partial(
                plan, experiment, batches, driver=driver, now=now, locations=locations
            )
            planned = await asyncio.get_running_loop().run_in_executor(self._planners, make_plan)
        return await self._apply(experiment, planned, selection, batches, memo)

    # ------------------------------------------------------------------ what is

    async def _refresh(self, key: Key, memo: Memo) -> None:
        """Now and then, forget what is no longer there."""
        now = self._clock()
        if memo.refreshed is None:
            # The first turn comes right after the watches' first lists, or after news.
            memo.refreshed = now
        if now - memo.refreshed < REFRESH_AFTER:
            return
        pods = await self._client.list_pods(*key)
        self._cache.replace_pods(
            key, pods["items"], listed=int(pods["metadata"]["resourceVersion"])
        )
        known = self._cache.experiment(key)
        if known is not None:
            try:
                self._cache.upsert_experiment(await self._client.get_experiment(*key))
            except NotFound:
                self._cache.remove_experiment(known)
        memo.refreshed = now

    def _checked(self, body: Body, memo: Memo) -> Experiment:
        """The Experiment; `memo` says what is wrong with it."""
        metadata = body["metadata"]
        version = (metadata["uid"], metadata["generation"])
        # The API server has checked the shape, which is the types' own: a newer one may be read by an older operator.
        if memo.checked != version:
            memo.checked, memo.errors, memo.refused = version, (), None
            try:
                memo.errors = tuple(manifests.check_cluster(parse_experiment(_document(body))))
            except InvalidExperiment as error:
                memo.errors = error.errors
        return Experiment.model_validate(_document(body), strict=False)

    async def _driver_status(
        self, experiment: Experiment, selection: DriverSelection, memo: Memo, now: datetime
    ) -> DriverStatus:
        status = selection.status
        if status.state is DriverState.ABSENT:
            memo.short_since = None
            return DriverStatus(status.state, memo.trouble or status.message)
        memo.trouble = ""
        if status.state is DriverState.RUNNING:
            refusal = await self._executor_refusal(experiment, selection, memo, now)
            return DriverStatus(status.state, refusal or status.message)
        return status

    async def _executor_refusal(
        self, experiment: Experiment, selection: DriverSelection, memo: Memo, now: datetime
    ) -> str:
        """What keeps Spark from creating executors; Spark itself only writes it into its log."""
        status = experiment.status or ExperimentStatus()
        wanted = min(
            experiment.spec.parallel_trial_count, status.trials.pending + status.trials.running
        )
        if len(selection.executors) >= wanted:
            memo.short_since, memo.refusal = None, ""
            return ""
        memo.short_since = memo.short_since or now
        due = memo.probed is None or now - memo.probed >= RECHECK_AFTER
        if now - memo.short_since >= PROBE_AFTER and due:
            memo.probed = now
            memo.refusal = ""
            try:
                probe = manifests.executor_probe(experiment, self._settings)
                await self._client.create(probe, dry_run=True)
            except (Forbidden, Invalid) as error:
                memo.refusal = f"Executors can't be created: {error}"
        return memo.refusal

    # ------------------------------------------------------------------ what to do

    async def _apply(
        self,
        experiment: Experiment,
        planned: Plan,
        selection: DriverSelection,
        batches: Sequence[TrialBatch],
        memo: Memo,
    ) -> Result:
        before = experiment.status or ExperimentStatus()
        memo.untold += await self._write_batches(planned.batches, batches)
        wait = status_wait(before, planned.status, memo, self._clock())
        wrote = planned.status != before and not wait
        if wrote:
            body = await self._client.apply_status(experiment, planned.status)
            self._cache.upsert_experiment(body)
            memo.wrote = self._clock()
            created, memo.untold = memo.untold, []
            await self._post(experiment, events_between(before, planned.status, created))
        told = memo.trouble
        await self._settle_driver(experiment, planned, selection, memo)
        if planned.expired:
            log.info("deleting %s: its ttl is over", experiment.metadata.name)
            await self._client.delete_experiment(experiment)
        again = _requeue_after(planned, selection, memo, self._clock(), told=told)
        return Result(wrote, min(again or wait, wait) if wait else again)

    async def _write_batches(
        self, wanted: Sequence[TrialBatch], known: Sequence[TrialBatch]
    ) -> list[TrialBatch]:
        names = {batch.metadata.name for batch in known}
        created = []
        for batch in wanted:
            if batch.metadata.name in names:
                body = await self._client.apply_batch(batch)
            else:
                body = await self._client.create_batch(batch)
                created.append(batch)
            self._cache.upsert_batch(body)
        return created

    async def _settle_driver(
        self, experiment: Experiment, planned: Plan, selection: DriverSelection, memo: Memo
    ) -> None:
        namespace = experiment.metadata.namespace or ""
        useless = list(selection.obsolete)
        if not planned.driver_wanted:
            kept = self._pod_to_keep(planned, selection)
            if kept is not None and kept is selection.live:
                await self._close(experiment)
            last = (selection.live, selection.last_ended)
            useless += [pod for pod in last if pod is not None and pod is not kept]
        for pod in useless:
            await self._client.delete_pod(namespace, pod.name, pod.uid)
        if selection.live is not None or not planned.driver_wanted or selection.start_delay:
            return
        # Its own status wakes the experiment, and batches do: each time would be four requests that are refused again.
        if not refusal_wait(memo, self._clock()):
            await self._start_driver(experiment, selection, memo)

    def _pod_to_keep(self, planned: Plan, selection: DriverSelection) -> Pod | None:
        """The driver's pod whose viewer outlives the experiment; its driver ends when it reads that this is over."""
        pod = selection.live or selection.last_ended
        if not planned.finished or pod is None or not pod.has_viewer:
            return None
        ended = planned.status.completion_time
        late = ended is not None and self._clock() - ended > END_WITHIN
        return None if late and pod is selection.live else pod

    async def _close(self, experiment: Experiment) -> None:
        """Write into the newest batch that the experiment has ended."""
        metadata = experiment.metadata
        batches = self._cache.batches((metadata.namespace or "", metadata.name), metadata.uid or "")
        newest = max(batches, key=lambda batch: batch.spec.index, default=None)
        if newest is not None and not newest.spec.closed:
            spec = newest.spec.model_copy(update={"closed": True})
            body = await self._client.apply_batch(newest.model_copy(update={"spec": spec}))
            self._cache.upsert_batch(body)

    async def _start_driver(
        self, experiment: Experiment, selection: DriverSelection, memo: Memo
    ) -> None:
        pod = manifests.driver_pod(experiment, selection.next_number, self._settings)
        code = manifests.code_config_map(experiment)
        try:
            if code is not None:
                await self._client.apply_owned(code)
            await self._client.apply_owned(manifests.driver_config_map(experiment, self._settings))
            service = manifests.tensorboard_service(experiment)
            if service is not None:
                await self._client.apply_owned(service)
            self._cache.upsert_pod(await self._client.create(pod))
        except (Forbidden, Invalid, Conflict, NotFound) as error:
            # A quota, an account that is not there, somebody else's object of that name: for the user to see.
            memo.trouble = f"The driver can't be created: {error}"
            memo.refused = self._clock()
            return
        memo.trouble, memo.refused = "", None
        name = pod["metadata"]["name"]
        log.info("created the driver %s", name)
        if selection.next_number:
            self._metrics.count_driver_restart()
        why = selection.status.message
        kept = experiment.spec.storage.persistent_volume_claim is not None
        started = driver_started(name, selection.next_number, why, keeps_files=kept)
        await self._post(experiment, [started])

    async def _post(self, experiment: Experiment, events: Sequence[Event]) -> None:
        moment = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        for event in events:
            text = f"{experiment.metadata.uid}{event.reason}{event.message}{moment}"
            name = f"{experiment.metadata.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            try:
                await self._client.post_event(experiment, event, moment=moment, name=name)
            except KubeError as error:
                # Events are for people; nothing depends on them.
                log.warning("event %s of %s is lost: %s", event.reason, name, error)


def _locations(experiment: Experiment, pod: str | None) -> Locations:
    """Return the locations of the results and of TensorBoard, of which `pod` has the viewer."""
    return Locations(
        results=manifests.results_location(experiment, pod),
        tensorboard=manifests.tensorboard_address(experiment, pod),
    )


def status_wait(
    before: ExperimentStatus, after: ExperimentStatus, memo: Memo, now: datetime
) -> timedelta:
    """How long the status may wait to be written: while it says no more than that trials go on."""
    progress = ("trials", "progress", "best_trial", "recent_trials")
    same = {name: getattr(before, name) for name in progress}
    if memo.wrote is None or after == before or after.model_copy(update=same) != before:
        return timedelta(0)
    return max(timedelta(0), memo.wrote + PROGRESS_INTERVAL - now)


def refusal_wait(memo: Memo, now: datetime) -> timedelta:
    """How long a driver that could not be created waits before it is tried again."""
    if memo.refused is None:
        return timedelta(0)
    return max(timedelta(0), memo.refused + RECHECK_AFTER - now)


def _document(body: Body) -> dict[str, object]:
    """The body without what is no part of the document."""
    kept = ("apiVersion", "kind", "metadata", "spec", "status")
    return {key: body[key] for key in kept if key in body}


def _listed(errors: Sequence[FieldError]) -> str:
    return "; ".join(str(error) for error in errors)


def _requeue_after(
    planned: Plan, selection: DriverSelection, memo: Memo, now: datetime, *, told: str
) -> timedelta | None:
    times = [planned.requeue_after]
    if planned.finished and selection.live is not None and selection.live.has_viewer:
        times.append(RECHECK_AFTER)
    if planned.driver_wanted:
        if selection.live is None:
            times.append(selection.start_delay or refusal_wait(memo, now) or RECHECK_AFTER)
        if memo.trouble != told:
            # Its condition is written in the turn that comes now.
            times.append(STATUS_INTERVAL)
        if memo.short_since is not None:
            times.append(PROBE_AFTER)
    return min((time for time in times if time is not None), default=None)
