"""Commands that read a file and run nothing: ``validate`` and ``render``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sparksweep._builder import Built
from sparksweep._documents import read_source
from sparksweep._local.code_findings import CodePlaces, code_notes
from sparksweep.cli.output import stderr, stdout
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.algorithms import create
from sparksweep_core.api import Experiment
from sparksweep_core.api.algorithm_settings import given_seed, has_seed
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.checks import Parts
from sparksweep_core.validation.checks_search import format_count
from sparksweep_core.validation.document import Check, nothing_more

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def read_file(file: Path, also: Check = nothing_more) -> Built:
    """Return the Experiment in a file, with the code that it may hold beside it; if it is invalid, print the file's
    name above the findings.

    Args:
        file: The file.
        also: A further check, such as of the code on this machine.
    """
    try:
        return read_source(file, also)
    except InvalidExperiment as error:
        count = len(error.errors)
        stderr().line(f"{file} is invalid, {count} finding{'s' if count > 1 else ''}:")
        raise


@click.command(short_help="Check the Experiment in FILE without running it.")
@FILE
def validate(file: Path) -> None:
    """Check the Experiment in FILE without running it.

    Reads the code that FILE names, if it is on this machine. With trialTemplate.image, or for a command, the code may
    be in the image: then it only warns of names that do not exist here.

    Prints every finding with the path of its field. Exit codes: 0 valid, 2 invalid.
    """
    places = CodePlaces(file.absolute().parent)
    doubts: list[FieldError] = []

    def check_code(parts: Parts) -> list[FieldError]:
        findings = list(places.code_findings(parts))
        template = parts.template
        is_elsewhere = template is not None and (template.image or template.command)
        doubts.extend(findings if is_elsewhere else [])
        return [] if is_elsewhere else findings

    experiment = read_file(file, check_code).experiment
    spec = experiment.spec
    notes = [f"{item.path}: {item.message}; the image must have it" for item in doubts]
    notes += code_notes(spec.trial_template, [parameter.name for parameter in spec.parameters])
    for note in notes:
        stderr().line(f"warning: {note}")
    stdout().line(f"{file}: Experiment {experiment.metadata.name} is valid. {_extent(experiment)}")


@click.command(short_help="Print the Experiment in FILE with every default.")
@click.option(
    "--trials",
    type=click.IntRange(0, 1000),
    default=0,
    metavar="N",
    help="Also print the parameters of the first N trials, or of fewer if later ones depend on results.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="Format; json has a document a line.",
)
@FILE
def render(file: Path, trials: int, output: str) -> None:
    """Print the Experiment in FILE with every default filled in.

    Exit codes: 0 valid, 2 invalid.
    """
    experiment = read_file(file).on_a_cluster
    documents: list[dict[str, Any]] = [experiment.to_dict()]
    comments = [f"# {_extent(experiment)}\n", ""]
    if trials:
        limit = min(trials, experiment.spec.max_trial_count or trials)
        proposed = create(experiment.spec).propose([], limit)
        documents.append({"trials": [trial.to_dict() for trial in proposed]})
        algorithm = experiment.spec.algorithm
        if has_seed(algorithm) and given_seed(algorithm) is None:
            comments[1] = "# With the seed 0: the spec has none, and each run draws its own.\n"
    if output == "json":
        text = "".join(f"{json.dumps(document)}\n" for document in documents)
    else:
        pairs = zip(comments, documents, strict=False)
        text = "---\n".join(comment + dump_yaml(document) for comment, document in pairs)
    stdout().data(text)


def _extent(experiment: Experiment) -> str:
    spec = experiment.spec
    algorithm = create(spec)
    size = algorithm.size()
    name = spec.algorithm.algorithm_name.value
    if size is None:
        bound = spec.max_trial_count
        return f"{name}: {bound} trials." if bound else f"{name}: no limit on the number of trials."
    runs = min(size, spec.max_trial_count or size)
    if algorithm.bound() is not None:
        why = algorithm.bound() if runs == size else f"maxTrialCount: {runs}"
        return f"{name}: {runs} trials ({why})."
    return f"{name}: {runs} trials; the search space has {format_count(size)} points."
