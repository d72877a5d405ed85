"""Placeholders of a command and their replacement. The command is checked once, and filled in for each trial.

``${trialParameters.<name>}``  a parameter's value
``${trialSpec.Name}``          the trial's name: the experiment's and the trial's number
``${trialSource}``             path of the file that holds ``trialTemplate.source``

As in Katib, but on the words of the command rather than on JSON text: a value is never split, quoted or expanded
again, and no shell is involved. Any other ``$`` is left alone.
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
    """Return the key of a trial parameter: the text between the braces of its placeholder."""
    return f"{TRIAL_PARAMETERS}.{name}"


def placeholders(command: Sequence[str]) -> set[str]:
    """Return the keys of all placeholders: ``trialParameters.lr``, ``trialSpec.Name``, ``trialSource``, or a
    misspelt one that begins like these.
    """
    return {match for word in command for match in _PLACEHOLDER.findall(word)}


def unfinished(command: Sequence[str]) -> list[int]:
    """Return the indices of the words with a placeholder that is not closed."""
    return [
        index
        for index, word in enumerate(command)
        if len(_BEGINNING.findall(word)) != len(_PLACEHOLDER.findall(word))
    ]


def references(template: TrialTemplate, parameter_names: Sequence[str]) -> dict[str, str]:
    """Return the parameter's name by the trial parameter's; without ``trialParameters`` they are the same."""
    if template.trial_parameters:
        return {item.name: item.reference for item in template.trial_parameters}
    return {name: name for name in parameter_names}


def placeholder_values(
    template: TrialTemplate, parameters: Mapping[str, str], *, trial: str, source: str | None
) -> dict[str, str]:
    """Return the value of each placeholder's key for one trial, for `substitute`.

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
    """Return the command with each placeholder replaced by its value; each word stays one word.

    Raises:
        KeyError: a placeholder has no value, which the checks exclude.
    """
    return [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in command]
