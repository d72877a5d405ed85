"""The trial code of an Experiment: the ConfigMap with the inline source, and the volume that executors mount."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.directories import COMMAND_SOURCE
from sparksweep_core.contract.names import code_name
from sparksweep_core.contract.sealed_files import Seal
from sparksweep_operator.manifests.sealed_maps import seal_of, sealed_config_map


def code_config_map(experiment: Experiment) -> dict[str, Any] | None:
    """Return the ConfigMap with the inline source; None if there is no inline source."""
    source = experiment.spec.trial_template.source
    if source is None or source.inline is None:
        return None
    return sealed_config_map(experiment, code_name, {COMMAND_SOURCE: source.inline})


def lacks_source(experiment: Experiment) -> bool:
    """Return True if the Experiment comes from the cache without its inline source; no manifest can be made of it then."""
    source = experiment.spec.trial_template.source
    return source is not None and source.inline is None and source.config_map is None


def code_volume(experiment: Experiment) -> dict[str, Any] | None:
    """Return the volume's source with the trial code; None if there is none."""
    template = experiment.spec.trial_template
    if template.source is None:
        return None
    named, own = template.source.config_map, code_config_map(experiment)
    if named is not None:
        name, key = named.name, named.key
    else:
        name, key = (own or {})["metadata"]["name"], COMMAND_SOURCE
    return {"name": name, "items": [{"key": key, "path": code_path(template)}]}


def code_seal(experiment: Experiment) -> Seal | None:
    """Return the seal of the inline source; None without one: a ConfigMap of the user's is the user's to change."""
    config_map = code_config_map(experiment)
    if config_map is None:
        return None
    return seal_of(config_map, {COMMAND_SOURCE: code_path(experiment.spec.trial_template)})


def code_path(template: TrialTemplate) -> str:
    """Return the path of the source below the code directory, where Python finds the function's module."""
    if template.function is None:
        return COMMAND_SOURCE
    return template.function.partition(":")[0].replace(".", "/") + ".py"
