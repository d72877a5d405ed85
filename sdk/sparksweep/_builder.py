"""Builds the Experiment document from the arguments of `sparksweep.Experiment`."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sparksweep._arguments import ArgumentReader
from sparksweep._functions import check_function, name_of, returns_nothing, with_values
from sparksweep._plain_values import as_python, invalid, is_int, is_listed, shown
from sparksweep._shipping import MODULE, Shipped, ship
from sparksweep._values import VALUES_ANNOTATION, Values, values_annotation
from sparksweep.errors import InvalidExperiment
from sparksweep.search import Domain, choice
from sparksweep_core import api
from sparksweep_core.api import limits
from sparksweep_core.api.algorithm_settings import SETTINGS
from sparksweep_core.api.search_spec import MAX_PARAMETER_NAME, PARAMETER_NAME_PATTERN
from sparksweep_core.validation.checks import DEFAULT_PARALLEL
from sparksweep_core.validation.checks_search import wrong_name
from sparksweep_core.validation.document import parse_experiment

DESCRIPTION_ANNOTATION = f"{api.API_VERSION.partition('/')[0]}/description"
DIRECTIONS = {
    "max": "maximize", "maximize": "maximize", "maximise": "maximize",
    "min": "minimize", "minimize": "minimize", "minimise": "minimize",
}  # fmt: skip
_PARAMETER_NAME = re.compile(PARAMETER_NAME_PATTERN)
_SUFFIX = 5
"""Length of the random end of a name."""

Function = Callable[..., object]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `sparksweep.Experiment`, as they were given; its docstring describes them."""

    run: Function | str | Sequence[str]
    parameters: Mapping[str, object]
    algorithm: str | None = None
    settings: Mapping[str, object] | None = None
    seed: int | None = None
    objective: str | None = "metric"
    direction: str = "max"
    goal: float | None = None
    metrics: Sequence[str] = ()
    name: str | None = None
    description: str | None = None
    parallel: int | None = None
    max_trials: int | None = None
    max_failed_trials: int | None = None
    deadline_seconds: int | None = None
    ttl_seconds: int | None = None
    image: str | None = None
    cpu: str | float | None = None
    memory: str | None = None
    gpus: int | None = None
    gpu_resource: str | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[Mapping[str, Any]] = ()
    env: Mapping[str, str] | None = None
    timeout_seconds: int | None = None
    max_retries: int | None = None
    metrics_format: str | None = None
    preload: Sequence[str] | None = None
    tensorboard: bool | None = None
    storage: Mapping[str, Any] | None = None
    template: Mapping[str, Any] | None = None


OPTIONS = tuple(
    item.name
    for item in fields(Request)
    if item.name not in ("run", "parameters", "algorithm", "settings", "objective", "direction")
)
"""Arguments that Hops' functions take, too."""


@dataclass(frozen=True)
class StoredCode:
    """A shipped function's module, as a ConfigMap holds it."""

    source: str
    """The module's text."""

    @property
    def files(self) -> dict[str, bytes]:
        """The files of a directory that Python can import the module from."""
        return {f"{MODULE}.py": self.source.encode()}

    def refusal(self) -> InvalidExperiment:
        """Return an error; never needed, since the code has fitted into a ConfigMap before."""
        return invalid("run", "is too large for a ConfigMap")


@dataclass(frozen=True)
class Built:
    """A valid Experiment, with code and values that its document can't hold."""

    experiment: api.Experiment
    code: Shipped | StoredCode | None = None
    """The shipped function, if its module is too long for the document."""
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By parameter, the Python value of each text."""
    home: Path | None = None
    """The directory of the file that it was read from, where its modules are; None: the working directory."""

    @property
    def code_map(self) -> dict[str, Any] | None:
        """The ConfigMap with the code, for a cluster; None if the document holds the code.

        Raises:
            InvalidExperiment: The code is too large for a ConfigMap.
        """
        if self.code is None:
            return None
        if self.code.source is None:
            raise self.code.refusal()
        name = self.experiment.metadata.name
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": function_map_name(name)},
            "data": {f"{MODULE}.py": self.code.source},
        }

    @property
    def on_a_cluster(self) -> api.Experiment:
        """The Experiment for a cluster: with a reference to the ConfigMap.

        Raises:
            InvalidExperiment: The code is too large for a ConfigMap.
        """
        if self.code is None:
            return self.experiment
        if self.code.source is None:
            raise self.code.refusal()
        template = self.experiment.spec.trial_template
        reference = api.template.ConfigMapKey(
            name=function_map_name(self.experiment.metadata.name), key=f"{MODULE}.py"
        )
        template = template.model_copy(update={"source": api.Source(config_map=reference)})
        spec = self.experiment.spec.model_copy(update={"trial_template": template})
        return self.experiment.model_copy(update={"spec": spec})


def build(request: Request) -> Built:
    """Return the Experiment that the arguments describe.

    Raises:
        InvalidExperiment: It is invalid; the paths of findings are the document's, or names of arguments.
    """
    reader = ArgumentReader()
    domains = _domains(request.parameters, reader)
    _check_run(request, reader)
    objective = _objective(request, reader)
    algorithm = reader.text("algorithm", request.algorithm) or _algorithm(domains)
    spec: dict[str, Any] = {
        "objective": objective,
        "algorithm": {
            "algorithmName": algorithm,
            "algorithmSettings": _settings(request, algorithm, reader),
        },
        "parameters": [_parameter(name, domain) for name, domain in domains.items()],
        "parallelTrialCount": _parallel(request, reader),
        "maxTrialCount": reader.integer("max_trials", request.max_trials),
        "maxFailedTrialCount": reader.integer("max_failed_trials", request.max_failed_trials),
        "activeDeadlineSeconds": reader.integer("deadline_seconds", request.deadline_seconds),
        "ttlSecondsAfterFinished": reader.integer("ttl_seconds", request.ttl_seconds),
        "tensorboard": _tensorboard(request, reader),
        "storage": reader.json_map("storage", request.storage, '{"sizeLimit": "20Gi"}') or None,
    }
    options = _template(request, reader)
    values = {name: domain.values for name, domain in domains.items() if domain.values}
    metadata = _metadata(request, values, reader)
    reader.check()
    code_fields, code = _code(request.run, list(domains), values)
    template = _with_template(request, {**code_fields, **options}, reader)
    reader.check()
    document = {
        "apiVersion": api.API_VERSION,
        "kind": "Experiment",
        "metadata": metadata,
        "spec": _without_none({**spec, "trialTemplate": template}),
    }
    experiment = parse_experiment(document)
    return Built(experiment, code, values)


def function_map_name(experiment: str) -> str:
    """Return the name of the ConfigMap with the code of an Experiment's function."""
    return f"{experiment}-function"


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
    given = as_python(getattr(direction, "value", direction))
    api_direction = DIRECTIONS.get(given.lower()) if isinstance(given, str) else None
    if api_direction is None:
        raise invalid("direction", f"{shown(direction)} is neither 'max' nor 'min'")
    return api_direction


# ---------------------------------------------------------------------- the parts


def _check_run(request: Request, reader: ArgumentReader) -> None:
    run: object = request.run
    if callable(run) and request.objective is not None and returns_nothing(run):
        message = (
            f"{name_of(run)} returns nothing, so its trials have no {shown(request.objective)}: return a number or a "
            "dictionary of numbers, or give objective=None to run all trials without a metric"
        )
        reader.refuse("run", message)
    if isinstance(run, str) and len(run.split()) > 1:
        words = ", ".join(f'"{word}"' for word in run.split()[:2])
        message = f"{shown(run)} is a command in one text: give a list of its words, [{words}, ...]"
        reader.refuse("run", message)
        return
    if callable(run) or (isinstance(run, str) and run) or (is_listed(run) and run is not None):
        return
    reader.refuse(
        "run",
        f'{shown(run)} is neither a function, nor "module:function", nor a list of a command\'s words',
    )


def _domains(parameters: object, reader: ArgumentReader) -> dict[str, Domain]:
    if not isinstance(parameters, Mapping):
        message = f'{shown(parameters)} is not a dictionary: write {{"learning_rate": [0.1, 0.01]}}'
        reader.refuse("parameters", message)
        return {}
    if not parameters:
        reader.refuse("parameters", "is empty: give at least one, by its name")
    domains = {}
    for key, value in parameters.items():
        name = as_python(key)
        if not isinstance(name, str):
            reader.refuse("parameters", f"the key {shown(key)} is not a name")
            continue
        # Python normalises the names of a function's arguments in the same way.
        name = unicodedata.normalize("NFKC", name)
        path = f"parameters[{name!r}]"
        if not _is_name(name):
            message = (
                "is not a parameter's name: letters of any alphabet, digits, '_', '.' and '-', not first a digit, "
                f"'.' or '-', at most {MAX_PARAMETER_NAME} characters"
            )
            reader.refuse(path, message)
            continue
        if name in domains:
            reader.refuse(path, "is given twice, in two forms that are one name to Python")
        try:
            domains[name] = _domain(value)
        except InvalidExperiment as error:
            for item in error.errors:
                reader.refuse(f"{path}{f'.{item.path}' if item.path else ''}", item.message)
    return domains


def _is_name(text: str) -> bool:
    fits = len(text) <= MAX_PARAMETER_NAME and _PARAMETER_NAME.fullmatch(text) is not None
    return fits and wrong_name(text) is None


def _domain(value: object) -> Domain:
    if isinstance(value, Domain):
        return value
    if not is_listed(value):
        raise invalid("", f"{shown(value)} is not a list of values: write [{shown(value)}]")
    return choice(value)


def _parameter(name: str, domain: Domain) -> dict[str, Any]:
    return {
        "name": name,
        "parameterType": domain.parameter_type.value,
        "feasibleSpace": domain.space.to_dict(),
    }


def _parallel(request: Request, reader: ArgumentReader) -> int | None:
    """Return the number of trials at the same time, by default at most the number of trials."""
    trials = as_python(request.max_trials)
    if request.parallel is None and is_int(trials) and 0 < trials < DEFAULT_PARALLEL:  # type: ignore[operator]
        return int(trials)  # type: ignore[call-overload, no-any-return]
    return reader.integer("parallel", request.parallel)


def _algorithm(domains: Mapping[str, Domain]) -> str:
    is_grid = all(domain.is_finite for domain in domains.values())
    return "grid" if is_grid else "differential-evolution"


def _settings(request: Request, algorithm: str, reader: ArgumentReader) -> list[dict[str, str]]:
    settings = reader.settings("settings", request.settings)
    seed = reader.integer("seed", request.seed)
    known = SETTINGS.get(algorithm, {})  # type: ignore[call-overload]
    # A grid has no seed, and takes one for the sake of programs that choose the algorithm.
    if seed is None or "seed" not in known:
        return settings
    for item in settings:
        if item["name"] in ("seed", known["seed"].alias):
            message = f"{seed} is given as settings[{item['name']!r}] too: keep one"
            reader.refuse("seed", message)
            return settings
    return [*settings, {"name": "seed", "value": str(seed)}]


def _code(
    run: Function | str | Sequence[str],
    parameters: Sequence[str],
    values: Mapping[str, Mapping[str, object]],
) -> tuple[dict[str, Any], Shipped | None]:
    """Return the template's fields for the code, and the code itself if it is too long for them."""
    if callable(run):
        check_function(run, parameters)
        shipped = ship(with_values(run, values))
        source = shipped.source
        if source is not None and len(source) <= limits.INLINE_SOURCE:
            return {"function": shipped.reference, "source": {"inline": source}}, None
        return {"function": shipped.reference}, shipped
    for name, by_text in values.items():
        odd = next(iter(by_text.values()))
        raise invalid(
            f"parameters[{name!r}]",
            f"{shown(odd)} is neither a number nor text: to use it, pass the function itself instead of its name or a command",
        )
    reader = ArgumentReader()
    if isinstance(run, str):
        template: dict[str, Any] = {"function": reader.text("run", run)}
    else:
        template = {"command": reader.words("run", run)}
    reader.check()
    return template, None


def _objective(request: Request, reader: ArgumentReader) -> dict[str, Any] | None:
    name = reader.text("objective", request.objective)
    goal = reader.number("goal", request.goal)
    metrics = reader.texts("metrics", request.metrics)
    try:
        direction = direction_of(request.direction)
    except InvalidExperiment as error:
        reader.errors += error.errors
        return None
    if name is None:
        for argument, value in (("goal", goal), ("metrics", metrics)):
            if request.objective is None and value not in (None, []):
                reader.refuse(argument, f"{shown(value)} has no effect without an objective")
        return None
    return _without_none(
        {
            "type": direction,
            "objectiveMetricName": name,
            "goal": goal,
            "additionalMetricNames": metrics,
        }
    )


def _tensorboard(request: Request, reader: ArgumentReader) -> dict[str, Any] | None:
    enabled = reader.flag("tensorboard", request.tensorboard)
    return None if enabled is None else {"enabled": enabled}


def _template(request: Request, reader: ArgumentReader) -> dict[str, Any]:
    """Return the template's fields that arguments of their own set."""
    gpu = {
        "count": reader.integer("gpus", request.gpus),
        "resourceName": reader.text("gpu_resource", request.gpu_resource),
    }
    resources = {
        "cpu": reader.quantity("cpu", request.cpu, '2 or "500m"'),
        "memory": reader.text("memory", request.memory),
        "gpu": _without_none(gpu) or None,
    }
    env = reader.text_map("env", request.env, '{"NAME": "value"}')
    template = {
        "image": reader.text("image", request.image),
        "resources": _without_none(resources) or None,
        "nodeSelector": reader.text_map(
            "node_selector", request.node_selector, '{"label": "value"}'
        )
        or None,
        "tolerations": reader.json_maps(
            "tolerations", request.tolerations, '{"operator": "Exists"}'
        )
        or None,
        "env": [{"name": key, "value": value} for key, value in env.items()] or None,
        "timeoutSeconds": reader.integer("timeout_seconds", request.timeout_seconds),
        "maxRetries": reader.integer("max_retries", request.max_retries),
        "metricsFormat": reader.text("metrics_format", request.metrics_format),
        "preload": None if request.preload is None else reader.texts("preload", request.preload),
    }
    return _without_none(template)


def _with_template(
    request: Request, given: Mapping[str, Any], reader: ArgumentReader
) -> dict[str, Any]:
    """Return the template with the other fields; one that an argument sets as well is a finding."""
    others = reader.json_map("template", request.template, '{"imagePullPolicy": "Always"}')
    for name in others:
        if name in given:
            argument = _ARGUMENTS.get(name, "run")
            reader.refuse(f"template[{name!r}]", f"is given by {argument}= too: keep one")
    return {**given, **others}


_ARGUMENTS = {
    "image": "image", "resources": "cpu, memory or gpus", "nodeSelector": "node_selector", "tolerations": "tolerations",
    "env": "env", "timeoutSeconds": "timeout_seconds", "maxRetries": "max_retries",
    "metricsFormat": "metrics_format", "preload": "preload",
}  # fmt: skip
"""By field of the template, the argument that sets it."""


def _metadata(request: Request, values: Values, reader: ArgumentReader) -> dict[str, Any]:
    named = name_of(request.run) if callable(request.run) else "experiment"
    name = reader.text("name", request.name)
    metadata: dict[str, Any] = {"name": unique_name(named) if name is None else name}
    description = reader.text("description", request.description)
    annotations = {
        DESCRIPTION_ANNOTATION: description or None,
        VALUES_ANNOTATION: values_annotation(values),
    }
    if _without_none(annotations):
        metadata["annotations"] = _without_none(annotations)
    return metadata


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
