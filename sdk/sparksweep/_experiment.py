"""`Experiment`: built in Python, shown as YAML, submitted, watched, and its result.

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
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from sparksweep._backends.base import Run, choose_backend
from sparksweep._builder import Built, Options, Request, build
from sparksweep._html import experiment_html
from sparksweep._progress import Progress
from sparksweep._result import Result
from sparksweep.errors import ExperimentFailed, ExperimentRefused, SparksweepError
from sparksweep_core import api
from sparksweep_core.kubernetes_yaml import dump_yaml, parse_yaml
from sparksweep_core.validation.document import parse_experiment, read_experiment

__all__ = ["Experiment"]

TURN_S = 0.5
"""How often a wait looks, where nothing wakes it."""
_REFUSALS = (api.ExperimentReason.FUNCTION_REFUSED, api.ExperimentReason.INVALID_SPEC)


class Experiment:
    """An experiment, before and after it is submitted. Not thread-safe."""

    def __init__(
        self,
        run: Callable[..., object] | str | Sequence[str],
        parameters: Mapping[str, object],
        *,
        algorithm: str | None = None,
        settings: Mapping[str, object] | None = None,
        objective: str | None = "metric",
        direction: str = "max",
        **options: Unpack[Options],
    ) -> None:
        """Check everything that can be checked before it runs.

        Args:
            run: a function, which is shipped to its trials; ``"module:function"`` of the image; or a command's words.
            parameters: by name what `sparksweep.search` makes, or a list of values.
            algorithm: grid, random or differential-evolution. By default grid, if every parameter has a list of
                values, else differential-evolution.
            settings: of the algorithm, such as ``{"population": 10, "seed": 7}``.
            objective: the metric to optimise, as the function's dict or the command's output names it; a function
                that returns a number returns this one. None: nothing is optimised, and no trial is best.
            direction: max or min.
            **options: see `sparksweep._builder.Options`.

        Raises:
            InvalidExperiment: with every finding.
        """
        self._built = build(
            Request(
                run=run,
                parameters=parameters,
                algorithm=algorithm,
                settings=settings or {},
                objective=objective,
                direction=direction,
                options=options,
            )
        )
        self._run: Run | None = None

    @classmethod
    def from_yaml(cls, source: str | os.PathLike[str]) -> Experiment:
        """The Experiment of a YAML file, or of a text with a line's end in it.

        Raises:
            InvalidExperiment: with every finding.
            OSError: the file can't be read.
        """
        if isinstance(source, str) and "\n" in source:
            return cls._of(Built(parse_experiment(parse_yaml(source))))
        return cls._of(Built(read_experiment(Path(source))))

    @classmethod
    def get(cls, name: str, *, namespace: str | None = None) -> Experiment:
        """An Experiment that is on the cluster already.

        Raises:
            ExperimentNotFound: there is none of that name.
        """
        from sparksweep._backends.cluster import ClusterBackend

        run = ClusterBackend(namespace).attach(name)
        found = cls._of(Built(run.experiment()))
        found._run = run
        return found

    @classmethod
    def _of(cls, built: Built) -> Experiment:
        found = cls.__new__(cls)
        found._built = built
        found._run = None
        return found

    # ------------------------------------------------------------------ before it runs

    @property
    def name(self) -> str:
        """Its name."""
        return self._built.experiment.metadata.name

    @property
    def spec(self) -> api.ExperimentSpec:
        """What to run, as the API's type."""
        return self._built.experiment.spec

    def to_dict(self) -> dict[str, Any]:
        """The document that ``kubectl apply`` takes; without the code, when that is too long for it."""
        return self._built.on_a_cluster.to_dict()

    def to_yaml(self) -> str:
        """What ``kubectl apply`` takes, as YAML; with a ConfigMap for code that is too long for the Experiment."""
        documents = [self.to_dict()]
        if self._built.code_map is not None:
            documents.insert(0, self._built.code_map)
        return "---\n".join(dump_yaml(document) for document in documents)

    def submit(
        self,
        *,
        backend: str | None = None,
        namespace: str | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Experiment:
        """Start it, and return at once; itself, so that ``.submit().wait()`` can follow.

        Args:
            backend: ``local`` or ``kubernetes``; by default the cluster that this process is in, and outside one
                this machine.
            namespace: on a cluster; naming one chooses it.
            directory: of a local run; by default ``runs/NAME``.

        Raises:
            SparksweepError: it was submitted before.
            ExperimentExists: the cluster has one of that name.
            ExperimentRefused: the cluster does not take it.
            Forbidden: a right is missing.
            ClusterUnavailable: the cluster does not answer, or none is configured.
        """
        if self._run is not None:
            raise SparksweepError(f"{self.name} was already submitted: {self._run.where}")
        chosen = choose_backend(backend, directory=directory, namespace=namespace)
        self._run = chosen.submit(self._built)
        return self

    # ------------------------------------------------------------------ while it runs

    @property
    def where(self) -> str | None:
        """The run directory, or namespace and name; None before it is submitted."""
        return None if self._run is None else self._run.where

    @property
    def status(self) -> api.ExperimentStatus | None:
        """Its status as of now; None before there is one."""
        return None if self._run is None else self._run.experiment().status

    def wait(self, *, progress: bool = True, timeout: float | None = None) -> Result:
        """Wait for its end.

        An interrupt from the keyboard ends a local run; an Experiment on a cluster goes on.

        Args:
            progress: show a bar, with the best trial so far.
            timeout: seconds; None waits for ever.

        Raises:
            ExperimentFailed: it ended without success; the error holds the result.
            ExperimentRefused: the function can't be run; nothing was.
            TimeoutError: it goes on.
        """
        run = self._submitted()
        deadline = None if timeout is None else time.monotonic() + timeout
        warned = False
        with Progress(self.name, shown=progress) as bar:
            try:
                while True:
                    experiment = run.experiment()
                    bar.show(experiment, run.phase)
                    warned = warned or _warn(experiment)
                    if _has_ended(experiment):
                        return self._ended(experiment, run)
                    if deadline is not None and time.monotonic() >= deadline:
                        raise TimeoutError(
                            f"{self.name} still runs after {timeout:g} s: {run.where}"
                        )
                    run.pause(TURN_S)
            except KeyboardInterrupt:
                if run.is_local:
                    run.cancel()
                raise

    def result(self) -> Result:
        """What there is so far."""
        run = self._submitted()
        return self._result(run.experiment(), run)

    def cancel(self) -> Result:
        """End it; what there is by then. On a cluster it is suspended: set ``suspend: false``, and it goes on."""
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

    # ------------------------------------------------------------------ its end

    def _submitted(self) -> Run:
        if self._run is None:
            raise SparksweepError(f"{self.name} is not submitted: call submit() first")
        return self._run

    def _result(self, experiment: api.Experiment, run: Run) -> Result:
        return Result(experiment, run.reader.trials(), logdir=run.logdir, values=self._built.values)

    def _ended(self, experiment: api.Experiment, run: Run) -> Result:
        failed = experiment.condition(api.ConditionType.FAILED, "True") or experiment.condition(
            api.ConditionType.ACCEPTED, "False"
        )
        if failed is not None and failed.reason in _REFUSALS:
            raise ExperimentRefused(failed.message)
        result = self._result(experiment, run)
        if failed is not None:
            first = next((t for t in run.reader.trials() if t.state is api.TrialState.FAILED), None)
            why = f"\nTrial {first.number}: {first.status.message}" if first is not None else ""
            raise ExperimentFailed(f"{self.name}: {failed.reason}: {failed.message}{why}", result)
        return result


def _has_ended(experiment: api.Experiment) -> bool:
    suspended = experiment.condition(api.ConditionType.SUSPENDED, "True")
    return (
        experiment.holds(api.ConditionType.COMPLETE, api.ConditionType.FAILED)
        or experiment.condition(api.ConditionType.ACCEPTED, "False") is not None
        # A local run that was interrupted; on a cluster a suspended one may be resumed by anyone.
        or (suspended is not None and suspended.reason == api.ExperimentReason.INTERRUPTED)
    )


def _warn(experiment: api.Experiment) -> bool:
    """Pass on what the experiment was accepted with; whether there was something."""
    accepted = experiment.condition(api.ConditionType.ACCEPTED, "True")
    if accepted is None or accepted.reason == api.ExperimentReason.VALID:
        return accepted is not None
    warnings.warn(accepted.message, UserWarning, stacklevel=3)
    return True
