"""Hints for the fields of Katib's Experiment that this one lacks: one sentence each on what to do instead."""

from __future__ import annotations

KATIB_API_VERSION = "kubeflow.org/v1beta1"

_A_PROCESS = "a trial is a process of an executor, not a pod of its own; remove it"
_SUCCESS = "a trial succeeds when its function returns or its command exits with 0; remove it"

KATIB_FIELDS = {
    "spec.resumePolicy": "every experiment can be resumed; remove it",
    "spec.metricsCollectorSpec": "a function returns its metrics, a command prints them as name=value on standard output or "
    "standard error (name: value, too, with trialTemplate.metricsFormat); remove it",
    "spec.earlyStopping": "trials are not stopped early; remove it (objective.goal ends the experiment early)",
    "spec.nasConfig": "there is no architecture search; write the choices as categorical parameters",
    "spec.trialTemplate.trialSpec": "there is no Job per trial; move the container's command, image, env and resources "
    "to trialTemplate.command, .image, .env and .resources",
    "spec.trialTemplate.configMap": "there is no Job template to read; for training code in a ConfigMap write "
    "source: {configMap: {name: ..., key: ...}}",
    "spec.trialTemplate.retain": "logs and files of every trial are kept; remove it",
    "spec.trialTemplate.primaryContainerName": _A_PROCESS,
    "spec.trialTemplate.primaryPodLabels": _A_PROCESS,
    "spec.trialTemplate.successCondition": _SUCCESS,
    "spec.trialTemplate.failureCondition": _SUCCESS,
    "spec.trialTemplate.args": "append the arguments to trialTemplate.command",
    "spec.trialTemplate.resources.limits": "write cpu, memory and gpu directly under resources",
    "spec.trialTemplate.resources.requests": "write cpu, memory and gpu directly under resources",
}
"""Hints by path, without indices."""

# A tuple: the user's value may be a list, which can't be looked up in a set.
KATIB_ALGORITHMS = (
    "bayesianoptimization",
    "cmaes",
    "darts",
    "enas",
    "hyperband",
    "multivariate-tpe",
    "pbt",
    "sobol",
    "tpe",
)
