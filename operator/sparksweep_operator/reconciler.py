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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sparksweep_core.api import Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.errors import FieldError, InvalidExperiment
from sparksweep_core.planner import DriverState, DriverView, Plan, plan, reject
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator import manifests
from sparksweep_operator.cache import Body, Key, World
from sparksweep_operator.driver_selection import DriverSituation, look_at_driver
from sparksweep_operator.events import Event, driver_started, events_between
from sparksweep_operator.kube import Conflict, Forbidden, Gateway, Invalid, KubeError, NotFound
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod
from sparksweep_operator.settings import Settings

log = logging.getLogger(__name__)

STATUS_INTERVAL = timedelta(seconds=1)
"""An Experiment's status is written at most this often."""
PROGRESS_INTERVAL = timedelta(seconds=2)
"""And this often when nothing has changed but how far the trials are."""
LOOK_AGAIN = timedelta(seconds=10)
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
class Memory:
    """What one turn tells the next. None of it is needed: a restarted operator begins without."""

    checked: tuple[str, int] | None = None
    """UID and generation of the spec that was checked last..."""
    errors: tuple[FieldError, ...] = ()
    """...and what was found."""
    refreshed: datetime | None = None
    """When the world was compared with the API server last."""
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
class Turn:
    """What came of a turn."""

    wrote_status: bool
    again_after: timedelta | None
    """When to come again if nothing happens; None: when something does."""


IDLE = Turn(wrote_status=False, again_after=None)


def _now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Turns experiments towards what they should be."""

    def __init__(
        self,
        world: World,
        gateway: Gateway,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._world = world
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._planners = ThreadPoolExecutor(PLANNERS, thread_name_prefix="planner")

    async def turn(self, key: Key, memory: Memory) -> Turn:
        """Take one turn.

        Raises:
            KubeError: the API server did not do what it was asked; another turn may fare better.
        """
        await self._refresh(key, memory)
        body = self._world.experiment(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            # What belongs to it is deleted with it, by its owner references.
            return IDLE
        experiment = self._checked(body, memory)
        batches = self._world.batches(key, body["metadata"]["uid"])
        now = self._clock()
        situation = look_at_driver(
            self._world.pods(key), batches, owner=body["metadata"]["uid"], now=now
        )
        if memory.errors:
            planned = reject(experiment, _listed(memory.errors), now)
        else:
            view = await self._view(experiment, situation, memory, now)
            planned = await asyncio.get_running_loop().run_in_executor(
                self._planners, plan, experiment, batches, view, now
            )
        planned = _located(experiment, planned, situation)
        return await self._apply(experiment, planned, situation, batches, memory)

    # ------------------------------------------------------------------ what is

    async def _refresh(self, key: Key, memory: Memory) -> None:
        """Now and then, forget what is no longer there."""
        now = self._clock()
        if memory.refreshed is None:
            # The first turn comes right after the watches' first lists, or after news.
            memory.refreshed = now
        if now - memory.refreshed < REFRESH_AFTER:
            return
        pods = await self._gateway.list_pods(*key)
        self._world.keep_pods(key, pods["items"], listed=int(pods["metadata"]["resourceVersion"]))
        known = self._world.experiment(key)
        if known is not None:
            try:
                self._world.put_experiment(await self._gateway.get_experiment(*key))
            except NotFound:
                self._world.drop_experiment(known)
        memory.refreshed = now

    def _checked(self, body: Body, memory: Memory) -> Experiment:
        """The Experiment; `memory` says what is wrong with it."""
        metadata = body["metadata"]
        version = (metadata["uid"], metadata["generation"])
        # The API server has checked the shape, which is the types' own: a newer one may be read by an older operator.
        if memory.checked != version:
            memory.checked, memory.errors, memory.refused = version, (), None
            try:
                memory.errors = tuple(manifests.check_cluster(parse_experiment(_document(body))))
            except InvalidExperiment as error:
                memory.errors = error.errors
        return Experiment.model_validate(_document(body), strict=False)

    async def _view(
        self, experiment: Experiment, situation: DriverSituation, memory: Memory, now: datetime
    ) -> DriverView:
        view = situation.view
        if view.state is DriverState.ABSENT:
            memory.short_since = None
            return DriverView(view.state, memory.trouble or view.message)
        memory.trouble = ""
        if view.state is DriverState.RUNNING:
            refusal = await self._executor_refusal(experiment, situation, memory, now)
            return DriverView(view.state, refusal or view.message)
        return view

    async def _executor_refusal(
        self, experiment: Experiment, situation: DriverSituation, memory: Memory, now: datetime
    ) -> str:
        """What keeps Spark from creating executors; Spark itself only writes it into its log."""
        status = experiment.status or ExperimentStatus()
        wanted = min(
            experiment.spec.parallel_trial_count, status.trials.pending + status.trials.running
        )
        if len(situation.executors) >= wanted:
            memory.short_since, memory.refusal = None, ""
            return ""
        memory.short_since = memory.short_since or now
        due = memory.probed is None or now - memory.probed >= LOOK_AGAIN
        if now - memory.short_since >= PROBE_AFTER and due:
            memory.probed = now
            memory.refusal = ""
            try:
                probe = manifests.executor_probe(experiment, self._settings)
                await self._gateway.create(probe, dry_run=True)
            except (Forbidden, Invalid) as error:
                memory.refusal = f"Executors can't be created: {error}"
        return memory.refusal

    # ------------------------------------------------------------------ what to do

    async def _apply(
        self,
        experiment: Experiment,
        planned: Plan,
        situation: DriverSituation,
        batches: Sequence[TrialBatch],
        memory: Memory,
    ) -> Turn:
        before = experiment.status or ExperimentStatus()
        memory.untold += await self._write_batches(planned.batches, batches)
        wait = status_wait(before, planned.status, memory, self._clock())
        wrote = planned.status != before and not wait
        if wrote:
            body = await self._gateway.apply_status(experiment, planned.status)
            self._world.put_experiment(body)
            memory.wrote = self._clock()
            created, memory.untold = memory.untold, []
            await self._post(experiment, events_between(before, planned.status, created))
        told = memory.trouble
        await self._settle_driver(experiment, planned, situation, memory)
        if planned.expired:
            log.info("deleting %s: its ttl is over", experiment.metadata.name)
            await self._gateway.delete_experiment(experiment)
        again = _again_after(planned, situation, memory, self._clock(), told=told)
        return Turn(wrote, min(again or wait, wait) if wait else again)

    async def _write_batches(
        self, wanted: Sequence[TrialBatch], known: Sequence[TrialBatch]
    ) -> list[TrialBatch]:
        names = {batch.metadata.name for batch in known}
        created = []
        for batch in wanted:
            if batch.metadata.name in names:
                body = await self._gateway.apply_batch(batch)
            else:
                body = await self._gateway.create_batch(batch)
                created.append(batch)
            self._world.put_batch(body)
        return created

    async def _settle_driver(
        self, experiment: Experiment, planned: Plan, situation: DriverSituation, memory: Memory
    ) -> None:
        namespace = experiment.metadata.namespace or ""
        useless = list(situation.superfluous)
        if not planned.driver_wanted:
            kept = self._pod_to_keep(planned, situation)
            if kept is not None and kept is situation.live:
                await self._close(experiment)
            last = (situation.live, situation.remains)
            useless += [pod for pod in last if pod is not None and pod is not kept]
        for pod in useless:
            await self._gateway.delete_pod(namespace, pod.name, pod.uid)
        if situation.live is not None or not planned.driver_wanted or situation.pause:
            return
        # Its own status wakes the experiment, and batches do: each time would be four requests that are refused again.
        if not refusal_wait(memory, self._clock()):
            await self._start_driver(experiment, situation, memory)

    def _pod_to_keep(self, planned: Plan, situation: DriverSituation) -> Pod | None:
        """The driver's pod whose viewer outlives the experiment; its driver ends when it reads that this is over."""
        pod = situation.live or situation.remains
        if not planned.finished or pod is None or not pod.shows:
            return None
        ended = planned.status.completion_time
        late = ended is not None and self._clock() - ended > END_WITHIN
        return None if late and pod is situation.live else pod

    async def _close(self, experiment: Experiment) -> None:
        """Write into the newest batch that the experiment has ended."""
        metadata = experiment.metadata
        batches = self._world.batches((metadata.namespace or "", metadata.name), metadata.uid or "")
        newest = max(batches, key=lambda batch: batch.spec.index, default=None)
        if newest is not None and not newest.spec.closed:
            spec = newest.spec.model_copy(update={"closed": True})
            body = await self._gateway.apply_batch(newest.model_copy(update={"spec": spec}))
            self._world.put_batch(body)

    async def _start_driver(
        self, experiment: Experiment, situation: DriverSituation, memory: Memory
    ) -> None:
        pod = manifests.driver_pod(experiment, situation.next_number, self._settings)
        code = manifests.code_config_map(experiment)
        try:
            if code is not None:
                await self._gateway.apply_owned(code)
            await self._gateway.apply_owned(manifests.driver_config_map(experiment, self._settings))
            service = manifests.tensorboard_service(experiment)
            if service is not None:
                await self._gateway.apply_owned(service)
            self._world.put_pod(await self._gateway.create(pod))
        except (Forbidden, Invalid, Conflict, NotFound) as error:
            # A quota, an account that is not there, somebody else's object of that name: for the user to see.
            memory.trouble = f"The driver can't be created: {error}"
            memory.refused = self._clock()
            return
        memory.trouble, memory.refused = "", None
        name = pod["metadata"]["name"]
        log.info("created the driver %s", name)
        if situation.next_number:
            self._metrics.driver_restarted()
        why = situation.view.message
        kept = experiment.spec.storage.persistent_volume_claim is not None
        started = driver_started(name, situation.next_number, why, keeps_files=kept)
        await self._post(experiment, [started])

    async def _post(self, experiment: Experiment, events: Sequence[Event]) -> None:
        moment = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        for event in events:
            text = f"{experiment.metadata.uid}{event.reason}{event.message}{moment}"
            name = f"{experiment.metadata.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            try:
                await self._gateway.post_event(experiment, event, moment=moment, name=name)
            except KubeError as error:
                # Events are for people; nothing depends on them.
                log.warning("event %s of %s is lost: %s", event.reason, name, error)


def _located(experiment: Experiment, planned: Plan, situation: DriverSituation) -> Plan:
    """The plan, with a status that says where its results are, and its TensorBoard."""
    shown = next((pod for pod in (situation.live, situation.remains) if pod and pod.shows), None)
    pod = shown.name if shown else None
    found = {
        "results": manifests.results_location(experiment, pod),
        "tensorboard": manifests.tensorboard_address(experiment, pod),
    }
    return replace(planned, status=planned.status.model_copy(update=found))


def status_wait(
    before: ExperimentStatus, after: ExperimentStatus, memory: Memory, now: datetime
) -> timedelta:
    """How long the status may wait to be written: while it says no more than that trials go on."""
    progress = ("trials", "progress", "best_trial", "recent_trials")
    same = {name: getattr(before, name) for name in progress}
    if memory.wrote is None or after == before or after.model_copy(update=same) != before:
        return timedelta(0)
    return max(timedelta(0), memory.wrote + PROGRESS_INTERVAL - now)


def refusal_wait(memory: Memory, now: datetime) -> timedelta:
    """How long a driver that could not be created waits before it is tried again."""
    if memory.refused is None:
        return timedelta(0)
    return max(timedelta(0), memory.refused + LOOK_AGAIN - now)


def _document(body: Body) -> dict[str, object]:
    """The body without what is no part of the document."""
    kept = ("apiVersion", "kind", "metadata", "spec", "status")
    return {key: body[key] for key in kept if key in body}


def _listed(errors: Sequence[FieldError]) -> str:
    return "; ".join(str(error) for error in errors)


def _again_after(
    planned: Plan, situation: DriverSituation, memory: Memory, now: datetime, *, told: str
) -> timedelta | None:
    times = [planned.requeue_after]
    if planned.finished and situation.live is not None and situation.live.shows:
        times.append(LOOK_AGAIN)
    if planned.driver_wanted:
        if situation.live is None:
            times.append(situation.pause or refusal_wait(memory, now) or LOOK_AGAIN)
        if memory.trouble != told:
            # Its condition is written in the turn that comes now.
            times.append(STATUS_INTERVAL)
        if memory.short_since is not None:
            times.append(PROBE_AFTER)
    return min((time for time in times if time is not None), default=None)
