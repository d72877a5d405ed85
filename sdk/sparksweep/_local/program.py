"""The program of a local run, and the parts of an Experiment that a local run can't or doesn't use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment
from sparksweep_core.contract.program import Program


def check_local(experiment: Experiment) -> None:
    """Check that a local run can run the Experiment.

    Raises:
        InvalidExperiment: The Experiment needs a cluster, or is suspended.
    """
    spec = experiment.spec
    errors = []
    if spec.suspend:
        errors.append(
            FieldError("spec.suspend", "true: nothing would run; set it to false to run this here")
        )
    source = spec.trial_template.source
    if source is not None and source.config_map is not None:
        errors.append(
            FieldError(
                "spec.trialTemplate.source.configMap",
                f"{source.config_map.name}: a local run has no ConfigMaps; "
                "give the code as source.inline, or leave source out and put the module next to the file",
            )
        )
    errors += [
        FieldError(
            f"spec.trialTemplate.env[{index}].valueFrom",
            f"{variable.name}: a local run has no Secrets and no ConfigMaps; remove it and set {variable.name} in the "
            "shell, which trials inherit",
        )
        for index, variable in enumerate(spec.trial_template.env)
        if variable.value_from is not None
    ]
    if errors:
        raise InvalidExperiment(errors)


def local_program(
    experiment: Experiment,
    *,
    trials: Path,
    home: Path,
    modules: Sequence[Path] = (),
    paths: Sequence[str] = (),
    code_seals: Mapping[str, dict[str, str]] | None = None,
) -> Program:
    """Return the program of a local run.

    Args:
        experiment: an Experiment that has passed `check_local`.
        trials: directory of the trials' directories.
        home: the directory of the Experiment's file; Python searches it for modules, and commands start in it.
        modules: directories that Python searches before `home`.
        paths: directories and zip archives that Python searches after `home`.
        code_seals: hashes of the files in `modules`; see `Program`.
    """
    spec = experiment.spec
    return Program(
        experiment=experiment.metadata.name,
        parameters=spec.parameters,
        objective=spec.objective,
        trial_template=spec.trial_template,
        trials_directory=str(trials),
        search_path=[*map(str, modules), str(home), *paths],
        working_directory=str(home),
        code_seals=dict(code_seals or {}),
    )


def notes_on_ignored(experiment: Experiment) -> list[str]:
    """Return a sentence for each field of the Experiment that only a cluster uses."""
    return [
        f"{field} applies to clusters only: this run ignores it"
        for field in ignored_locally(experiment)
    ]


def ignored_locally(experiment: Experiment) -> list[str]:
    """Return the fields of the Experiment that only a cluster uses."""
    template = experiment.spec.trial_template
    fields = {
        "image": template.image is not None,
        "imagePullPolicy": template.image_pull_policy is not None,
        "imagePullSecrets": bool(template.image_pull_secrets),
        "nodeSelector": bool(template.node_selector),
        "tolerations": bool(template.tolerations),
        "affinity": template.affinity is not None,
        "priorityClassName": template.priority_class_name is not None,
        "volumes": bool(template.volumes),
        "resources.gpu": template.resources.gpu.count > 0,
    }
    ignored = [f"spec.trialTemplate.{name}" for name, present in fields.items() if present]
    if experiment.spec.ttl_seconds_after_finished is not None:
        ignored.append("spec.ttlSecondsAfterFinished")
    storage = experiment.spec.storage
    if storage.persistent_volume_claim is not None or storage.uri is not None:
        ignored.append("spec.storage")
    return ignored
