"""Checks of ``spec.trialTemplate``: the program, its parameters and its resources.

The checks of the pod are in ``checks_pod.py``.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence

from sparksweep_core.api import limits
from sparksweep_core.api import placeholders as ph
from sparksweep_core.api.quantities import cpus, memory_bytes
from sparksweep_core.api.search_spec import Parameter
from sparksweep_core.api.template import MetricsFormat, Resources, Source, TrialTemplate
from sparksweep_core.contract.names import SHIPPED_MODULE
from sparksweep_core.errors import FieldError
from sparksweep_core.stored_size import text_bytes
from sparksweep_core.validation.checks_pod import PATH, check_pod
from sparksweep_core.validation.checks_search import duplicates, wrong_name
from sparksweep_core.validation.source_check import check_source

MIN_FUNCTION_MEMORY = 64 * 2**20
"""Bytes that Python needs to start with nothing but this package."""


def check_template(
    template: TrialTemplate,
    parameters: Sequence[Parameter | None],
    parsed: Sequence[Parameter] | None,
    *,
    objective: str | None = None,
) -> list[FieldError]:
    """Return every mistake in the template.

    Args:
        template: the template.
        parameters: the experiment's parameters in the document's order; None for one that did not parse.
        parsed: the parameters; None if any of them did not parse.
        objective: name of the metric to optimise; None if there is none, or it did not parse.
    """
    names = None if parsed is None else [parameter.name for parameter in parsed]
    errors = []
    if template.function is None and template.command is None:
        errors.append(FieldError(PATH, "has nothing to run: give function or command"))
    elif template.function is not None and template.command is not None:
        message = "can't be combined with function: a trial runs one of them; remove the other"
        errors.append(FieldError(f"{PATH}.command", message))
    elif template.function is not None:
        errors += _function(template, template.function, parameters, names, objective)
    elif template.command is not None:
        errors += _command(template, template.command, names)
    if template.source is not None:
        errors += _source(template.source)
    errors += _resources(template.resources, is_function=template.function is not None)
    errors += check_pod(template)
    preload = template.preload or []
    for index, first in duplicates(preload):
        message = f'"{preload[first]}" is given twice'
        errors.append(FieldError(f"{PATH}.preload[{index}]", message))
    return errors


def _function(
    template: TrialTemplate,
    function: str,
    parameters: Sequence[Parameter | None],
    names: Sequence[str] | None,
    objective: str | None,
) -> Iterator[FieldError]:
    module, _, name = function.partition(":")
    reserved = [part for part in [*module.split("."), name] if keyword.iskeyword(part)]
    if reserved:
        yield FieldError(
            f"{PATH}.function", f'"{reserved[0]}" is a Python keyword: choose another name'
        )
    if template.trial_parameters:
        yield FieldError(
            f"{PATH}.trialParameters",
            "require command: a function gets each parameter as the argument of that name; remove them",
        )
    if template.metrics_format is not MetricsFormat.EQUALS:
        yield FieldError(
            f"{PATH}.metricsFormat", "requires command: a function returns its metrics; remove it"
        )
    for index, parameter in enumerate(parameters):
        if parameter is None or wrong_name(parameter.name) is not None:
            continue
        # The SDK has checked a function of its own: ``**parameters`` takes any name.
        if module != SHIPPED_MODULE and (
            not parameter.name.isidentifier() or keyword.iskeyword(parameter.name)
        ):
            suggestion = re.sub(r"[.-]", "_", parameter.name)
            suggestion += "_" if keyword.iskeyword(suggestion) else ""
            yield FieldError(
                f"spec.parameters[{index}].name",
                f'"{parameter.name}" can\'t be an argument of a Python function: write {suggestion}',
            )
    if template.source is None:
        return
    if "." in module:
        yield FieldError(
            f"{PATH}.function",
            f'"{module}" is in a package, but source is a single module: write its name without dots',
        )
    if template.source.inline is not None and not reserved:
        yield from check_source(
            template.source.inline, function=name, parameter_names=names, objective=objective
        )


def _command(
    template: TrialTemplate, command: Sequence[str], names: Sequence[str] | None
) -> Iterator[FieldError]:
    if not command[0].strip():
        yield FieldError(f"{PATH}.command[0]", "is empty: the first word is the program")
    if template.preload:
        yield FieldError(
            f"{PATH}.preload",
            "requires function: a command starts its own process, which does its own imports; remove it",
        )
    if names is not None:
        yield from _trial_parameters(template, names)
    used = ph.placeholders(command)
    if template.source is not None and ph.TRIAL_SOURCE not in used:
        yield FieldError(
            f"{PATH}.source",
            "is not used by command: write ${trialSource} where its path belongs",
        )
    for index in ph.unfinished(command):
        yield FieldError(
            f"{PATH}.command[{index}]",
            "has a placeholder without its }: write ${trialParameters.NAME}",
        )
    if not template.trial_parameters and names is None:
        return
    placeholder_names = list(ph.references(template, names or []))
    for index, word in enumerate(command):
        if "\0" in word:
            yield FieldError(
                f"{PATH}.command[{index}]",
                "has a null character, which no command line holds: remove it",
            )
        for key in sorted(ph.placeholders([word])):
            message = _unknown_placeholder(
                key, placeholder_names, has_source=template.source is not None
            )
            if message is not None:
                yield FieldError(f"{PATH}.command[{index}]", message)
    for index, item in enumerate(template.trial_parameters):
        if ph.parameter_key(item.name) not in used:
            yield FieldError(
                f"{PATH}.trialParameters[{index}].name",
                f'"{item.name}" is not used: write ${{trialParameters.{item.name}}} in command, or remove it',
            )


def _trial_parameters(template: TrialTemplate, names: Sequence[str]) -> Iterator[FieldError]:
    items = template.trial_parameters
    path = f"{PATH}.trialParameters"
    for index, first in duplicates(item.name for item in items):
        yield FieldError(f"{path}[{index}].name", f'"{items[first].name}" is given twice')
    for index, first in duplicates(item.reference for item in items):
        yield FieldError(
            f"{path}[{index}].reference",
            f'"{items[first].reference}" is the reference of "{items[first].name}" already: use that placeholder twice',
        )
    for index, item in enumerate(items):
        if item.reference.startswith("${"):
            yield FieldError(
                f"{path}[{index}].reference",
                f'"{item.reference}" is not a parameter: for the trial\'s name write ${{trialSpec.Name}} in command',
            )
        elif item.reference not in names:
            yield FieldError(
                f"{path}[{index}].reference",
                f'"{item.reference}" is not a parameter: there are {", ".join(names)}',
            )


def _unknown_placeholder(key: str, names: Sequence[str], *, has_source: bool) -> str | None:
    if key == ph.TRIAL_NAME or key in map(ph.parameter_key, names):
        return None
    if key == ph.TRIAL_SOURCE:
        return None if has_source else "${trialSource} needs source: give the file's text there"
    if key.startswith("trialSpec"):
        return f"${{{key}}} has no value here: the only metadata of a trial is ${{trialSpec.Name}}"
    if key.startswith(ph.TRIAL_SOURCE):
        return f"${{{key}}} has no value: write ${{trialSource}}"
    choices = ", ".join(f"${{{ph.parameter_key(name)}}}" for name in names)
    return f"${{{key}}} has no value: there are {choices}"


def _source(source: Source) -> Iterator[FieldError]:
    if source.inline is None and source.config_map is None:
        yield FieldError(f"{PATH}.source", "is empty: give inline or configMap, or remove it")
    elif source.inline is not None and source.config_map is not None:
        message = "can't be combined with inline: the source is in one of them; remove the other"
        yield FieldError(f"{PATH}.source.configMap", message)
    elif source.inline is not None and text_bytes(source.inline) > limits.INLINE_SOURCE_BYTES:
        yield FieldError(
            f"{PATH}.source.inline",
            f"takes {text_bytes(source.inline):,} bytes in the API server's store, where at most "
            f"{limits.INLINE_SOURCE_BYTES:,} fit: put it into a ConfigMap (source.configMap) or into the image",
        )


def _resources(resources: Resources, *, is_function: bool) -> Iterator[FieldError]:
    path = f"{PATH}.resources"
    if cpus(resources.cpu) <= 0:
        yield FieldError(f"{path}.cpu", f'"{resources.cpu}" is not above 0')
    size = memory_bytes(resources.memory)
    if size <= 0:
        yield FieldError(f"{path}.memory", f'"{resources.memory}" is not above 0')
    elif is_function and size < MIN_FUNCTION_MEMORY:
        yield FieldError(
            f"{path}.memory",
            f'"{resources.memory}" is too little for a function: Python itself needs 64Mi',
        )
