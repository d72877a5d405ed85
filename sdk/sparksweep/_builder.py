"""Builds the Experiment document from the arguments of `sparksweep.Experiment`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from sparksweep._functions import check_function, name_of, with_values
from sparksweep._shipping import MODULE, ship
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep.search import Domain, choice
from sparksweep_core import api
from sparksweep_core.api import limits
from sparksweep_core.validation.checks import DEFAULT_PARALLEL
from sparksweep_core.validation.document import parse_experiment

DESCRIPTION_ANNOTATION = f"{api.API_VERSION.partition('/')[0]}/description"
DIRECTIONS = {
    "max": "maximize", "maximize": "maximize", "maximise": "maximize",
    "min": "minimize", "minimize": "minimize", "minimise": "minimize",
}  # fmt: skip
_SUFFIX = 5
"""Length of the random end of a name."""

Function = Callable[..., object]


class Options(TypedDict, total=False):
    """The optional keyword arguments of `sparksweep.Experiment`."""

    name: str
    """The Experiment's name. By default the function's name with a unique suffix."""
    description: str | None
    """A text for readers, stored as an annotation."""
    parallel: int | None
    """Trials at the same time."""
    max_trials: int | None
    """Largest number of trials."""
    max_failed_trials: int | None
    """The experiment fails at this number of failed trials."""
    goal: float | None
    """The experiment ends as soon as a trial's objective is at least this good."""
    metrics: Sequence[str]
    """Further metrics to store, besides the objective."""
    deadline_seconds: int | None
    """The experiment fails if it has not ended after this time."""
    ttl_seconds: int | None
    """On a cluster, the Experiment is deleted this long after its end."""
    image: str | None
    """The container image of trials."""
    cpu: str | float | None
    """CPUs of a trial: 2, or "500m"."""
    memory: str | None
    """Memory limit of a trial: "4Gi"."""
    gpus: int | None
    """GPUs of a trial."""
    gpu_resource: str | None
    """The extended resource of the GPUs; by default nvidia.com/gpu."""
    node_selector: Mapping[str, str]
    """Labels that a trial's node must have."""
    tolerations: Sequence[Mapping[str, Any]]
    """Node taints to tolerate, as in a pod's spec."""
    env: Mapping[str, str]
    """Environment variables of a trial."""
    timeout_seconds: int | None
    """A trial that takes longer fails."""
    max_retries: int | None
    """Largest number of times that a failed trial runs again."""
    preload: Sequence[str]
    """Modules to import once for each slot."""
    template: Mapping[str, Any]
    """Other fields of spec.trialTemplate, as in YAML; they override the options above."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `sparksweep.Experiment`."""

    run: Function | str | Sequence[str]
    """A function, ``module:function``, or a command's words."""
    parameters: Mapping[str, object]
    """By name a `Domain`, or a list of values."""
    algorithm: str | None = None
    """None: grid if every parameter has a list of values, else differential-evolution."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the algorithm."""
    objective: str | None = None
    """The metric to optimise, if any."""
    direction: str = "maximize"
    options: Options = field(default_factory=lambda: Options())


@dataclass(frozen=True)
class Built:
    """A valid Experiment, with code and values that its document can't hold."""

    experiment: api.Experiment
    code: str | None = None
    """The text of the shipped function's module, if it is too long for the document."""
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By parameter, the Python value of each text."""

    @property
    def code_map(self) -> dict[str, Any] | None:
        """The ConfigMap with the code, for a cluster; None if the document holds the code."""
        if self.code is None:
            return None
        name = self.experiment.metadata.name
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-function"},
            "data": {f"{MODULE}.py": self.code},
        }

    @property
    def on_a_cluster(self) -> api.Experiment:
        """The Experiment for a cluster: with a reference to the ConfigMap."""
        if self.code is None:
            return self.experiment
        template = self.experiment.spec.trial_template
        reference = api.template.ConfigMapKey(
            name=f"{self.experiment.metadata.name}-function", key=f"{MODULE}.py"
        )
        template = template.model_copy(update={"source": api.Source(config_map=reference)})
        spec = self.experiment.spec.model_copy(update={"trial_template": template})
        return self.experiment.model_copy(update={"spec": spec})


def build(request: Request) -> Built:
    """Return the Experiment that the arguments describe.

    Raises:
        InvalidExperiment: It is invalid; the paths of findings are the document's, or names of arguments.
    """
    domains = {name: _domain(name, value) for name, value in request.parameters.items()}
    if not domains:
        raise _invalid("parameters", "is empty: give at least one, by its name")
    values = {name: domain.values for name, domain in domains.items() if domain.values}
    template, code = _code(request.run, list(domains), values)
    options = request.options
    spec: dict[str, Any] = {
        "objective": _objective(request),
        "algorithm": {
            "algorithmName": request.algorithm or _algorithm(domains),
            "algorithmSettings": [
                {"name": name, "value": str(value)}
                for name, value in request.settings.items()
                if value is not None
            ],
        },
        "parameters": [domain.parameter(name).to_dict() for name, domain in domains.items()],
        "parallelTrialCount": _parallel(options),
        "maxTrialCount": options.get("max_trials"),
        "maxFailedTrialCount": options.get("max_failed_trials"),
        "activeDeadlineSeconds": options.get("deadline_seconds"),
        "ttlSecondsAfterFinished": options.get("ttl_seconds"),
        "trialTemplate": {**template, **_template(options)},
    }
    document = {
        "apiVersion": api.API_VERSION,
        "kind": "Experiment",
        "metadata": _metadata(request),
        "spec": _without_none(spec),
    }
    experiment = parse_experiment(document)
    return Built(experiment, code, values)


def renamed(built: Built, name: str) -> Built:
    """Return the experiment under another name."""
    metadata = built.experiment.metadata.model_copy(update={"name": name})
    return replace(built, experiment=built.experiment.model_copy(update={"metadata": metadata}))


def unique_name(text: str) -> str:
    """Return a valid and unique name for an Experiment that begins like the text."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not words[:1].isalpha():
        words = f"x-{words}".rstrip("-")
    stem = words[: limits.NAME - _SUFFIX - 1].rstrip("-")
    return f"{stem}-{secrets.token_hex(4)[:_SUFFIX]}"


def direction_of(direction: object) -> str:
    """Return the direction as the API writes it: maximize or minimize.

    Raises:
        InvalidExperiment: It is no spelling of either.
    """
    api_direction = DIRECTIONS.get(str(getattr(direction, "value", direction)).lower())
    if api_direction is None:
        raise _invalid("direction", f"{direction!r} is neither 'max' nor 'min'")
    return api_direction


# ---------------------------------------------------------------------- the parts


def _domain(name: str, value: object) -> Domain:
    try:
        if isinstance(value, Domain):
            return value
        if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
            raise _invalid("", f"{value!r} is not a list of values: write [{value!r}]")
        return choice(value)
    except InvalidExperiment as error:
        raise InvalidExperiment(
            [
                FieldError(f"parameters[{name!r}]{f'.{e.path}' if e.path else ''}", e.message)
                for e in error.errors
            ]
        ) from None


def _parallel(options: Options) -> int | None:
    """Return the number of trials at the same time, by default at most the number of trials."""
    parallel, trials = options.get("parallel"), options.get("max_trials")
    if parallel is None and trials is not None and 0 < trials < DEFAULT_PARALLEL:
        return trials
    return parallel


def _algorithm(domains: Mapping[str, Domain]) -> str:
    is_grid = all(domain.is_finite for domain in domains.values())
    return "grid" if is_grid else "differential-evolution"


def _code(
    run: Function | str | Sequence[str],
    parameters: Sequence[str],
    values: Mapping[str, Mapping[str, object]],
) -> tuple[dict[str, Any], str | None]:
    """Return the template's fields for the code, and the code itself if it is too long for them."""
    if callable(run):
        check_function(run, parameters)
        shipped = ship(with_values(run, values))
        if len(shipped.source) <= limits.INLINE_SOURCE:
            return {"function": shipped.reference, "source": {"inline": shipped.source}}, None
        return {"function": shipped.reference}, shipped.source
    for name, by_text in values.items():
        odd = next(iter(by_text.values()))
        raise _invalid(
            f"parameters[{name!r}]",
            f"{odd!r} is neither a number nor text: to use it, pass the function itself instead of its name or a command",
        )
    if isinstance(run, str):
        return {"function": run}, None
    return {"command": [str(word) for word in run]}, None


def _objective(request: Request) -> dict[str, Any] | None:
    if request.objective is None:
        return None
    return _without_none(
        {
            "type": direction_of(request.direction),
            "objectiveMetricName": request.objective,
            "goal": request.options.get("goal"),
            "additionalMetricNames": list(request.options.get("metrics", ())),
        }
    )


def _template(options: Options) -> dict[str, Any]:
    gpu = _without_none({"count": options.get("gpus"), "resourceName": options.get("gpu_resource")})
    cpu = options.get("cpu")
    resources = {
        "cpu": None if cpu is None else str(cpu),
        "memory": options.get("memory"),
        "gpu": gpu or None,
    }
    template = {
        "image": options.get("image"),
        "resources": _without_none(resources) or None,
        "nodeSelector": dict(options.get("node_selector", {})) or None,
        "tolerations": [dict(item) for item in options.get("tolerations", ())] or None,
        "env": [{"name": k, "value": v} for k, v in options.get("env", {}).items()] or None,
        "timeoutSeconds": options.get("timeout_seconds"),
        "maxRetries": options.get("max_retries"),
        "preload": list(options.get("preload", ())) or None,
    }
    return {**_without_none(template), **options.get("template", {})}


def _metadata(request: Request) -> dict[str, Any]:
    options = request.options
    named = name_of(request.run) if callable(request.run) else "experiment"
    metadata: dict[str, Any] = {"name": options.get("name") or unique_name(named)}
    description = options.get("description")
    if description:
        metadata["annotations"] = {DESCRIPTION_ANNOTATION: description}
    return metadata


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _invalid(path: str, message: str) -> InvalidExperiment:
    return InvalidExperiment([FieldError(path, message)])
