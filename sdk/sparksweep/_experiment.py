"""`sparksweep.Experiment`: an experiment built in Python, submitted, watched, and its result.

experiment = Experiment(
    training,
    {"learning_rate": search.log_uniform(1e-4, 1e-1), "dropout": search.uniform(0.2, 0.7)},
    objective="accuracy", direction="max", max_trials=40, parallel=4,
)
print(experiment.to_yaml())
result = experiment.submit().wait()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from sparksweep._arguments import ArgumentReader
from sparksweep._backends.base import Run
from sparksweep._backends.choice import choose_backend
from sparksweep._backends.local import open_run
from sparksweep._builder import Built, Request, build
from sparksweep._calls import checked_call
from sparksweep._documents import read_source
from sparksweep._html import experiment_html
from sparksweep._listing import missing_text
from sparksweep._local.changes import Changes
from sparksweep._plain_values import as_python, invalid, is_int, is_number, shown
from sparksweep._progress import Progress, say
from sparksweep._result import Result
from sparksweep._text import block
from sparksweep._values import objects_only_in, values_of
from sparksweep._warnings import warn
from sparksweep.errors import ExperimentFailed, ExperimentRefused, SparksweepError
from sparksweep_core import api
from sparksweep_core.kubernetes_yaml import dump_yaml

__all__ = ["Experiment"]

POLL_S = 0.5
"""Seconds between two reads of the status, unless the run reports a change earlier."""
_REFUSALS = (api.ExperimentReason.FUNCTION_REFUSED, api.ExperimentReason.INVALID_SPEC)


class Experiment:
    """An experiment, before and after it is submitted. Not thread-safe.

    ::

        experiment = Experiment(training, {"dropout": search.uniform(0.2, 0.7)}, objective="accuracy")
        result = experiment.submit().wait()
    """

    @checked_call
    def __init__(
        self,
        run: Callable[..., object] | str | Sequence[str],
        parameters: Mapping[str, object],
        *,
        algorithm: str | None = None,
        settings: Mapping[str, object] | None = None,
        seed: int | None = None,
        objective: str | None = "metric",
        direction: str = "max",
        goal: float | None = None,
        metrics: Sequence[str] = (),
        name: str | None = None,
        description: str | None = None,
        parallel: int | None = None,
        max_trials: int | None = None,
        max_failed_trials: int | None = None,
        deadline_seconds: int | None = None,
        ttl_seconds: int | None = None,
        image: str | None = None,
        cpu: str | float | None = None,
        memory: str | None = None,
        gpus: int | None = None,
        gpu_resource: str | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Mapping[str, Any]] = (),
        env: Mapping[str, str] | None = None,
        timeout_seconds: int | None = None,
        max_retries: int | None = None,
        metrics_format: str | None = None,
        preload: Sequence[str] | None = None,
        tensorboard: bool | None = None,
        storage: Mapping[str, Any] | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> None:
        """Build the document, and check everything that can be checked before it runs.

        Scalars of NumPy are taken as Python's, and any iterable as a list.

        Args:
            run: A function, which is pickled and sent to the trials; ``"module:function"`` in the image; or a
                command's words.
            parameters: By name a `sparksweep.search.Domain`, or a list of values.
            algorithm: ``grid``, ``random`` or ``differential-evolution``; by default grid if every parameter has a
                list of values, else differential-evolution.
            settings: Settings of the algorithm, such as ``{"population": 10}``.
            seed: The seed of the search: the same seed repeats the points, where trials end in the same order. By
                default each run draws one, which `Result.seed` names. A grid has none.
            objective: The name of the metric to optimise, in the function's dictionary or the command's output; if
                the function returns a number, that is this metric. None: no metric is optimised, and there is no
                best trial.
            direction: ``max`` or ``min``.
            goal: The experiment ends as soon as a trial's objective is at least this good.
            metrics: Names of further metrics to store, besides the objective.
            name: The Experiment's name; by default the function's name with a unique suffix.
            description: A text for readers, stored as an annotation.
            parallel: Largest number of trials at the same time; by default 3. It may exceed the number of trials.
            max_trials: Largest number of trials; by default that of the search, see `docs/quickstart.md`.
            max_failed_trials: The experiment fails at this number of failed trials. By default it fails only when
                the first ones all fail alike, see `docs/trials.md`, or when none has succeeded at the end.
            deadline_seconds: The experiment fails if it has not ended after this time.
            ttl_seconds: On a cluster, the Experiment is deleted this long after its end.
            image: The container image of trials on a cluster.
            cpu: CPUs of a trial: 2, or "500m".
            memory: Memory limit of a trial: "4Gi".
            gpus: GPUs of a trial.
            gpu_resource: The extended resource of the GPUs; by default nvidia.com/gpu.
            node_selector: Labels that a trial's node must have.
            tolerations: Node taints to tolerate, as in a pod's spec.
            env: Environment variables of a trial: text by name.
            timeout_seconds: A trial that takes longer fails.
            max_retries: Largest number of times that a failed trial runs again; by default 0.
            metrics_format: Form in which a command prints metrics: ``"Equals"``, the default, for ``name=value``, or
                ``"EqualsOrColon"`` for ``name: value``, too.
            preload: Names of modules to import once for each slot, such as ``["numpy"]``. By default those that the function
                imports and that are known to be slow and safe to fork; ``[]`` for none.
            tensorboard: False: no files for TensorBoard, and no TensorBoard on a cluster.
            storage: Storage of the trials' files on a cluster: spec.storage, as in YAML.
            template: Other fields of spec.trialTemplate, as in YAML. A field that an argument above sets can't be
                here, too.

        Raises:
            InvalidExperiment: The experiment is invalid; the error lists every finding.
            UnknownArgument: There is no such argument; the error names the nearest one.
        """
        self._built = build(
            Request(
                run=run,
                parameters=parameters,
                algorithm=algorithm,
                settings=settings,
                seed=seed,
                objective=objective,
                direction=direction,
                goal=goal,
                metrics=metrics,
                name=name,
                description=description,
                parallel=parallel,
                max_trials=max_trials,
                max_failed_trials=max_failed_trials,
                deadline_seconds=deadline_seconds,
                ttl_seconds=ttl_seconds,
                image=image,
                cpu=cpu,
                memory=memory,
                gpus=gpus,
                gpu_resource=gpu_resource,
                node_selector=node_selector,
                tolerations=tolerations,
                env=env,
                timeout_seconds=timeout_seconds,
                max_retries=max_retries,
                metrics_format=metrics_format,
                preload=preload,
                tensorboard=tensorboard,
                storage=storage,
                template=template,
            )
        )
        self._run: Run | None = None

    @classmethod
    @checked_call
    def from_yaml(cls, source: str | os.PathLike[str] | IO[str]) -> Experiment:
        """Read an Experiment from YAML.

        A module that it names is looked for beside the file, as the command ``sparksweep run`` does; with YAML as text,
        in the working directory.

        Args:
            source: The path of a file, which may begin with ``~``; the YAML itself, if it is a string with a line break
                or a mapping; or an open file.

        Raises:
            InvalidExperiment: The document is invalid; the error lists every finding.
            MissingFile: There is no such file.
            UnreadableFile: The file can't be read.
        """
        return cls._of(read_source(source))

    @classmethod
    @checked_call
    def get(cls, name: str, *, namespace: str | None = None) -> Experiment:
        """Return an Experiment that exists on the cluster, as if this program had submitted it.

        Args:
            name: The Experiment's name.
            namespace: Its namespace; by default the kubeconfig's, or that of the pod that this runs in.

        Raises:
            ExperimentNotFound: There is none of that name.
            Forbidden: A right is missing.
            ClusterUnavailable: The API server does not answer, or no cluster is configured.
            MissingDependency: The Kubernetes client is not installed.
        """
        from sparksweep._backends.cluster import ClusterBackend

        reader = ArgumentReader()
        text = reader.text("name", name)
        namespace = reader.text("namespace", namespace)
        if not text:
            reader.refuse("name", f"{name!r} is not the name of an Experiment")
        reader.check()
        run = ClusterBackend(namespace).attach(str(text))
        found = run.experiment()
        experiment = cls._of(Built(found, values=values_of(found)))
        experiment._run = run
        return experiment

    @classmethod
    @checked_call
    def open(cls, directory: str | os.PathLike[str]) -> Experiment:
        """Return the experiment of a run directory: one that has ended, was interrupted, or runs in another process.

        Nothing in the directory is executed. Objects in lists of values come back if they are literals, such as True,
        None and tuples; others are text.

        Args:
            directory: The run directory; `sparksweep.runs` lists them.

        Raises:
            RunDirectoryError: There is no run in it, or it is damaged.
        """
        built, run = open_run(Path(directory).expanduser())
        experiment = cls._of(built)
        experiment._run = run
        return experiment

    @classmethod
    def _of(cls, built: Built) -> Experiment:
        experiment = cls.__new__(cls)
        experiment._built = built
        experiment._run = None
        return experiment

    # ------------------------------------------------------------------ before it runs

    @property
    def name(self) -> str:
        """The Experiment's name."""
        return self._built.experiment.metadata.name

    @property
    def spec(self) -> api.ExperimentSpec:
        """The Experiment's spec, as the API's type."""
        return self._built.experiment.spec

    def to_dict(self) -> dict[str, Any]:
        """Return the document for ``kubectl apply``, without the function's code if that is too long for it."""
        return self._built.on_a_cluster.to_dict()

    def to_yaml(self) -> str:
        """Return YAML for ``kubectl apply``, with a ConfigMap for code that is too long for the Experiment.

        Warns of values of parameters that YAML can't hold, such as classes: the function still gets them, but an
        Experiment that is read from the YAML names them by their texts.
        """
        objects = objects_only_in(self._built.values, self._built.experiment)
        if objects:
            warn(
                f"the YAML has only the texts of values of {', '.join(objects)}: the function gets the objects, "
                "results of an Experiment that is read from it have the texts"
            )
        documents = [self.to_dict()]
        if self._built.code_map is not None:
            documents.insert(0, self._built.code_map)
        return "---\n".join(dump_yaml(document) for document in documents)

    @checked_call
    def submit(
        self,
        *,
        backend: str | None = None,
        namespace: str | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Experiment:
        """Start the experiment, and return at once.

        Args:
            backend: ``local`` or ``kubernetes``; by default the value of the environment variable
                SPARKSWEEP_BACKEND, else the cluster that this process runs in, else this machine.
            namespace: The namespace on a cluster; giving one selects the backend ``kubernetes``.
            directory: The run directory of a local run; by default ``runs/NAME``.

        Returns:
            The experiment itself: ``result = experiment.submit().wait()``.

        Raises:
            SparksweepError: It was submitted before.
            InvalidExperiment: There is no such backend, or it does not take the namespace or the directory.
            RunDirectoryError: The run directory exists already.
            ExperimentExists: The cluster has one of that name.
            ExperimentRefused: The API server rejects it.
            Forbidden: A right is missing.
            ClusterUnavailable: The API server does not answer, or no cluster is configured.
            MissingDependency: The Kubernetes client is not installed.
        """
        if self._run is not None:
            raise SparksweepError(f"{self.name} was already submitted: {self._run.where}")
        reader = ArgumentReader()
        backend = reader.text("backend", backend)
        namespace = reader.text("namespace", namespace)
        directory = reader.path("directory", directory)
        reader.check()
        chosen = choose_backend(backend, directory=directory, namespace=namespace)
        self._run = chosen.submit(self._built)
        return self

    # ------------------------------------------------------------------ while it runs

    @property
    def where(self) -> str | None:
        """The run directory, or namespace and name on a cluster; None before it is submitted."""
        return None if self._run is None else self._run.where

    @property
    def status(self) -> api.ExperimentStatus | None:
        """The newest status; None before there is one."""
        return None if self._run is None else self._run.experiment().status

    @checked_call
    def wait(self, *, progress: bool = True, timeout: float | None = None) -> Result:
        """Wait until the experiment has ended.

        Ctrl-C ends a local run that this program started; a line on standard error says how to go on. An Experiment on
        a cluster continues.

        Args:
            progress: Show a progress bar with the best trial so far.
            timeout: Seconds to wait; None: without limit.

        Returns:
            The result.

        Raises:
            ExperimentFailed: The experiment ended without success; the error holds the result.
            ExperimentRefused: The function can't be run; no trial was started.
            TimeoutError: The experiment still runs.
            SparksweepError: It is not submitted, a local run broke off, or nothing runs it.
        """
        reader = ArgumentReader()
        timeout = reader.number("timeout", timeout)
        progress = bool(reader.flag("progress", progress))
        reader.check()
        run = self._submitted()
        try:
            return self._waited(run, progress=progress, timeout=timeout)
        except KeyboardInterrupt:
            say(run.leave())
            raise

    def _waited(self, run: Run, *, progress: bool, timeout: float | None) -> Result:
        deadline = None if timeout is None else time.monotonic() + timeout
        warned = False
        with Progress(self.name, shown=progress) as bar:
            while True:
                if reason := run.standstill():
                    raise SparksweepError(reason)
                experiment = run.experiment()
                bar.show(experiment, run.phase)
                warned = warned or _warn(experiment)
                if _has_ended(experiment):
                    return self._ended(experiment, run)
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"{self.name} still runs after {timeout:g} s: {run.where}")
                run.pause(POLL_S)

    @checked_call
    def resume(
        self,
        *,
        max_trials: int | None = None,
        max_failed_trials: int | None = None,
        goal: float | None = None,
        deadline_seconds: int | None = None,
        parallel: int | None = None,
    ) -> Experiment:
        """Go on with an interrupted run, or with one that has ended, under limits that let it go on.

        Trials that have ended don't run again; those that were interrupted or stopped do. A run that has ended under
        the same limits stays as it is. On a cluster: resume a suspended Experiment.

        Args:
            max_trials: Largest number of trials, those that there are included.
            max_failed_trials: The experiment fails at this number of failed trials.
            goal: The experiment ends as soon as a trial's objective is at least this good. Not on a cluster.
            deadline_seconds: The experiment fails if it has not ended this long after its first start.
            parallel: Largest number of trials at the same time.

        Returns:
            The experiment itself: ``result = experiment.resume(max_trials=60).wait()``.

        Raises:
            InvalidExperiment: A limit can't be changed so, or the run would end at once, such as a grid whose points
                have all run.
            RunDirectoryError: A process runs it.
            ExperimentRefused: It has ended on a cluster, or the API server refuses a limit.
            SparksweepError: It is not submitted.
            MissingDependency: The extra `local` is not installed.
        """
        run = self._submitted()
        changes = Changes(
            max_trials=_whole("max_trials", max_trials),
            max_failed_trials=_whole("max_failed_trials", max_failed_trials),
            goal=_number("goal", goal),
            deadline_seconds=_whole("deadline_seconds", deadline_seconds),
            parallel=_whole("parallel", parallel),
        )
        experiment, self._run = run.resume(changes)
        self._built = replace(self._built, experiment=experiment)
        return self

    @checked_call
    def result(self) -> Result:
        """Return the result so far.

        Raises:
            SparksweepError: It is not submitted.
        """
        run = self._submitted()
        return self._result(run.experiment(), run)

    @checked_call
    def cancel(self) -> Result:
        """Stop a local run, or suspend an Experiment on a cluster; `resume` goes on with both.

        Returns:
            The result so far.

        Raises:
            SparksweepError: It is not submitted.
        """
        run = self._submitted()
        run.cancel()
        return self.result()

    def __repr__(self) -> str:
        state = "not submitted" if self._run is None else self._run.where
        return f"<Experiment {self.name}: {self.spec.algorithm.algorithm_name}, {state}>"

    def _repr_html_(self) -> str:
        if self._run is None:
            return experiment_html(self._built.experiment)
        return experiment_html(self._run.experiment(), self._run.where)

    # ------------------------------------------------------------------ after its end

    def _submitted(self) -> Run:
        if self._run is None:
            raise SparksweepError(f"{self.name} is not submitted: call submit() first")
        return self._run

    def _result(self, experiment: api.Experiment, run: Run) -> Result:
        reader = run.reader
        trials = reader.trials()
        if trials.unreadable:
            warn(missing_text(trials.unreadable))
        return Result(
            experiment,
            trials,
            logdir=run.logdir,
            values=self._built.values,
            reader=reader,
        )

    def _ended(self, experiment: api.Experiment, run: Run) -> Result:
        failed = experiment.condition(api.ConditionType.FAILED, "True") or experiment.condition(
            api.ConditionType.ACCEPTED, "False"
        )
        if failed is not None and failed.reason in _REFUSALS:
            raise ExperimentRefused(block(failed.message))
        result = self._result(experiment, run)
        if failed is not None:
            why = _with_a_failure(failed.message, run.reader.trials())
            raise ExperimentFailed(block(f"{self.name}: {failed.reason}: {why}"), result)
        return result


def _whole(name: str, value: object) -> int | None:
    plain = as_python(value)
    if plain is None:
        return None
    if not is_int(plain):
        raise invalid(name, f"{shown(value)} is not a whole number")
    return int(plain)  # type: ignore[call-overload, no-any-return]


def _number(name: str, value: object) -> float | None:
    plain = as_python(value)
    if plain is None:
        return None
    if not is_number(plain):
        raise invalid(name, f"{shown(value)} is not a finite number")
    return float(plain)  # type: ignore[arg-type]


def _with_a_failure(message: str, trials: Sequence[api.Trial]) -> str:
    """Return a condition's message with one failed trial's whole message: the one that it quotes, else the first."""
    failures = [
        (trial.number, trial.status.message)
        for trial in trials
        if trial.state is api.TrialState.FAILED and trial.status.message
    ]
    for _, text in failures:
        before, first_line, after = message.partition(text.splitlines()[0])
        if first_line and text.startswith((first_line + after).rstrip()):
            return before + text
    return message + "".join(f"\nTrial {number}: {text}" for number, text in failures[:1])


def _has_ended(experiment: api.Experiment) -> bool:
    suspended = experiment.condition(api.ConditionType.SUSPENDED, "True")
    return (
        experiment.holds(api.ConditionType.COMPLETE, api.ConditionType.FAILED)
        or experiment.condition(api.ConditionType.ACCEPTED, "False") is not None
        # An interrupted local run has ended; a suspended Experiment on a cluster may be resumed.
        or (suspended is not None and suspended.reason == api.ExperimentReason.INTERRUPTED)
    )


def _warn(experiment: api.Experiment) -> bool:
    """Warn of the findings with which the experiment was accepted; return whether it was accepted yet."""
    accepted = experiment.condition(api.ConditionType.ACCEPTED, "True")
    if accepted is None or accepted.reason == api.ExperimentReason.VALID:
        return accepted is not None
    warn(block(accepted.message))
    return True
