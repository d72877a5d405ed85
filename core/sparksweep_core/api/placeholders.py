"""Placeholders of a command: which there are, and their replacement. Checked before a trial, replaced for each.

``${trialParameters.<name>}``  a parameter's value
``${trialSpec.Name}``          the trial's name: the experiment's and the trial's number
``${trialSource}``             path of the file that holds ``trialTemplate.source``

As in Katib, but on the words of the command rather than on JSON text: a value is never split, quoted or expanded
again, and no shell is involved. Anything else with a ``$`` is the command's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sparksweep_core.api.template import TrialTemplate

TRIAL_PARAMETERS = "trialParameters"
TRIAL_NAME = "trialSpec.Name"
TRIAL_SOURCE = "trialSource"

_PLACEHOLDER = re.compile(r"\$\{((?:trialParameters|trialSpec|trialSource)[^{}]*)\}")
_BEGINNING = re.compile(r"\$\{(?:trialParameters|trialSpec|trialSource)")


def parameter_key(name: str) -> str:
    """What stands between the braces for a trial parameter."""
    return f"{TRIAL_PARAMETERS}.{name}"


def placeholders(command: Sequence[str]) -> set[str]:
    """What stands between the braces: ``trialParameters.lr``, ``trialSpec.Name``, ``trialSource``, or a mistake
    that begins like one of them.
    """
    return {match for word in command for match in _PLACEHOLDER.findall(word)}


def unfinished(command: Sequence[str]) -> list[int]:
    """Indices of the words with a placeholder that is not closed."""
    return [
        index
        for index, word in enumerate(command)
        if len(_BEGINNING.findall(word)) != len(_PLACEHOLDER.findall(word))
    ]


def references(template: TrialTemplate, parameter_names: Sequence[str]) -> dict[str, str]:
    """The parameter behind each trial parameter; without ``trialParameters`` each is its own."""
    if template.trial_parameters:
        return {item.name: item.reference for item in template.trial_parameters}
    return {name: name for name in parameter_names}


def placeholder_values(
    template: TrialTemplate, parameters: Mapping[str, str], *, trial: str, source: str | None
) -> dict[str, str]:
    """What `substitute` needs for one trial.

    Args:
        template: the template.
        parameters: the trial's value of each parameter.
        trial: the trial's name.
        source: path of the file that holds the source, if there is one.
    """
    values = {
        parameter_key(name): parameters[reference]
        for name, reference in references(template, list(parameters)).items()
    }
    values[TRIAL_NAME] = trial
    if source is not None:
        values[TRIAL_SOURCE] = source
    return values


def substitute(command: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The command with each placeholder replaced by its value; each word stays one word.

    Raises:
        KeyError: a placeholder has no value; a checked command has none such.
    """
    return [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in command]
